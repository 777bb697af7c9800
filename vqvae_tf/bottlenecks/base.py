"""The interface of bottlenecks between an encoder and a decoder."""

from typing import Any, NamedTuple, NoReturn

import tensorflow as tf

from vqvae_tf.layers.configured import Configured
from vqvae_tf.utils.messages import with_article


class Draw(NamedTuple):
    """Samples of the decoder's input.

    Attributes:
        z: float32 `[S, B, *grid, C]`, S samples for each example.
        log_ratio: float32 `[S, B]`, log p(z) - log q(z | x) in nats; 0
            without a prior.
    """

    z: tf.Tensor
    log_ratio: tf.Tensor


class Bottleneck(Configured):
    """Maps an encoder's latents to the decoder's input.

    Subclasses implement `encode`; those that sample z also `sample`, those
    with a cost of their own `penalty`. Everything is computed in float32 under
    any dtype policy. An `Autoencoder` calls these methods, never the layer
    itself.

    Shapes:
        latents: float `[B, *grid, channels]`, the encoder's output.
        z: float32 `[S, B, *grid, C]`, S samples for each example.

    Attributes:
        metric_names: tuple of str, its metrics, reported by the model.
        has_prior: bool, whether `log_ratio` is defined, so that there is a
            bound to report.
        num_samples: int, S in training.
        resample: bool, whether the decoder is trained on only one of them.

    Example: the signs of the latents.

    >>> class Signs(Bottleneck):
    ...     def encode(self, latents):
    ...         return tf.sign(tf.cast(latents, tf.float32))
    >>> z, log_ratio = Signs().sample(tf.constant([[[0.5, -2.0]]]))
    >>> z.numpy().tolist()
    [[[[1.0, -1.0]]]]
    """

    metric_names = ()
    has_prior = False
    num_samples = 1
    resample = False

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"autocast": False, "dtype": "float32", **kwargs})

    def build(self, input_shape: tuple[int | None, ...] | None = None) -> None:
        """Creates the variables; by default there are none."""
        self.built = True

    def call(self, latents: tf.Tensor) -> NoReturn:
        raise ValueError(
            "A bottleneck is not called itself: its methods are called by an "
            "Autoencoder, which adds the penalty to the loss. Call encode for "
            "the representation, or sample for draws. Received: a call of "
            f"{with_article(self)}."
        )

    def num_channels(self, channels: int) -> int:
        """Returns the number of channels of z, given that of the latents."""
        return channels

    def encode(self, latents: tf.Tensor) -> tf.Tensor:
        """Returns the representation, without noise.

        Args:
            latents: float `[B, *grid, channels]`.

        Returns:
            float32 `[B, *grid, C]`.
        """
        raise NotImplementedError(
            f"{type(self).__name__} must implement encode."
        )

    def sample(
        self,
        latents: tf.Tensor,
        num_samples: int = 1,
        training: bool = False,
        seed: int | tf.Tensor | None = None,
    ) -> Draw:
        """Returns z, and the log-ratio of its prior and posterior.

        Args:
            latents: float `[B, *grid, channels]`.
            num_samples: S; without noise there is only one z.
            training: whether this is a training step.
            seed: of the samples, an integer or int32 [2].
        """
        return self.as_one_draw(self.encode(latents))

    def as_one_draw(self, z: tf.Tensor) -> Draw:
        """Returns z `[B, *grid, C]` as `sample` does, with S = 1."""
        return Draw(z[tf.newaxis], tf.zeros([1, tf.shape(z)[0]]))

    def penalty(
        self,
        latents: tf.Tensor,
        weight: tf.Tensor | None = None,
        training: bool = False,
    ) -> tuple[tf.Tensor, dict]:
        """Returns a cost to add to the loss, and metrics.

        Args:
            latents: float `[B, *grid, channels]`.
            weight: float [B], the weight of each example (0 is padding), or
                None for all 1.
            training: whether this is a training step.

        Returns:
            A float32 scalar in nats, the mean over examples, and a dict of
            metrics, each a value or a pair (value, weight).
        """
        return tf.zeros([]), {}
