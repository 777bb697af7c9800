"""The interface of every quantizer, and what they all share."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from vqvae_tf.quantizers import lookup
from vqvae_tf.quantizers.codes import Codes, without_masked
from vqvae_tf.quantizers.gradients import GRADIENTS
from vqvae_tf.quantizers.positions import of_shape, position_weights
from vqvae_tf.quantizers.sharing import Shareable
from vqvae_tf.quantizers.usage import CodebookUsage
from vqvae_tf.runtime.replicas import ReplicaLosses
from vqvae_tf.utils.checks import check_positive
from vqvae_tf.utils.code_sizes import check_code_sizes


class Quantizer(Codes, Shareable, ReplicaLosses):
    """Replaces each latent vector by one of finitely many vectors.

    Latents are `[batch, ..., channels]`; each position is quantized on its
    own, to G codes in 0..K-1. This class handles everything except the search
    itself: shapes and dtypes, masks, straight-through gradients, usage
    statistics, symbolic tensors and checks.

    A subclass defines, for N vectors z, float32 `[N, channels]`:

    * `search(z)`: their codes, int32 `[G, N]`;
    * `look_up(codes)`: the vectors of codes `[G, N]`, shaped like z;
    * `get_config()`;

    and, if the defaults do not suit:

    * `loss(z, quantized, codes, weights)`: passed to `add_loss`; 0 by default;
    * `build(input_shape)`: creates variables, after `super().build(...)`;
    * `to_search_space(z)`, `from_search_space(quantized)`: map to and from the
      space that is searched, such as groups of channels, a bounded range or
      the unit sphere. The other methods work in that space (axis -2 is N),
      and the straight-through gradient is applied there;
    * `prepare(z, weights)`, `learn(z, codes, counts, weights, prepared)`:
      update the state before and after the search of a training step.

    Args:
        num_embeddings: K, the number of values of a code; or a sequence of G
            numbers, one for each codebook, of which K is the largest.
        channels: size of the latents' last axis.
        num_codebooks: G, the number of codes per position.

    Attributes:
        channels, num_codebooks: as given.
        num_embeddings: K.
        num_codes: a tuple of G ints, how many codes each codebook has; all are
            K unless they were given one by one.
        gradient: "straight_through"; subclasses may set "rotation".
        bits_per_position: float, the sum of log2 over `num_codes`.
        usage_metric: the `CodebookUsage` since the last reset; its
            `per_codebook()` gives perplexity and usage of each.

    Call arguments:
        latents: float `[batch, ..., channels]`, of rank 2 or more.
        training: the state is updated only if this is true and the layer is
            trainable. Graphs count code usage only if it is given, True or
            False; exported models leave it out.
        mask: optional bool or float, `[batch, ...]` without the channel axis,
            or `[batch]`. Masked latents (0) are quantized but excluded from
            the loss and all statistics.
        return_codes: whether to also return the codes of the same search.
        mask_codes: whether the codes of masked latents are -1, which `decode`
            turns into zeros; False by default.
        only: used by `encode` ("codes") and `decode` ("embeddings") when they
            are called with symbolic tensors.

    Returns:
        Quantized latents, of the shape and dtype of `latents`; with
        `return_codes` a pair of these and the codes, as `encode` returns them.

    Raises:
        ValueError: for the wrong number of channels or shape of the mask.

    Example: each channel becomes -1 or 1.

    >>> class Signs(Quantizer):
    ...     def __init__(self, channels, **kwargs):
    ...         super().__init__(2**channels, channels, **kwargs)
    ...
    ...     def search(self, z):
    ...         bits = tf.cast(z > 0, tf.int32)
    ...         bits *= 2 ** tf.range(self.channels)
    ...         return tf.reduce_sum(bits, axis=-1)[tf.newaxis]
    ...
    ...     def look_up(self, codes):
    ...         bits = codes[0, :, None] // 2 ** tf.range(self.channels) % 2
    ...         return 2.0 * tf.cast(bits, tf.float32) - 1.0
    ...
    ...     def get_config(self):
    ...         return {**super().get_config(), "channels": self.channels}
    >>> layer = Signs(channels=2)
    >>> quantized, codes = layer(tf.constant([[0.5, -3.0]]), return_codes=True)
    >>> quantized.numpy(), codes.numpy()
    (array([[ 1., -1.]], dtype=float32), array([1], dtype=int32))
    """

    gradient = "straight_through"

    def __init__(
        self,
        num_embeddings: int | Sequence[int],
        channels: int,
        num_codebooks: int = 1,
        **kwargs: Any,
    ) -> None:
        super().__init__(**{"autocast": False, **kwargs})
        self.num_codebooks = check_positive("num_codebooks", num_codebooks)
        self.num_codes = check_code_sizes(num_embeddings, self.num_codebooks)
        self.num_embeddings = max(self.num_codes)
        self.channels = check_positive("channels", channels)
        self.supports_masking = True
        self.usage_metric = CodebookUsage(
            self.num_codes, self.num_codebooks, prefix=f"{self.name}_"
        )

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        self._check_channels(input_shape)
        self.built = True

    # Defined by subclasses ----------------------------------------------------

    def search(self, z: tf.Tensor) -> tf.Tensor:
        """Returns codes, int32 `[G, N]`, of z in the search space."""
        raise NotImplementedError(
            f"{type(self).__name__} must implement search."
        )

    def look_up(self, codes: tf.Tensor) -> tf.Tensor:
        """Returns the vectors of codes `[G, N]`, shaped like z."""
        raise NotImplementedError(
            f"{type(self).__name__} must implement look_up."
        )

    def loss(
        self,
        z: tf.Tensor,
        quantized: tf.Tensor,
        codes: tf.Tensor,
        weights: tf.Tensor | None,
    ) -> tf.Tensor:
        """Returns a scalar to be added to the loss; by default 0.

        Args:
            z: latents in the search space.
            quantized: the vectors of their codes, shaped like z.
            codes: int32 `[G, N]`.
            weights: float32 `[N]`, the weight of each latent, or None for 1.
        """
        return tf.zeros([])

    def to_search_space(self, z: tf.Tensor) -> tf.Tensor:
        """Maps float32 `[N, channels]` to the space that is searched."""
        return z

    def from_search_space(self, quantized: tf.Tensor) -> tf.Tensor:
        """Maps the result of `look_up` back to `[N, channels]`."""
        return quantized

    def pass_gradients(
        self, z: tf.Tensor, quantized: tf.Tensor, training: bool | None
    ) -> tf.Tensor:
        """Returns `quantized`, whose gradient goes to z by `gradient`."""
        return GRADIENTS[self.gradient](z, quantized)

    def prepare(self, z: tf.Tensor, weights: tf.Tensor | None) -> Any:
        """Updates the state before a training step's search.

        Returns:
            Anything; it is passed to `learn`.
        """

    def learn(
        self,
        z: tf.Tensor,
        codes: tf.Tensor,
        counts: tf.Tensor,
        weights: tf.Tensor | None,
        prepared: Any,
    ) -> None:
        """Updates the state after a training step's search.

        Args:
            z, codes, weights: as for `loss`.
            counts: float32 `[G, K]`, how often this replica used each code.
            prepared: the result of `prepare`.
        """

    # Latents to quantized latents ---------------------------------------------

    def call(
        self,
        latents: tf.Tensor,
        training: bool | None = None,
        mask: tf.Tensor | None = None,
        return_codes: bool = False,
        only: str | None = None,
        mask_codes: bool = False,
    ) -> tf.Tensor | tuple[tf.Tensor, tf.Tensor]:
        if only == "codes":
            return self.encode(latents, mask if mask_codes else None)
        if only is not None:
            _check_only(only)
            return self.decode(latents)
        z = self._vectors(latents)
        weights = position_weights(latents, mask)
        examples = tf.shape(latents)[0]
        quantized, codes, _, loss = self.quantize_vectors(
            z, weights, training, examples
        )
        self.add_loss(loss)
        passed = self.pass_gradients(z, quantized, training)
        quantized = self._positions_of(passed, latents)
        quantized = tf.cast(quantized, latents.dtype)
        if return_codes:
            kept = weights if mask_codes else None
            return quantized, self._codes_of_positions(codes, latents, kept)
        return quantized

    def quantize_vectors(
        self,
        z: tf.Tensor,
        weights: tf.Tensor | None,
        training: bool | None,
        examples: tf.Tensor,
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor | None, tf.Tensor]:
        """Searches, and in training learns: the whole layer but for shapes.

        Args:
            z: float32, in the search space.
            weights: float32 `[N]`, or None for 1.
            training: as for the layer.
            examples: int32, how many examples the N positions belong to; those
                of one example are next to each other.

        Returns:
            The vectors of the codes, shaped like z; the codes, int32 `[G, N]`;
            their counts, float32 `[G, K]`, or None if nothing is counted; and
            the loss.
        """
        update = bool(training) and self.trainable
        prepared = self.prepare(z, weights) if update else None
        codes = self.choose(z, training)
        return self.finish(z, codes, weights, training, prepared)

    def finish(
        self,
        z: tf.Tensor,
        codes: tf.Tensor,
        weights: tf.Tensor | None,
        training: bool | None,
        prepared: Any,
        quantized: tf.Tensor | None = None,
        learns: bool = True,
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor | None, tf.Tensor]:
        """Does what follows the search; as `quantize_vectors`, given codes.

        Args:
            z, weights, training: as for `quantize_vectors`.
            codes: int32 `[G, N]`.
            prepared: the result of `prepare`, None where nothing is learned.
            quantized: the vectors of the codes, where they are known already.
            learns: whether `learn` is called in training; else the caller does.
        """
        if quantized is None:
            quantized = self.look_up(codes)
        # Before the codebook moves: a loss may look at it.
        loss, counts = self.loss(z, quantized, codes, weights), None
        if self._counts(training):
            counts = lookup.code_counts(codes, self.num_embeddings, weights)
            if learns and training and self.trainable:
                self.learn(z, codes, counts, weights, prepared)
            self.usage_metric.update_state(counts)
        return quantized, codes, counts, loss

    def _counts(self, training):
        # A graph without `training` is for inference, such as an export, where
        # metrics are not read and other runtimes cannot update them.
        return training is not None or tf.executing_eagerly()

    def _vectors(self, latents):
        """`[batch, ..., channels]` to float32 z in the search space."""
        self._check_channels(latents.shape)
        if not latents.dtype.is_floating:
            raise ValueError(
                "Latents must be floating-point vectors. Received: latents of "
                f"dtype {latents.dtype.name}. To look up codes, call `decode`."
            )
        z = tf.reshape(tf.cast(latents, tf.float32), [-1, self.channels])
        return self.to_search_space(z)

    def _positions_of(self, quantized, latents):
        """Reshapes looked-up vectors like `latents`."""
        quantized = self.from_search_space(quantized)
        quantized = tf.reshape(quantized, tf.shape(latents))
        return of_shape(quantized, latents.shape)

    def _codes_of_positions(self, codes, latents, weights):
        """Reshapes codes `[G, N]` to the positions of `latents`."""
        codes = tf.transpose(without_masked(codes, weights))
        shape = self.codes_shape(latents.shape)
        sizes = tf.shape(latents)[:-1]
        if self.num_codebooks > 1:
            sizes = tf.concat([sizes, [self.num_codebooks]], axis=0)
        return of_shape(tf.reshape(codes, sizes), shape)

    # Codes --------------------------------------------------------------------

    def encode(
        self,
        latents: tf.Tensor | np.ndarray | keras.KerasTensor,
        mask: tf.Tensor | None = None,
    ) -> tf.Tensor:
        """Returns the codes of latents.

        Args:
            latents: float `[batch, ..., channels]`, or a symbolic tensor (of
                `keras.Input`).
            mask: as for the layer. The codes of masked latents are -1.

        Returns:
            int32 `[batch, ...]`, with a last axis G where G > 1.
        """
        if isinstance(latents, keras.KerasTensor):
            masked = mask is not None
            return self(latents, mask=mask, only="codes", mask_codes=masked)
        latents = tf.convert_to_tensor(latents)
        if not self.built:
            self.build(latents.shape)
        codes = self.search(self._vectors(latents))
        weights = position_weights(latents, mask)
        return self._codes_of_positions(codes, latents, weights)

    def _ensure_built(self):
        if not self.built:
            self.build((None, self.channels))

    # Checks and symbolic shapes -----------------------------------------------

    def _check_channels(self, shape):
        if len(shape) < 2 or shape[-1] != self.channels:
            raise ValueError(
                "The last axis of latents [batch, ..., channels] must have "
                f"{self._channels_explained()} channels. Received: latents "
                f"of shape {tuple(shape)}. Put a 1x1 convolution (or Dense) "
                f"with {self.channels} outputs before the quantizer."
            )

    def _channels_explained(self):
        """Returns the number of channels, and how it is computed."""
        return f"{self.channels}"

    def compute_output_shape(
        self, input_shape: tuple[int | None, ...]
    ) -> tuple[int | None, ...]:
        return tuple(input_shape)

    def compute_output_spec(
        self,
        latents: keras.KerasTensor,
        training: bool | None = None,
        mask: keras.KerasTensor | None = None,
        return_codes: bool = False,
        only: str | None = None,
        mask_codes: bool = False,
    ) -> keras.KerasTensor | tuple[keras.KerasTensor, keras.KerasTensor]:
        if only == "embeddings":
            self._check_code_type(latents.dtype, latents.shape)
            shape = latents.shape
            shape = shape if self.num_codebooks == 1 else shape[:-1]
            return keras.KerasTensor((*shape, self.channels), "float32")
        self._check_channels(latents.shape)
        codes = keras.KerasTensor(self.codes_shape(latents.shape), "int32")
        if only is not None:
            _check_only(only)
            return codes
        quantized = keras.KerasTensor(latents.shape, latents.dtype)
        return (quantized, codes) if return_codes else quantized


def _check_only(what):
    if what not in ("codes", "embeddings"):
        raise ValueError(
            f'only must be None, "codes" or "embeddings". Received: {what!r}.'
        )
