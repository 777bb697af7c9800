"""A network that conditions the next frame's codes on past frames."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from vqvae_tf.layers.configured import Configured
from vqvae_tf.layers.convolution import convolution
from vqvae_tf.layers.dropout import Dropout
from vqvae_tf.layers.inner_dense import InnerDense
from vqvae_tf.layers.preprocessing import CodeEmbedding
from vqvae_tf.layers.residual import ResidualBlock
from vqvae_tf.runtime.freezing import Composite
from vqvae_tf.utils import tensor_checks
from vqvae_tf.utils.checks import check_positive, check_share
from vqvae_tf.utils.code_sizes import check_code_sizes


@keras.saving.register_keras_serializable("vqvae_tf")
class PastFrames(Configured, Composite):
    """Maps the code maps of past frames, and an action, to a local context.

    The maps are embedded, concatenated along the channels with each position's
    coordinates, and passed through a convolution and residual blocks. The
    action is added before every block. In training it is sometimes dropped, so
    the same network also works without actions.

    Args:
        num_embeddings: int, K; codes are in 0..K-1. For codes of G > 1
            codebooks a list, the K of each.
        num_past: int, P, the number of past frames.
        num_actions: int, actions are integers 0..num_actions-1; or None.
        action_size: int, actions are vectors of this size; or None. With
            neither, there are no actions.
        embedding_dim: int, channels of an embedded code.
        hidden_channels: int, channels of the blocks and of the result.
        num_residual_layers: int, the number of blocks.
        residual_channels: int, channels inside a block; `hidden_channels` by
            default.
        kernel_size: int, window of the first convolution.
        action_dropout: float, the share of examples whose action is dropped
            in training; 0.1 by default.
        seed: int, of the action dropout; a random one by default.

    Call arguments:
        context: a dict with `"past"`, integers `[batch, P, height, width]`,
            with a last axis G for a list, the oldest frame first; and
            optionally `"action"`, integers `[batch]` or floats `[batch,
            action_size]`, taken at the last frame.
        training: bool, whether to apply action dropout.

    Returns:
        `{"local": float [batch, height, width, hidden_channels]}`.

    Raises:
        ValueError: for the wrong number of frames or kind of actions, and (in
            eager mode) unknown actions or codes.

    Example:

    >>> network = PastFrames(512, num_past=6, num_actions=9)
    >>> past = tf.zeros([2, 6, 21, 21], tf.int32)
    >>> network({"past": past, "action": tf.constant([4, 5])})["local"].shape
    TensorShape([2, 21, 21, 128])

    Of codes of two codebooks, such as those of a `ResidualQuantizer`:

    >>> network = PastFrames([512, 64], num_past=6)
    >>> past = tf.zeros([2, 6, 21, 21, 2], tf.int32)
    >>> network({"past": past})["local"].shape
    TensorShape([2, 21, 21, 128])
    """

    def __init__(
        self,
        num_embeddings: int | Sequence[int],
        num_past: int,
        num_actions: int | None = None,
        action_size: int | None = None,
        embedding_dim: int = 32,
        hidden_channels: int = 128,
        num_residual_layers: int = 4,
        residual_channels: int | None = None,
        kernel_size: int = 5,
        action_dropout: float = 0.1,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**{"autocast": False, **kwargs})
        count = len(num_embeddings) if np.iterable(num_embeddings) else 1
        self.num_codes = check_code_sizes(num_embeddings, max(count, 1))
        # A list only if codes have an axis of codebooks.
        self.num_embeddings = (
            list(self.num_codes) if count > 1 else self.num_codes[0]
        )
        self.num_past = check_positive("num_past", num_past)
        if num_actions is not None and action_size is not None:
            raise ValueError(
                "Actions are integers (num_actions) or vectors (action_size). "
                f"Received: num_actions={num_actions}, "
                f"action_size={action_size}."
            )
        if num_actions is not None:
            num_actions = check_positive("num_actions", num_actions)
        if action_size is not None:
            action_size = check_positive("action_size", action_size)
        self.num_actions = num_actions
        self.action_size = action_size
        self.embedding_dim = check_positive("embedding_dim", embedding_dim)
        self.hidden_channels = hidden_channels
        self.num_residual_layers = num_residual_layers
        self.residual_channels = residual_channels
        self.kernel_size = kernel_size
        self.action_dropout = check_share("action_dropout", action_dropout)
        self.seed = seed
        self._make_layers()

    def _make_layers(self):
        dtype, channels = self.dtype_policy, self.hidden_channels
        self.embedding = CodeEmbedding(
            self.num_embeddings, self.embedding_dim, dtype=dtype
        )
        self.conv_in = convolution(
            2, channels, self.kernel_size, dtype=dtype, name="conv_in"
        )
        self.blocks = [
            ResidualBlock(
                channels, self.residual_channels, dtype=dtype, name=f"block_{i}"
            )
            for i in range(self.num_residual_layers)
        ]
        self.of_action = None
        if self._action_channels:
            self.of_action = InnerDense(
                max(1, self.num_residual_layers) * channels,
                dtype=dtype,
                name="of_action",
            )
            self.drop_action = Dropout(
                self.action_dropout, seed=self.seed, name="drop_action"
            )

    @property
    def _action_channels(self):
        """Channels of an action inside the network; 0 without actions."""
        size = self.num_actions or self.action_size
        # One more for an unknown action.
        return size + 1 if size else 0

    @property
    def _embedded_channels(self):
        """Channels of the embedded maps of all past frames."""
        return self.num_past * len(self.num_codes) * self.embedding_dim

    @property
    def _past_shape(self):
        groups = [len(self.num_codes)] if len(self.num_codes) > 1 else []
        return [None, self.num_past, None, None, *groups]

    def build(self, input_shape: tuple[int | None, ...] | None = None) -> None:
        if not self.embedding.built:
            self.embedding.build(None)
        channels = self._embedded_channels + 2
        self.conv_in.build((None, None, None, channels))
        for block in self.blocks:
            block.build((None, None, None, self.hidden_channels))
        if self.of_action is not None:
            self.of_action.build((None, self._action_channels))
        self.built = True

    def call(
        self, context: dict[str, tf.Tensor], training: bool = False
    ) -> dict[str, tf.Tensor]:
        past = self._check_past(context.get("past"))
        action = self._embedded_action(
            context.get("action"), tf.shape(past)[0], training
        )
        x = tf.cast(self.embedding(past), tf.float32)
        x = tf.transpose(x, [0, 2, 3, 1, 4])
        sizes = tf.shape(x)
        x = tf.reshape(x, [*tf.unstack(sizes[:3]), self._embedded_channels])
        x = tf.concat([x, _coordinates(x)], axis=-1)
        x = self.conv_in(tf.cast(x, self.compute_dtype))
        # Without blocks the action is added once.
        for i, block in enumerate(self.blocks or [tf.identity]):
            x = block(x if action is None else x + action[i])
        x.set_shape([None, *past.shape[2:4], self.hidden_channels])
        return {"local": tf.nn.relu(x)}

    def _embedded_action(self, action, batch, training):
        """Returns the inputs of the blocks, `[batch, 1, 1, channels]` each."""
        if self.of_action is None:
            if action is not None:
                raise ValueError(
                    "The network was made without actions (num_actions and "
                    "action_size are None). Received: a context with an "
                    "action."
                )
            return None
        size = self._action_channels
        unknown = tf.one_hot(tf.fill([batch], size - 1), size)
        vector = unknown
        if action is not None:
            vector = self._action_vector(
                tensor_checks.as_tensor("Actions", action)
            )
            if training and self.action_dropout:
                kept = self.drop_action(tf.ones([batch, 1]), training=True)
                vector = tf.where(kept > 0, vector, unknown)
        projected = self.of_action(tf.cast(vector, self.compute_dtype))
        projected = projected[:, tf.newaxis, tf.newaxis, :]
        return tf.split(projected, max(1, len(self.blocks)), axis=-1)

    def _action_vector(self, action):
        if self.num_actions is not None:
            _check_rank("integers [batch]", action, 1)
            vector = tf.one_hot(self.check_actions(action), self.num_actions)
            return tf.pad(vector, [[0, 0], [0, 1]])
        expected = f"[batch, {self.action_size}]"
        _check_rank(expected, action, 2)
        if action.shape[-1] != self.action_size:
            raise ValueError(
                f"Actions are {expected}. Received: actions of shape "
                f"{tuple(action.shape)}."
            )
        action = tf.cast(self.check_actions(action), tf.float32)
        return tf.pad(action, [[0, 0], [0, 1]])

    def context_signature(self) -> dict:
        """Returns the specs of a context; see `StepModel.export_signature`."""
        found = {"past": tf.TensorSpec(self._past_shape, tf.int32)}
        if self.num_actions is not None:
            found["action"] = tf.TensorSpec([None], tf.int32)
        elif self.action_size is not None:
            found["action"] = tf.TensorSpec([None, self.action_size])
        return found

    def check_context(self, context: dict[str, tf.Tensor]) -> None:
        """Raises ValueError for unknown actions or codes, in eager mode."""
        self._check_past(context.get("past"))
        if context.get("action") is not None:
            self.check_actions(
                tensor_checks.as_tensor("Actions", context["action"])
            )

    def check_actions(self, action: tf.Tensor) -> tf.Tensor:
        """Returns actions: int32 in 0..num_actions-1, or finite vectors.

        Raises:
            ValueError: for others. In graphs, integers raise an
                `InvalidArgumentError` when it runs, and vectors are unchecked.
        """
        if self.num_actions is None:
            tensor_checks.check_finite("Actions", action)
            return tf.convert_to_tensor(action)
        return tensor_checks.whole_numbers(action, self.num_actions, "actions")

    def _check_past(self, past):
        if past is None:
            raise ValueError(
                'The context must have an entry "past", the code maps of '
                f"{self.num_past} frames. Received: none."
            )
        past = tensor_checks.as_tensor('context["past"]', past)
        expected = self._past_shape
        if not past.shape.is_compatible_with(expected):
            axes = ["batch", self.num_past, "height", "width", *expected[4:]]
            raise ValueError(
                f'context["past"] must have shape [{", ".join(map(str, axes))}'
                "], the code maps of the past frames. Received: shape "
                f"{tuple(past.shape)}."
            )
        if tensor_checks.known(past):
            self.embedding.check(past)
        return tf.ensure_shape(past, expected)


def _coordinates(x):
    """Returns each position's row and column, from -1 to 1."""
    batch, height, width = tf.unstack(tf.shape(x)[:3])
    rows = _from_edge_to_edge(height)[:, tf.newaxis]
    columns = _from_edge_to_edge(width)[tf.newaxis]
    ones = tf.ones([height, width])
    grid = tf.stack([rows * ones, columns * ones], axis=-1)
    return tf.broadcast_to(grid, [batch, height, width, 2])


def _from_edge_to_edge(count):
    # One operation; `tf.linspace` makes a hundred.
    return tf.raw_ops.LinSpace(start=-1.0, stop=1.0, num=count)


def _check_rank(expected, action, rank):
    if len(action.shape) != rank:
        raise ValueError(
            f"Actions are {expected}, one for each clip. Received: actions of "
            f"shape {tuple(action.shape)}."
        )
