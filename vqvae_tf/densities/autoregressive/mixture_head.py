"""A head for codes that are the ordered levels of a signal."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from vqvae_tf.densities.autoregressive.code_head import CodeHead
from vqvae_tf.densities.logistic_bins import log_mixture_mass
from vqvae_tf.utils.checks import check_positive


@keras.saving.register_keras_serializable("vqvae_tf")
class LogisticMixtureHead(CodeHead):
    """Masses of the levels 0..K-1 under a mixture of M discretized logistics.

    It has `3 M` outputs per position instead of K, and neighbouring levels have
    similar masses by construction. Its logits are the levels' log masses.

    Args:
        num_levels: K.
        channels: of the hidden layer.
        feature_channels: of the features.
        num_components: M.
        embedding_channels: as for `CodeHead`.

    Call arguments:
        features: float `[batch, *grid, feature_channels]`.
        embedded: ignored, since there is one codebook.

    Returns:
        float32 `[batch, *grid, 1, K]`, log masses that sum to 1.

    Example:

    >>> head = LogisticMixtureHead(256, channels=64, feature_channels=32)
    >>> head(tf.zeros([2, 8, 32]), tf.zeros([2, 8, 1, 32])).shape
    TensorShape([2, 8, 1, 256])

    References:
        Salimans et al. 2017, arXiv:1701.05517, eq. 2.
        van den Oord et al. 2017, arXiv:1711.10433, section 2.1 (waveforms).
    """

    # Initial scale, as a share of K, and minimal scale, in levels.
    INITIAL_SCALE = 0.1
    MIN_SCALE = 0.02

    def __init__(
        self,
        num_levels: int,
        channels: int,
        feature_channels: int,
        num_components: int = 10,
        embedding_channels: int | None = None,
        **kwargs: Any,
    ) -> None:
        self.num_levels = num_levels
        self.num_components = check_positive("num_components", num_components)
        super().__init__(
            3 * num_components,
            1,
            channels,
            feature_channels,
            embedding_channels,
            **kwargs,
        )

    def components(
        self, outputs: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Returns logits, means and scales, each `[M, n]`, means in levels.

        Args:
            outputs: float32 `[n, 3 M]`, of the last layer.
        """
        logits, mean, scale = tf.split(tf.transpose(outputs), 3)
        half = 0.5 * (self.num_levels - 1)
        # Components start apart: identical ones would stay identical.
        spread = 0.6 if self.num_components > 1 else 0.0
        spread = np.linspace(-spread, spread, self.num_components)
        mean += spread[:, np.newaxis].astype(np.float32)
        scale = self.INITIAL_SCALE * self.num_levels * tf.exp(scale)
        return logits, half * (1.0 + mean), tf.maximum(scale, self.MIN_SCALE)

    def to_logits(self, outputs: tf.Tensor) -> tf.Tensor:
        levels = self.num_levels
        shape = tf.shape(outputs)[:-1]
        flat = tf.reshape(outputs, [-1, outputs.shape[-1]])
        count = tf.shape(flat)[0]
        value = tf.tile(tf.range(levels, dtype=tf.float32), [count])
        each = [
            tf.reshape(
                tf.broadcast_to(
                    part[..., tf.newaxis],
                    [self.num_components, count, levels],
                ),
                [self.num_components, -1],
            )
            for part in self.components(flat)
        ]
        mass = log_mixture_mass(value, *each, high=levels - 1.0)
        logits = tf.reshape(mass, tf.concat([shape, [levels]], axis=0))
        return tf.ensure_shape(logits, [*outputs.shape[:-1], levels])

    def log_prob(
        self, features: tf.Tensor, embedded: tf.Tensor, codes: tf.Tensor
    ) -> tf.Tensor:
        (hidden,) = self.of_features(features)
        outputs = self.outputs[0](tf.nn.relu(hidden))
        outputs = tf.cast(outputs, tf.float32)
        flat = tf.reshape(outputs, [-1, outputs.shape[-1]])
        value = tf.cast(tf.reshape(codes, [-1]), tf.float32)
        mass = log_mixture_mass(
            value, *self.components(flat), high=self.num_levels - 1.0
        )
        return tf.reshape(mass, tf.shape(codes))

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        del config["num_embeddings"], config["num_codebooks"]
        return config
