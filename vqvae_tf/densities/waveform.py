"""A density of waveforms, through their levels."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from vqvae_tf.densities.base import DensityModel
from vqvae_tf.densities.sampling import Sampling, takes_sampling
from vqvae_tf.runtime.roles import check_role


@keras.saving.register_keras_serializable("vqvae_tf")
class WaveformDensity(DensityModel):
    """p(waveform) = p(levels), where a density of codes models the levels.

    The log-probability is that of the waveform's levels, a probability mass,
    so models with the same number of levels can be compared in bits per
    sample.

    Args:
        density: of integers `[batch, time]` in 0..K-1, usually a `WaveNet`.
        companding: a `layers.MuLaw` of K levels.

    Call arguments:
        value: float `[batch, time]` in [-1, 1].
        context, mask, training: as for the density.

    Returns:
        The log-probability, float32 `[batch]`, in nats.

    Raises:
        ValueError: for a density with a different number of levels or with
            several codebooks; for values of the wrong shape and (eagerly) for
            integers, NaN or values outside [-1, 1].

    Example: the decoder of a VQ-VAE of speech, with 64 samples per code.

    >>> decoder = WaveformDensity(
    ...     WaveNet(
    ...         256, hidden_channels=8, num_stacks=1, layers_per_stack=3,
    ...         local_channels=16, local_upsampling=64, global_channels=5,
    ...     ),
    ...     MuLaw(256),
    ... )
    >>> context = {"local": tf.zeros([1, 2, 16]), "global": tf.one_hot([1], 5)}
    >>> decoder.log_prob(tf.zeros([1, 128]), context).shape
    TensorShape([1])
    >>> waveform = decoder.sample(context=context, seed=0)
    >>> waveform.shape, waveform.dtype
    (TensorShape([1, 128]), tf.float32)
    """

    parts = ("density", "companding")

    def __init__(
        self,
        density: keras.Model,
        companding: keras.layers.Layer,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        check_role(self, "density", density, "density of codes")
        check_role(self, "companding", companding, "companding")
        codebooks = getattr(density, "num_codebooks", 1)
        if density.num_embeddings != companding.num_levels or codebooks != 1:
            raise ValueError(
                "The density must have one codebook of "
                f"{companding.num_levels} levels to match the companding. "
                f"Received: {codebooks} codebooks of {density.num_embeddings}."
            )
        self.density = density
        self.companding = companding

    event_shape = property(lambda self: self.density.event_shape)
    global_channels = property(lambda self: self.density.global_channels)
    local_channels = property(lambda self: self.density.local_channels)
    local_upsampling = property(lambda self: self.density.local_upsampling)

    def known_context(
        self, context: dict[str, tf.Tensor]
    ) -> dict[str, tf.Tensor]:
        return self.density.known_context(context)

    def build(self, input_shape: tuple[int | None, ...] | None = None) -> None:
        for part in (self.density, self.companding):
            if not part.built:
                part.build(None)
        self.built = True

    def compute_output_spec(
        self, value: keras.KerasTensor, *args: Any, **kwargs: Any
    ) -> keras.KerasTensor:
        # Like the density's, without calling it.
        return keras.KerasTensor((value.shape[0],), "float32")

    def call(
        self,
        value: tf.Tensor | np.ndarray,
        context: dict[str, tf.Tensor] | None = None,
        mask: tf.Tensor | None = None,
        training: bool = False,
    ) -> tf.Tensor:
        levels = self._levels(value)
        return self.density.log_prob(levels, context, mask, training)

    def logits(
        self,
        value: tf.Tensor | np.ndarray,
        context: dict[str, tf.Tensor] | None = None,
        training: bool = False,
    ) -> tf.Tensor:
        """Returns the levels' logits given the samples before them.

        Args:
            value: float `[batch, time]`.
            context, training: as for `call`.

        Returns:
            float32 `[batch, time, K]`.
        """
        return self.density.logits(self._levels(value), context, training)

    @takes_sampling
    def sample(
        self,
        num_samples: int | tf.Tensor | None = None,
        context: dict[str, tf.Tensor] | None = None,
        event_shape: Sequence[int | tf.Tensor] | None = None,
        sampling: Sampling | None = None,
    ) -> tf.Tensor:
        """Draws waveforms; other options as for the density's own `sample`.

        Args:
            num_samples, context, event_shape: as for `CodeDensity.sample`.
            given: waveforms to complete, float `[batch, time]`.
            given_mask: bool `[batch, time]`, true where a sample of `given` is
                kept; others are ignored.

        Returns:
            float32 `[num_samples, time]` in [-1, 1]: kept samples unchanged,
            all others decoded from levels.
        """
        sampling, given = sampling.checked(), None
        if sampling.given is not None:
            keep = tf.cast(sampling.given_mask, tf.bool)
            given = tf.convert_to_tensor(sampling.given)
            self.companding.check_rank(given)
            given = tf.where(keep, tf.cast(given, tf.float32), 0.0)
            sampling = sampling._replace(
                given=self._levels(given), given_mask=keep
            )
        waveform = self.companding.decode(
            self.density.sample(
                num_samples, context, event_shape, **sampling._asdict()
            )
        )
        return waveform if given is None else tf.where(keep, given, waveform)

    def mode(self, context: dict[str, tf.Tensor] | None = None) -> tf.Tensor:
        """Returns the waveform of the density's point estimate."""
        return self.companding.decode(self.density.mode(context))

    def export_signature(self) -> list:
        waveform = tf.TensorSpec([None, None], tf.float32, "waveform")
        return [waveform, *self.density.export_signature()[1:]]

    def check_input(self, x: tf.Tensor | np.ndarray) -> None:
        """Raises ValueError unless x are waveforms in [-1, 1]."""
        self.companding.check(x)

    def _levels(self, value):
        value = tf.convert_to_tensor(value)
        self.companding.check_rank(value)
        if tf.executing_eagerly():
            self.companding.check(value)
        return self.companding.encode(value)
