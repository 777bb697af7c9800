"""The base of models of sequences: frames, their features, beliefs."""

import math
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from vqvae_tf.densities.base import blank
from vqvae_tf.layers.configured import Configured
from vqvae_tf.layers.preprocessing import CodeEmbedding, PixelScaling
from vqvae_tf.layers.row_noise import RowNoise
from vqvae_tf.models.time_axis import each
from vqvae_tf.runtime.roles import check_role
from vqvae_tf.runtime.step import StepModel, split_weight
from vqvae_tf.utils import tensor_checks

# The longest sequence that is not read in a loop.
_UNROLLED = 32


class BeliefModel(Configured, StepModel):
    """A model of sequences whose state is computed by a recurrent layer.

    `x_t --preprocess--> --encoder--> features --recurrent--> b_t`: the belief
    b_t depends on x_1, ..., x_t alone.

    Args:
        encoder: maps preprocessed frames to features `[batch, ...]`, which are
            flattened: a `DenseEncoder`, an `Encoder`, a Keras layer.
        recurrent: a Keras layer such as `keras.layers.LSTM(64,
            return_sequences=True)`.
        decoder: a density of frames. Its context is `"global"`, float
            `[batch, channels]`, if it has `global_channels`, else `"local"`
            `[batch, 1, 1, channels]`.
        preprocess: a layer between frames as stored and the encoder;
            `PixelScaling()` by default.
        event_shape: the shape of a frame, for instance (28, 28, 1), or (1,)
            for a sequence of numbers.
        seed: int, of the noise in training; a random one by default.

    Raises:
        ValueError: for parts that do not fit, sequences of other frames, and
            weights that are no mask of leading frames.
    """

    parts = ("encoder", "recurrent", "decoder", "preprocess")

    def __init__(
        self,
        encoder: keras.layers.Layer,
        recurrent: keras.layers.Layer,
        decoder: keras.layers.Layer,
        preprocess: keras.layers.Layer | None = None,
        event_shape: tuple[int, ...] = (28, 28, 1),
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        preprocess = preprocess or PixelScaling()
        check_role(self, "encoder", encoder, "network")
        check_role(self, "recurrent", recurrent, "layer")
        check_role(self, "decoder", decoder, "density")
        check_role(self, "preprocess", preprocess, "layer")
        _check_recurrent(recurrent)
        self.encoder = encoder
        self.recurrent = recurrent
        self.decoder = decoder
        self.preprocess = preprocess
        self.event_shape = tuple(event_shape)
        self.seed = seed
        self.noise = RowNoise(seed, name="noise")

    @property
    def example_shape(self) -> tuple[int | None, ...]:
        return (None, *self.event_shape)

    @property
    def frame_dtype(self) -> tf.DType:
        """How frames are stored: uint8 pixels, int32 codes, float32 numbers."""
        if isinstance(self.preprocess, PixelScaling):
            return tf.uint8
        coded = isinstance(self.preprocess, CodeEmbedding)
        return tf.int32 if coded else tf.float32

    @property
    def belief_size(self) -> int:
        """The number of channels of b_t."""
        return self.recurrent.units

    def build_parts(self, channels: int) -> None:
        """Builds the parts of the class.

        Args:
            channels: of the decoder's context.
        """
        x = keras.KerasTensor((None, *self.event_shape), "float32")
        features = self.encoder(self.preprocess(x))
        size = math.prod(features.shape[1:])
        if not self.recurrent.built:
            self.recurrent.build((None, None, size))
        axes = () if self.decoder.global_channels else (1, 1)
        context = keras.KerasTensor((None, *axes, channels), "float32")
        self.decoder(x, context={self._entry: context})

    def belief(self, frames: tf.Tensor | np.ndarray) -> tf.Tensor:
        """Returns b_t, what is believed after each frame.

        Args:
            frames: as stored, `[batch, time, *event]`.

        Returns:
            float32 `[batch, time, belief_size]`.
        """
        frames = tensor_checks.as_tensor("frames", frames)
        self.check_input(frames)
        return self.beliefs(frames)

    def beliefs(self, frames: tf.Tensor, training: bool = False) -> tf.Tensor:
        """As `belief`, without checks of values."""
        self.check_spec(frames)
        if not self.built:
            self.build()
        return self.read(self.features(frames, training), None, training)[0]

    def read(
        self, features: tf.Tensor, states: Any = None, training: bool = False
    ) -> tuple[tf.Tensor, Any]:
        """Returns b_t, and the recurrent layer's states after the last frame.

        Args:
            features: `[batch, time, size]`.
            states: before the first frame, from `read`; None for a beginning.
            training: whether to drop, if the layer drops.
        """
        time = features.shape[1]
        reader = keras.layers.RNN(
            self.recurrent.cell,
            return_sequences=True,
            return_state=True,
            # A loop in the graph takes twice the time of some steps in a row,
            # which are slow to trace if they are many.
            unroll=time is not None and time <= _UNROLLED,
            dtype=self.recurrent.dtype_policy,
        )
        b, *states = reader(features, initial_state=states, training=training)
        return tf.cast(b, tf.float32), states

    def features(self, frames: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Returns what the recurrent layer sees, `[batch, time, size]`."""

        def of_rows(rows):
            found = self.encoder(self.preprocess(rows), training=training)
            return tf.reshape(found, [-1, math.prod(found.shape[1:])])

        # Cast here, since the model has autocast off.
        return tf.cast(each(of_rows, frames), self.recurrent.compute_dtype)

    # The decoder --------------------------------------------------------------

    @property
    def _entry(self):
        return "global" if self.decoder.global_channels else "local"

    def decoder_context(self, channels: tf.Tensor) -> dict[str, tf.Tensor]:
        """Returns the decoder's context, of float `[rows, channels]`."""
        if self._entry == "local":
            channels = channels[:, tf.newaxis, tf.newaxis]
        return {self._entry: channels}

    # Batches ------------------------------------------------------------------

    def frames_and_lengths(
        self, x: tf.Tensor, weight: tf.Tensor | None
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns frames without padding's values, and the lengths int32 [B].

        Args:
            x: frames `[batch, time, *event]`.
            weight: `[batch]`, a mask `[batch, time]` of leading frames, or
                None.
        """
        self.check_spec(x)
        mask, _ = split_weight(weight)
        if mask is None:
            return x, tf.fill(tf.shape(x)[:1], tf.shape(x)[1])
        if len(mask.shape) != 2:
            raise ValueError(
                "A sample weight of sequences is [batch], or a mask [batch, "
                "time] whose frames of weight 0 come last. Received: shape "
                f"{tuple(mask.shape)}."
            )
        kept = tf.cast(tf.not_equal(mask, 0), tf.int32)
        return blank(x, mask), tf.reduce_sum(kept, axis=1)

    def rows_noise(
        self,
        rows: int | tf.Tensor,
        size: int | tf.Tensor,
        training: bool = False,
        seed: tf.Tensor | None = None,
    ) -> tf.Tensor:
        """Returns uniform noise `[rows, size]` that replicas do not change.

        Args:
            rows: the batch of this replica.
            size: of each row.
            training: whether a new seed is drawn unless one is given.
            seed: an integer, or int32 [2]; 0 by default.
        """
        if training and seed is None:
            seed = self.noise.next_seed()
        shape = tf.stack([rows, size])
        found = self.noise.uniform(shape, 0 if seed is None else seed)
        return (
            found
            if tf.is_tensor(size)
            else tf.ensure_shape(found, [None, size])
        )

    # Checks -------------------------------------------------------------------

    def check_spec(self, spec: Any) -> None:
        shape = tuple(spec.shape)
        expected = (None, None, *self.event_shape)
        fits = len(shape) == len(expected) and all(
            None in pair or pair[0] == pair[1] for pair in zip(shape, expected)
        )
        if not fits:
            names = ", ".join(map(str, ("batch", "time", *self.event_shape)))
            raise ValueError(
                f"Expected frames of shape [{names}]. Received: frames of "
                f"shape {shape}."
            )

    def check_length(self, time: int | None) -> None:
        """Raises ValueError for sequences too short to train on."""

    def check_input(self, x: tf.Tensor | np.ndarray) -> None:
        """Raises ValueError for implausible frames; graphs check shapes."""
        self.check_spec(x)
        if tf.is_tensor(x) and not hasattr(x, "numpy"):
            return
        if hasattr(self.preprocess, "check"):
            self.preprocess.check(x)
        else:
            tensor_checks.check_finite("frames", x)

    def check_context(self, context: dict | None) -> None:
        if context:
            raise ValueError(
                f"{type(self).__name__} takes frames alone. Received: a "
                f"context with the entries {sorted(context)}."
            )

    def export_signature(self) -> list:
        coded = isinstance(self.preprocess, CodeEmbedding)
        dtype = tf.int32 if coded else tf.float32
        return [tf.TensorSpec([None, None, *self.event_shape], dtype, "x")]


def _check_recurrent(layer):
    """Raises ValueError unless a layer has a state for each frame."""
    fits = getattr(layer, "return_sequences", False) and hasattr(layer, "units")
    if fits and not layer.go_backwards and not layer.stateful:
        return
    options = ("return_sequences", "go_backwards", "stateful")
    found = {k: getattr(layer, k) for k in options if hasattr(layer, k)}
    raise ValueError(
        "recurrent must be a Keras layer with units that returns a state for "
        "each frame, from the first to the last: keras.layers.LSTM(64, "
        "return_sequences=True), GRU or SimpleRNN. Received: "
        f"{type(layer).__name__} with {found}."
    )
