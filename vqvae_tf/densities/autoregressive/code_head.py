"""Maps features to the logits of one or several codebooks."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from vqvae_tf.layers.configured import Configured
from vqvae_tf.utils.code_sizes import as_argument, check_code_sizes
from vqvae_tf.utils.padding import pad_last

# The logit of a code that its codebook does not have. Finite, so that sums and
# differences of logits stay numbers; low enough that no noise of a sampler
# reaches it, whose temperature is at most 1e30.
NO_CODE_LOGIT = -1e38


@keras.saving.register_keras_serializable("vqvae_tf")
class CodeHead(Configured):
    """Logits of p(c_g | features, c_1 ... c_{g-1}) at each position.

    `relu`, a 1x1 convolution, `relu`, a 1x1 convolution. Each codebook has
    hidden units of its own, to which a linear map of the embeddings of earlier
    codebooks' codes is added, so that codebooks are autoregressive too.

    Codebooks may have different numbers of codes, of which K is the largest.
    The logits of those that a codebook does not have are `NO_CODE_LOGIT`, and
    their probability is 0.

    Args:
        num_embeddings: K, or how many codes each codebook has, G numbers.
        num_codebooks: G.
        channels: of each codebook's hidden layer.
        feature_channels: of the features.
        embedding_channels: of the embeddings; by default feature_channels.

    Call arguments:
        features: float `[batch, *grid, feature_channels]`.
        embedded: float `[batch, *grid, G, embedding_channels]`, the embedded
            codes of the same position, of which only those of earlier
            codebooks are used.

    Returns:
        float32 `[batch, *grid, G, K]`.

    Example:

    >>> head = CodeHead(512, 3, channels=64, feature_channels=32)
    >>> head(tf.zeros([2, 8, 8, 32]), tf.zeros([2, 8, 8, 3, 32])).shape
    TensorShape([2, 8, 8, 3, 512])

    Codebooks of three and of two codes:

    >>> head = CodeHead([3, 2], 2, channels=8, feature_channels=4)
    >>> logits = head(tf.zeros([1, 4]), tf.zeros([1, 2, 4]))
    >>> tf.nn.softmax(logits)[0, 1].numpy()
    array([0.5, 0.5, 0. ], dtype=float32)
    """

    def __init__(
        self,
        num_embeddings: int | Sequence[int],
        num_codebooks: int,
        channels: int,
        feature_channels: int,
        embedding_channels: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.num_codes = check_code_sizes(num_embeddings, num_codebooks)
        self.num_embeddings = max(self.num_codes)
        self.num_codebooks = num_codebooks
        self.channels = channels
        self.feature_channels = feature_channels
        self.embedding_channels = embedding_channels or feature_channels
        dtype = self.dtype_policy
        self.hidden = keras.layers.Dense(
            channels * num_codebooks, dtype=dtype, name="hidden"
        )
        self.earlier = [
            keras.layers.Dense(
                channels, use_bias=False, dtype=dtype, name=f"earlier_{g}"
            )
            for g in range(1, num_codebooks)
        ]
        self.outputs = [
            keras.layers.Dense(size, dtype=dtype, name=f"output_{g}")
            for g, size in enumerate(self.num_codes)
        ]

    def build(self, input_shape: tuple[int | None, ...] | None = None) -> None:
        self.hidden.build((None, self.feature_channels))
        for g, layer in enumerate(self.earlier, start=1):
            layer.build((None, g * self.embedding_channels))
        for layer in self.outputs:
            layer.build((None, self.channels))
        self.built = True

    def call(self, features: tf.Tensor, embedded: tf.Tensor) -> tf.Tensor:
        hidden = self.of_features(features)
        before = tf.unstack(embedded, self.num_codebooks, axis=-2)
        logits = [
            self.of_codebook(g, hidden[g], before[:g])
            for g in range(self.num_codebooks)
        ]
        return tf.stack(logits, axis=-2)

    def of_features(self, features: tf.Tensor) -> list[tf.Tensor]:
        """Returns each codebook's hidden units, a list of `[..., channels]`."""
        hidden = self.hidden(tf.nn.relu(features))
        return tf.split(hidden, self.num_codebooks, axis=-1)

    def of_codebook(
        self, g: int, hidden: tf.Tensor, before: list[tf.Tensor]
    ) -> tf.Tensor:
        """Returns float32 logits `[..., K]` of codebook g.

        Args:
            g: the codebook, 0..G-1.
            hidden: `[..., channels]`, its entry of `of_features`.
            before: embeddings of the g codes before it, `[..., channels]`
                each.
        """
        if g:
            hidden += self.earlier[g - 1](tf.concat(before, axis=-1))
        outputs = self.outputs[g](tf.nn.relu(hidden))
        return self.to_logits(tf.cast(outputs, tf.float32))

    def to_logits(self, outputs: tf.Tensor) -> tf.Tensor:
        """Maps a codebook's float32 outputs to logits `[..., K]`."""
        return pad_last(outputs, self.num_embeddings, NO_CODE_LOGIT)

    def log_prob(
        self, features: tf.Tensor, embedded: tf.Tensor, codes: tf.Tensor
    ) -> tf.Tensor:
        """Returns log-probabilities of codes, float32 `[batch, *grid, G]`.

        Args:
            features, embedded: as for `call`.
            codes: int32 `[batch, *grid, G]`.
        """
        return -tf.nn.sparse_softmax_cross_entropy_with_logits(
            codes, self(features, embedded)
        )

    def get_config(self) -> dict[str, Any]:
        sizes = as_argument(self.num_codes)
        return {**super().get_config(), "num_embeddings": sizes}
