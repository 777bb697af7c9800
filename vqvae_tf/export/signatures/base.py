"""Tracing and checks for the signatures of all exported models."""

from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf

from vqvae_tf.export.signatures.bounds import Bounds, product, within
from vqvae_tf.quantizers.codes import NO_CODE
from vqvae_tf.utils.code_sizes import as_argument
from vqvae_tf.utils.tensor_checks import Condition, checked


class Endpoints:
    """The functions behind the signatures of an exported model.

    Checks are part of the graphs: invalid requests get an
    InvalidArgumentError. Subclasses add the signatures of a kind of model;
    `signatures.endpoints` chooses the subclass.

    Args:
        generator: a model with an encoder, built and in float32.
        bounds: the limits of a request, by default `Bounds()`.
    """

    is_speech = False
    # The signature that is also `serving_default`.
    default = "encode"

    def __init__(
        self, generator: keras.Model, bounds: Bounds | None = None
    ) -> None:
        self.bounds = bounds or Bounds()
        self.generator = generator
        self.prior = generator.prior
        self.autoencoder = generator.autoencoder
        self.specs = {
            "temperature": ([], tf.float32),
            "seed": ([], tf.int32),
            "num_samples": ([], tf.int32),
        }

    @property
    def factor(self) -> int:
        """The ratio of H to h, and of W to w."""
        return self.autoencoder.downsampling

    @property
    def channels(self) -> int:
        """The channels of a pixel."""
        return self.autoencoder.event_shape[-1]

    @property
    def quantizer(self) -> keras.layers.Layer:
        """The autoencoder's quantizer."""
        return self.autoencoder.quantizer

    @property
    def groups(self) -> list[int]:
        """The last axis of codes, [] for one codebook."""
        return groups_of(self.quantizer)

    def functions(self) -> dict:
        """Returns a method and the names of its inputs, by signature.

        Each name has a (shape, dtype) in `specs` and an array in
        `example_values()`. One signature is the `default`.
        """
        raise NotImplementedError(
            f"{type(self).__name__} must implement functions."
        )

    def example_values(self) -> dict:
        """Returns small valid arrays for every input, by name."""
        return {
            "temperature": np.float32(1),
            "seed": np.int32(0),
            "num_samples": np.int32(1),
        }

    def signatures(self) -> dict:
        """Returns a concrete function for each signature, by signature.

        Raises:
            ValueError: for bounds that reject even a single example.
        """
        self._check_bounds()
        functions = {
            signature: self._trace(function, names)
            for signature, (function, names) in self.functions().items()
        }
        return {**functions, "serving_default": functions[self.default]}

    def _check_bounds(self):
        name = "max_samples" if self.is_speech else "max_pixels"
        most = self.bounds.limit(name, self.is_speech)
        channels = 1 if self.is_speech else self.channels
        for key, value in self.example_values().items():
            of_data = key in ("images", "frames", "context_frames", "waveform")
            if of_data and value.size // channels > most:
                raise ValueError(
                    f"{name} must be at least {value.size // channels}, the "
                    f"size of the smallest example. Received: {name}={most}."
                )

    def _trace(self, function, names):
        specs = {n: tf.TensorSpec(*self.specs[n], name=n) for n in names}
        # No Python control flow here depends on tensors.
        function = tf.function(function, autograph=False)
        return function.get_concrete_function(**specs)

    def examples(self) -> dict:
        """Returns small valid inputs, by name, by signature."""
        values = self.example_values()
        examples = {
            signature: {name: values[name] for name in names}
            for signature, (_, names) in self.functions().items()
        }
        return {**examples, "serving_default": examples[self.default]}

    def extra_files(self) -> dict:
        """Returns the contents of files by path in the version's folder."""
        return {}

    def example_sizes(self) -> list[int]:
        """Returns the sizes of an example's pixels."""
        grid = getattr(self.prior, "event_shape", (8, 8))
        if isinstance(grid, dict):  # by level, the coarsest first
            grid = next(iter(grid.values()))
        sizes = self.autoencoder.event_shape[:2]
        return [n or g * self.factor for n, g in zip(sizes, grid)]

    # Inputs -------------------------------------------------------------------

    def checked_shape(self, name: str, tensor: tf.Tensor) -> tf.Tensor:
        """Returns an input, checked to have the shape of its spec."""
        # Servers check dtypes, but not shapes.
        return tf.ensure_shape(tensor, self.specs[name][0])

    def checked_pixels(
        self, name: str, pixels: tf.Tensor, kind: str
    ) -> tf.Tensor:
        """Returns pixels, checked to have sizes that can be encoded.

        Args:
            name: the input's.
            pixels: uint8 `[B, ..., H, W, channels]`.
            kind: the noun for one of them, such as "picture".
        """
        pixels = self.checked_shape(name, pixels)
        shape = tf.shape(pixels)
        sizes, received = shape[-3:-1], f"Received: {name} of shape"
        some = shape[:-3] > 0
        return checked(
            pixels,
            self.within("max_batch", shape[0], "examples"),
            self.within("max_pixels", product(shape[:-1]), "pixels"),
            (some, f"Expected at least one {kind}. {received}", shape),
            (
                (sizes > 0) & (sizes % self.factor == 0),
                f"Height and width must be multiples of {self.factor}, and "
                f"not 0; crop or pad the {kind}s. {received}",
                shape,
            ),
        )

    def checked_codes(
        self,
        name: str,
        codes: tf.Tensor,
        quantizer: keras.layers.Layer,
        kind: str = "grid of codes",
        factor: int | None = None,
    ) -> tf.Tensor:
        """Returns codes, checked to be present and in the quantizer's range.

        Args:
            name: the input's.
            codes: int32 `[B, *grid]`, with a last axis G for G > 1 codebooks.
            quantizer: the codes' quantizer; of stages, codes may be -1, which
                leaves out a stage.
            kind: the noun for one example.
            factor: the ratio of the data's sizes to those of the codes; by
                default that of the autoencoder.
        """
        codes = self.checked_shape(name, codes)
        shape = tf.shape(codes)
        grid = shape[:-1] if quantizer.num_codebooks > 1 else shape
        return checked(
            codes,
            self.within("max_batch", shape[0], "examples"),
            self.decoded_within(product(grid), factor),
            (
                shape > 0,
                f"Expected at least one {kind}, and no size of 0. "
                f"Received: {name} of shape",
                shape,
            ),
            *range_checks(
                name,
                codes,
                as_argument(quantizer.num_codes),
                least=NO_CODE if quantizer.leaves_out_codes else 0,
            ),
        )

    def checked_count(
        self, number: tf.Tensor, grid: Sequence, factor: int | None = None
    ) -> tf.Tensor:
        """Returns `num_samples`, checked to be at least 1 and within bounds.

        Args:
            number: int32 scalar.
            grid: the sizes of a sample's codes.
            factor: as for `checked_codes`.
        """
        number = at_least(1, "num_samples", number)
        return checked(
            number,
            self.within("max_samples", number, "samples"),
            self.decoded_within(product([number, *grid]), factor),
        )

    def one_or_each(
        self,
        name: str,
        values: tf.Tensor,
        count: tf.Tensor,
        size: int,
        words: tuple[str, str],
        hint: str = "",
    ) -> tf.Tensor:
        """Returns int32 `[count]` of an input `[1]` or `[count]`.

        Args:
            name: the input's.
            values: one for all examples, or one for each, in 0..size-1.
            count: the number of examples.
            size: the number of values.
            words: the nouns for a value and for the examples, such as "label"
                and "pictures".
            hint: precedes the error for an invalid value.
        """
        values = self.checked_shape(name, values)
        number, (word, examples) = tf.shape(values)[0], words
        values = checked(
            values,
            (
                (number == 1) | (number == count),
                f"Expected one {word} for all, or one for each. Received: the "
                f"numbers of {word}s and of {examples}",
                tf.stack([number, count]),
            ),
            *(
                (valid, f"{hint}{message}", received)
                for valid, message, received in range_checks(name, values, size)
            ),
        )
        return tf.broadcast_to(values, [count])

    def drawing(self, temperature: tf.Tensor, seed: tf.Tensor) -> dict:
        """Returns the checked options of a sampler."""
        return {
            "temperature": at_least(0, "temperature", temperature),
            "seed": self.checked_shape("seed", seed),
        }

    # Bounds -------------------------------------------------------------------

    def within(self, name: str, number: tf.Tensor, what: str) -> Condition:
        """Returns the check that a request is within one of the bounds."""
        most = self.bounds.limit(name, self.is_speech)
        return within(name, most, number, what)

    def decoded_within(
        self, positions: tf.Tensor, factor: int | None = None
    ) -> Condition:
        """Returns the check that the number of decoded codes is allowed.

        Args:
            positions: int64 scalar, of all examples.
            factor: as for `checked_codes`.
        """
        pixels = positions * (factor or self.factor) ** 2
        return self.within("max_pixels", pixels, "pixels")


