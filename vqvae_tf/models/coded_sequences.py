"""A model of sequences of codes, with the autoencoder of the frames."""

from collections.abc import Sequence
from typing import Any, NoReturn

import keras
import numpy as np
import tensorflow as tf

from vqvae_tf.models.frame_codes import FrameCodes
from vqvae_tf.runtime import random
from vqvae_tf.runtime.roles import check_role


@keras.saving.register_keras_serializable("vqvae_tf")
class CodedSequenceModel(FrameCodes):
    """Sees, continues and decodes sequences of frames by way of their codes.

    The two parts are trained separately: the autoencoder on frames, then the
    model on clips of their codes.

    Args:
        autoencoder: a `VQVAE` of frames.
        model: a `TDVAE`, or another `SequenceModel`, of its codes.

    Raises:
        ValueError: if the model's frames are no code maps of the autoencoder.

    Example:

    >>> base = LatentGenerator.from_preset("vqvae_dmlab84").autoencoder
    >>> model = CodedSequenceModel(
    ...     base,
    ...     models.TDVAE(
    ...         keras.layers.Flatten(),
    ...         keras.layers.GRU(16, return_sequences=True),
    ...         PixelCNN(8, (8, 8), local_channels=16, local_upsampling=8),
    ...         preprocess=CodeEmbedding(8, 4),
    ...         event_shape=(8, 8),
    ...     ),
    ... )
    >>> model.belief(tf.zeros([1, 3, 32, 32, 3], tf.uint8)).shape
    TensorShape([1, 3, 16])
    """

    loss_names = ()
    parts = ("autoencoder", "model")

    def __init__(
        self, autoencoder: keras.Model, model: keras.Model, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        check_role(self, "autoencoder", autoencoder, "autoencoder")
        self.autoencoder = autoencoder
        self.model = model
        shape = _codes_shape(autoencoder)
        event = getattr(model, "event_shape", ())
        if len(shape) != len(event) or any(
            a not in (None, b) for a, b in zip(shape, event)
        ):
            raise ValueError(
                f"The autoencoder has code maps of shape {shape}. Received: a "
                f"{type(model).__name__} with frames of shape {tuple(event)}. "
                f"Make it with event_shape={shape}."
            )

    @property
    def event_shape(self) -> tuple[int, ...]:
        """The shape of a frame, (height, width, channels)."""
        factor, grid = self.autoencoder.downsampling, self.model.event_shape[:2]
        return (*(factor * n for n in grid), self.autoencoder.event_shape[-1])

    @property
    def example_shape(self) -> tuple[int | None, ...]:
        return (None, *self.event_shape)

    @property
    def frame_dtype(self) -> tf.DType:
        """How frames are stored: uint8 pixels."""
        return tf.uint8

    @property
    def belief_size(self) -> int:
        """The number of channels of b_t."""
        return self.model.belief_size

    def check_codes(self, codes: tf.Tensor) -> None:
        self.model.check_spec(codes)

    def belief(self, frames: tf.Tensor | np.ndarray) -> tf.Tensor:
        """Returns b_t of frames; see `TDVAE.belief`."""
        return self.model.belief(self.encode(frames))

    def rollout(
        self,
        frames: tf.Tensor | np.ndarray,
        steps: int | None = None,
        times: Sequence[int] | None = None,
        num_futures: int = 1,
        seed: int | tf.Tensor | None = None,
        temperature: float | tf.Tensor = 1.0,
    ) -> tf.Tensor:
        """Continues sequences of frames; see `TDVAE.rollout`.

        Returns:
            uint8 `[batch * num_futures, n, height, width, channels]`.
        """
        codes = self.model.rollout(
            self.encode(frames),
            steps,
            times,
            num_futures,
            random.make_seed(seed),
            temperature,
        )
        return self.decode(codes)

    def log_prob(
        self, frames: tf.Tensor | np.ndarray, *args: Any, **options: Any
    ) -> tf.Tensor:
        """Returns the bound on the last frame's codes; see `TDVAE.log_prob`."""
        return self.model.log_prob(self.encode(frames), *args, **options)

    def compute_losses(
        self,
        x: tf.Tensor,
        context: dict[str, tf.Tensor] | None = None,
        weight: tf.Tensor | None = None,
        training: bool = False,
    ) -> NoReturn:
        raise RuntimeError(
            "A CodedSequenceModel is trained in two stages: fit its "
            "autoencoder on frames, then its model on clips of their codes "
            "(data.EpisodeSequences). Received: a call of fit or evaluate."
        )


def _codes_shape(autoencoder):
    """Returns the shape of a frame's codes; None for sizes that may vary."""
    quantizer = autoencoder.quantizer
    grid = [
        n and n // autoencoder.downsampling
        for n in (autoencoder.event_shape[:2])
    ]
    return (*grid, *quantizer.codes_shape((quantizer.channels,)))
