"""A network that conditions a level's codes on those above it."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from vqvae_tf.layers.configured import Configured
from vqvae_tf.layers.convolution import convolution
from vqvae_tf.layers.local_upsampling import LocalUpsampling
from vqvae_tf.layers.preprocessing import CodeEmbedding
from vqvae_tf.layers.residual import ResidualStack
from vqvae_tf.runtime.freezing import Composite
from vqvae_tf.utils.checks import check_positive


@keras.saving.register_keras_serializable("vqvae_tf")
class UpperCodes(Configured, Composite):
    """Maps the codes of upper levels to the local context of a lower one.

    The codes of each level are embedded, passed through a convolution and
    residual blocks on their own grid, and brought to the lower level's grid by
    transposed convolutions; the results are added up.

    Args:
        levels: names of the upper levels, the top first: `("top",)` for the
            bottom of two levels.
        num_embeddings: of each level how many codes it has: an int, or a list
            for codes of several codebooks.
        factors: of each level the ratio of the lower level's grid to its own.
        embedding_dim: int, channels of an embedded code; 64 by default.
        hidden_channels: int, channels of the blocks and of the result; 128 by
            default.
        num_residual_layers: int, blocks of each level; 4 by default.
        residual_channels: int, channels inside a block; `hidden_channels` by
            default.
        kernel_size: int, window of the first convolution; 3 by default.

    Call arguments:
        context: a dict with integers `[batch, *grid]` (or `[batch, *grid, G]`)
            for each level, and optionally `"global"`, which is passed on.

    Returns:
        `{"local": float [batch, *grid * factor, hidden_channels]}`, and
        `"global"` if it is given.

    Raises:
        ValueError: for a missing level, and codes out of range.
        InvalidArgumentError: for grids that do not fit each other.

    Example: the context of a 16x16 bottom.

    >>> network = UpperCodes(("top",), [512], [2], hidden_channels=32)
    >>> network({"top": tf.zeros([1, 8, 8], tf.int32)})["local"].shape
    TensorShape([1, 16, 16, 32])

    References:
        Razavi et al. 2019, arXiv:1906.00446, section 3.2.
    """

    def __init__(
        self,
        levels: Sequence[str],
        num_embeddings: Sequence[int | Sequence[int]],
        factors: Sequence[int],
        embedding_dim: int = 64,
        hidden_channels: int = 128,
        num_residual_layers: int = 4,
        residual_channels: int | None = None,
        kernel_size: int = 3,
        **kwargs: Any,
    ) -> None:
        super().__init__(**{"autocast": False, **kwargs})
        self.levels = list(levels)
        self.num_embeddings = list(num_embeddings)
        self.factors = [check_positive("Each factor", f) for f in factors]
        counts = {
            len(each)
            for each in (self.levels, self.num_embeddings, self.factors)
        }
        if len(counts) > 1 or not self.levels:
            raise ValueError(
                "levels, num_embeddings and factors must have an entry for "
                f"each upper level, at least one. Received: levels="
                f"{self.levels}, num_embeddings={self.num_embeddings}, "
                f"factors={self.factors}."
            )
        self.embedding_dim = check_positive("embedding_dim", embedding_dim)
        self.hidden_channels = check_positive(
            "hidden_channels", hidden_channels
        )
        self.num_residual_layers = num_residual_layers
        self.residual_channels = residual_channels
        self.kernel_size = kernel_size
        self._make_layers()

    def _make_layers(self):
        dtype, channels = self.dtype_policy, self.hidden_channels
        self.embeddings = [
            CodeEmbedding(
                sizes, self.embedding_dim, dtype=dtype, name=f"embed_{name}"
            )
            for name, sizes in zip(self.levels, self.num_embeddings)
        ]
        self.convolutions = [
            convolution(
                2, channels, self.kernel_size, dtype=dtype, name=f"conv_{name}"
            )
            for name in self.levels
        ]
        self.residuals = [
            ResidualStack(
                self.num_residual_layers,
                channels,
                self.residual_channels,
                dtype=dtype,
                name=f"residuals_{name}",
            )
            for name in self.levels
        ]
        self.upsamplings = [
            LocalUpsampling(
                factor, channels, channels, dtype=dtype, name=f"up_{name}"
            )
            for name, factor in zip(self.levels, self.factors)
        ]

    def _rows(self):
        """Yields each level's name, factor and layers."""
        return zip(
            self.levels,
            self.factors,
            self.embeddings,
            self.convolutions,
            self.residuals,
            self.upsamplings,
        )

    def build(self, input_shape: Any = None) -> None:
        for _, _, embedding, conv, residuals, upsampling in self._rows():
            if not embedding.built:
                embedding.build(None)
            embedded = embedding.compute_output_shape((None,) * 4)
            if not isinstance(embedding.num_embeddings, list):
                embedded = embedded[1:]
            conv.build(embedded)
            residuals.build((None, None, None, self.hidden_channels))
            upsampling.build()
        self.built = True

    def call(
        self, context: dict[str, tf.Tensor], training: bool = False
    ) -> dict[str, tf.Tensor]:
        total, finest = None, None
        for name, factor, embedding, conv, residuals, up in self._rows():
            codes = _codes_of(context, name, embedding)
            grid = [n * factor for n in tf.unstack(tf.shape(codes)[1:3])]
            finest = finest or (name, grid)
            embedded = _on_grid(name, embedding(codes), grid, *finest)
            x = conv(tf.cast(embedded, self.compute_dtype))
            x = up(residuals(x))
            total = x if total is None else total + x
        found = {"local": total}
        if context.get("global") is not None:
            found["global"] = context["global"]
        return found

    def context_signature(self) -> dict:
        """Returns the specs of a context; see `StepModel.export_signature`."""
        return {
            name: tf.TensorSpec(
                [None, None, None, *_groups(embedding)], tf.int32
            )
            for name, embedding in zip(self.levels, self.embeddings)
        }

    def check_context(self, context: dict[str, tf.Tensor]) -> None:
        """Raises ValueError for missing levels, and codes out of range."""
        for name, embedding in zip(self.levels, self.embeddings):
            embedding.check(_codes_of(context, name, embedding))


def _groups(embedding):
    sizes = embedding.num_embeddings
    return [len(sizes)] if isinstance(sizes, list) else []


def _codes_of(context, name, embedding):
    """Returns the codes of a level, checked to be there and to have a grid."""
    codes = context.get(name)
    groups = _groups(embedding)
    axes = ", ".join(["batch", "height", "width", *map(str, groups)])
    if codes is None:
        raise ValueError(
            f'The context must have an entry "{name}", the codes [{axes}] of '
            f"this level. Received: {', '.join(context) or 'none'}."
        )
    codes = tf.convert_to_tensor(codes)
    if len(codes.shape) != 3 + len(groups):
        raise ValueError(
            f'context["{name}"] must have shape [{axes}]. Received: shape '
            f"{tuple(codes.shape)}."
        )
    return codes


def _on_grid(name, tensor, grid, other, expected):
    """Returns a tensor whose level must lead to the grid of the first."""
    if name == other:
        return tensor
    message = (
        f"The codes of {name} and {other} do not lead to the same grid; those "
        "of one example are needed."
    )
    same = tf.debugging.assert_equal(grid, expected, message)
    with tf.control_dependencies([] if same is None else [same]):
        return tf.identity(tensor)