def groups_of(quantizer: keras.layers.Layer) -> list[int]:
    """Returns the last axis of a quantizer's codes, [] for one codebook."""
    return list(quantizer.codes_shape((quantizer.channels,)))


# Checks -----------------------------------------------------------------------


def at_least(minimum: int, name: str, number: tf.Tensor) -> tf.Tensor:
    """Returns a scalar tensor, checked to be finite and at least `minimum`."""
    number = tf.ensure_shape(number, [])
    valid = number >= minimum
    if number.dtype.is_floating:
        valid &= tf.math.is_finite(number)
    message = f"{name} must be a finite number of at least {minimum}."
    received = f"Received: {name} ="
    return checked(number, (valid, f"{message} {received}", number))


def finite_check(name: str, values: tf.Tensor) -> Condition:
    """Returns the check that floats are neither NaN nor infinite."""
    others = tf.math.count_nonzero(~tf.math.is_finite(values))
    message = f"{name} must be finite numbers. Received: NaN or infinite:"
    return others == 0, message, others


def range_checks(
    name: str, values: tf.Tensor, size: int | Sequence[int], least: int = 0
) -> tuple:
    """Returns the checks that int32 values are in 0..size-1.

    Args:
        name: of the input.
        values: int32 of any shape.
        size: the number of values, or one number for each entry of the last
            axis, the codebooks.
        least: -1 if that may stand for no value.
    """
    most, axes = np.subtract(size, 1).tolist(), None
    each = ""
    if np.ndim(size):
        each, axes = " of each codebook", list(range(len(values.shape) - 1))
    none = " or -1 for none" if least < 0 else ""
    expected = f"Expected {name} in 0..{most}{each}{none}. Received: {name}"
    low, high = tf.reduce_min(values, axes), tf.reduce_max(values, axes)
    return (
        (values >= least, f"{expected} down to", low),
        (values < size, f"{expected} up to", high),
    )


# Outputs ----------------------------------------------------------------------


def as_images(values: tf.Tensor) -> dict:
    """Returns the output `images`, uint8, for pixels of any dtype."""
    return {"images": tf.cast(values, tf.uint8)}


def as_score(bits: dict, total: str = "bits_per_dim") -> dict:
    """Returns the outputs of `score`, given those of `bits_per_dim`."""
    return {
        total: bits["total"],
        "reconstruction": bits["reconstruction"],
        "prior": bits["prior"],
    }
