"""The bottleneck of a k-sparse autoencoder."""

from typing import Any

import keras
import tensorflow as tf

from vqvae_tf.bottlenecks.base import Bottleneck, Draw
from vqvae_tf.utils.checks import check_positive


@keras.saving.register_keras_serializable("vqvae_tf")
class KSparse(Bottleneck):
    """Keeps the k largest activations of an example, and their gradients.

    A unit is one position and channel; the k largest of all units of an
    example are kept, by value (not by magnitude: activations are linear).
    Exactly k are kept: ties go to the first.

    Args:
        k: int, the number of units kept in training.
        test_factor: float, at least 1. Outside training
            `round(test_factor * k)` are kept, at most all: the paper's
            alpha k. The paper chooses alpha for each data set by validation;
            here it is 1.5 by default.

    Raises:
        ValueError: for k below 1 or a test_factor below 1; for latents of
            fewer than k units.

    Example:

    >>> bottleneck = KSparse(1, test_factor=2)
    >>> latents = tf.constant([[3.0, 1.0, 2.0]])
    >>> bottleneck.sample(latents, training=True)[0].numpy()
    array([[[3., 0., 0.]]], dtype=float32)
    >>> bottleneck.encode(latents).numpy()
    array([[3., 0., 2.]], dtype=float32)

    References:
        Makhzani and Frey 2013, "k-sparse autoencoders", arXiv:1312.5663,
        section 2.1.
    """

    def __init__(self, k: int, test_factor: float = 1.5, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.k = check_positive("k", k)
        if not isinstance(test_factor, (int, float)) or test_factor < 1:
            raise ValueError(
                "test_factor must be a number of at least 1. Received: "
                f"test_factor={test_factor!r}."
            )
        self.test_factor = test_factor

    @property
    def test_k(self) -> int:
        """The number of activations kept outside training."""
        return round(self.test_factor * self.k)

    def encode(self, latents: tf.Tensor) -> tf.Tensor:
        return self._keep(latents, self.test_k)

    def sample(
        self,
        latents: tf.Tensor,
        num_samples: int = 1,
        training: bool = False,
        seed: int | tf.Tensor | None = None,
    ) -> Draw:
        count = self.k if training else self.test_k
        return self.as_one_draw(self._keep(latents, count))

    def _keep(self, latents, count):
        latents = tf.cast(latents, tf.float32)
        units = latents.shape[1:].num_elements()
        if units is None:
            units = tf.reduce_prod(tf.shape(latents)[1:])
        elif self.k > units:
            raise ValueError(
                f"Latents of {units} units cannot keep k={self.k}. Received: "
                f"latents of shape {tuple(latents.shape)}. Use a smaller k, or "
                "more channels."
            )
        flat = tf.reshape(latents, [-1, units])
        kept = _largest(flat, tf.minimum(count, units))
        kept = tf.reshape(kept, tf.shape(latents))
        return tf.where(kept, latents, tf.zeros_like(latents))


def _largest(x, count):
    """Returns where the `count` largest of each row are, bool `[B, U]`."""
    columns = tf.math.top_k(x, count).indices
    rows = tf.broadcast_to(
        tf.range(tf.shape(x)[0])[:, tf.newaxis], tf.shape(columns)
    )
    places = tf.stack([rows, columns], axis=-1)
    ones = tf.ones(tf.shape(columns), tf.int32)
    return tf.scatter_nd(places, ones, tf.shape(x)) > 0
