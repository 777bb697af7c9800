"""Group normalization in half the time of Keras'."""

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable("vqvae_tf")
class GroupNorm(keras.layers.GroupNormalization):
    """`keras.layers.GroupNormalization` over the last axis, but faster.

    The moments are means over positions of each channel, joined within groups;
    what is then applied is one scale and one offset for each channel. Keras
    reshapes the data into groups. Weights and results are the same, but for
    rounding.

    Args:
        args, kwargs: as for `keras.layers.GroupNormalization`; `axis` is -1.

    Call arguments:
        inputs: float `[batch, *sizes, channels]`.

    Returns:
        A tensor of the shape of the inputs, of the layer's dtype.

    Raises:
        ValueError: for another axis.

    Example:

    >>> layer = GroupNorm(groups=2)
    >>> layer(tf.constant([[[1.0, 3.0, 5.0, 5.0]]])).numpy().round(2)
    array([[[-1.,  1.,  0.,  0.]]], dtype=float32)

    References:
        Wu and He 2018, arXiv:1803.08494.
    """

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        if self.axis not in (-1, len(input_shape) - 1):
            raise ValueError(
                "GroupNorm is of the last axis. Received: "
                f"axis={self.axis} for inputs of shape {tuple(input_shape)}."
            )
        super().build(input_shape)

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        x = tf.cast(inputs, tf.float32)
        mean = self._of_groups(x)
        variance = self._of_groups(tf.math.squared_difference(x, mean))
        scale = tf.math.rsqrt(variance + self.epsilon)
        if self.scale:
            scale *= tf.cast(self.gamma, tf.float32)
        offset = -mean * scale
        if self.center:
            offset += tf.cast(self.beta, tf.float32)
        return tf.cast(x * scale + offset, self.compute_dtype)

    def _of_groups(self, x):
        """Returns each group's mean, `[batch, *ones, channels]`."""
        channels = x.shape[-1]
        axes = list(range(1, len(x.shape) - 1))
        means = tf.reduce_mean(x, axes) if axes else x
        means = tf.reshape(means, [-1, self.groups, channels // self.groups])
        means = tf.reduce_mean(means, axis=-1)
        means = tf.repeat(means, channels // self.groups, axis=-1)
        return tf.reshape(means, [-1, *[1] * len(axes), channels])
