"""An adversarial classifier of latents, with gradient reversal."""

from typing import Any

import keras
import tensorflow as tf

from vqvae_tf.layers.configured import Configured
from vqvae_tf.layers.inner_dense import InnerDense
from vqvae_tf.runtime.freezing import Composite
from vqvae_tf.utils.checks import check_not_negative, check_positive


@keras.saving.register_keras_serializable("vqvae_tf")
class LabelAdversary(Configured, Composite):
    """Predicts a label from latents, and trains the encoder to remove it.

    A small convolutional classifier of the sequence is trained to predict the
    label, such as the speaker. Its gradient with respect to the latents is
    reversed and weighted, so the encoder removes information about the label,
    unless the rest of the loss needs it.

    Args:
        num_classes: int, S, the number of labels.
        channels: int, of the classifier's two convolutions of window 3; 128
            by default.
        weight: float, of the reversed gradient; 0.03 by default. 0 trains only
            the classifier.

    Call arguments:
        latents: float `[batch, time, channels]`.
        labels: one-hot, float `[batch, S]`.
        mask: float `[batch, time]`, 0 at padding, or None.

    Returns:
        The cross-entropy in nats, to be added to the loss, and whether the
        prediction was right, both float32 `[batch]`.

    Raises:
        ValueError: for sizes below 1, or a negative weight.

    Example: a gradient step makes the label harder to predict.

    >>> layer = LabelAdversary(2, channels=8, weight=1.0)
    >>> latents = tf.Variable(tf.one_hot([[0, 0], [1, 1]], 2))
    >>> with tf.GradientTape() as tape:
    ...     loss = tf.reduce_mean(layer(latents, tf.one_hot([0, 1], 2))[0])
    >>> step = tape.gradient(loss, latents)
    >>> latents.assign_sub(0.1 * step).shape
    TensorShape([2, 2, 2])
    >>> further = tf.reduce_mean(layer(latents, tf.one_hot([0, 1], 2))[0])
    >>> bool(further > loss)
    True

    References:
        Ganin and Lempitsky 2015, arXiv:1409.7495, section 3.2 (the reversal).
        Mor et al. 2018, arXiv:1805.07848, section 3 (for a WaveNet's encoder).
    """

    def __init__(
        self,
        num_classes: int,
        channels: int = 128,
        weight: float = 0.03,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.num_classes = check_positive("num_classes", num_classes)
        self.channels = check_positive("channels", channels)
        self.weight = float(check_not_negative("weight", weight))
        self.convolutions = [
            keras.layers.Conv1D(
                channels,
                3,
                padding="same",
                dtype=self.dtype_policy,
                name=f"conv_{i}",
            )
            for i in range(2)
        ]
        self.logits = InnerDense(
            num_classes, dtype=self.dtype_policy, name="logits"
        )

    def build(
        self,
        latents_shape: tuple[int | None, ...],
        labels_shape: tuple[int | None, ...] | None = None,
        mask_shape: tuple[int | None, ...] | None = None,
    ) -> None:
        shape = (None, None, latents_shape[-1])
        for layer in self.convolutions:
            layer.build(shape)
            shape = (None, None, self.channels)
        self.logits.build(shape)
        self.built = True

    def call(
        self,
        latents: tf.Tensor,
        labels: tf.Tensor,
        mask: tf.Tensor | None = None,
    ) -> tuple[tf.Tensor, tf.Tensor]:
        if mask is None:
            mask = tf.ones(tf.shape(latents)[:2])
        weight = tf.cast(mask, latents.dtype)[..., tf.newaxis]
        x = _reversed_gradient(latents, self.weight)
        for layer in self.convolutions:
            x = tf.nn.relu(layer(x * weight))
        logits = tf.cast(self.logits(x), tf.float32)
        weight = tf.cast(weight, tf.float32)
        logits = tf.math.divide_no_nan(
            tf.reduce_sum(logits * weight, axis=1), tf.reduce_sum(weight, 1)
        )
        right = tf.argmax(logits, axis=-1) == tf.argmax(labels, axis=-1)
        return (
            tf.nn.softmax_cross_entropy_with_logits(labels, logits),
            tf.cast(right, tf.float32),
        )


def _reversed_gradient(x, weight):
    """Returns x, with the gradient of -weight * x."""

    @tf.custom_gradient
    def identity(x):
        # Not -weight: TensorFlow caches scalars, and would then use -0.0 for
        # every 0.0.
        return tf.identity(x), lambda dy: -(weight * dy)

    return identity(x)
