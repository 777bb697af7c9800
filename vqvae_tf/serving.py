"""What an exported model answers: inputs checked, outputs named."""

import numpy as np
import tensorflow as tf


class Endpoints:
    """The functions behind the signatures of an exported model.

    Below, B pictures of H x W pixels have codes on a grid of h x w, with a
    last axis G where there are G > 1 codebooks. All sizes are free. Checks
    are part of the graphs: what cannot be meant is an InvalidArgumentError.

    Args:
        generator: a `VQVAE` of pictures, or a `LatentGenerator` with one;
            built, and in float32.

    Example:

    >>> endpoints = Endpoints(generator)
    >>> codes = endpoints.signatures()["encode"](images)["codes"]
    """

    def __init__(self, generator):
        self.generator = generator
        self.prior = getattr(generator, "prior", None)
        self.autoencoder = getattr(generator, "autoencoder", generator)
        self.quantizer = self.autoencoder.quantizer
        # Height over h, and width over w.
        self.factor = getattr(self.autoencoder.encoder, "downsampling", 1)
        self.num_classes = getattr(self.prior, "global_channels", None)
        self._channels = self.autoencoder.event_shape[-1]
        groups = self.quantizer.num_codebooks
        self._groups = [groups] if groups > 1 else []
        self._specs = {
            "images": ([None, None, None, self._channels], tf.uint8),
            "codes": ([None, None, None, *self._groups], tf.int32),
            "num_samples": ([], tf.int32),
            "temperature": ([], tf.float32),
            "seed": ([], tf.int32),
            "labels": ([None], tf.int32),
        }

    def inputs(self) -> dict:
        """Returns the names of each signature's inputs, by signature."""
        names = {
            "encode": ["images"],
            "decode": ["codes"],
            "reconstruct": ["images"],
        }
        if self.prior is not None:
            labels = ["labels"] if self.num_classes else []
            names["sample"] = ["num_samples", "temperature", "seed", *labels]
            names["score"] = ["images", *labels]
        return names

    def signatures(self) -> dict:
        """Returns a concrete function for each signature, by signature."""
        functions = {
            signature: self._trace(getattr(self, signature), names)
            for signature, names in self.inputs().items()
        }
        return {**functions, "serving_default": functions["encode"]}

    def _trace(self, function, names):
        specs = {n: tf.TensorSpec(*self._specs[n], name=n) for n in names}
        # No Python control flow here depends on tensors.
        function = tf.function(function, autograph=False)
        return function.get_concrete_function(**specs)

    def examples(self) -> dict:
        """Returns small valid inputs, arrays by name, by signature."""
        grid = getattr(self.prior, "event_shape", (8, 8))
        sizes = self.autoencoder.event_shape[:2]
        height, width = (n or g * self.factor for n, g in zip(sizes, grid))
        grid = [height // self.factor, width // self.factor]
        values = {
            "images": np.zeros([1, height, width, self._channels], np.uint8),
            "codes": np.zeros([1, *grid, *self._groups], np.int32),
            "num_samples": np.int32(1),
            "temperature": np.float32(1),
            "seed": np.int32(0),
            "labels": np.zeros([1], np.int32),
        }
        examples = {
            signature: {name: values[name] for name in names}
            for signature, names in self.inputs().items()
        }
        return {**examples, "serving_default": examples["encode"]}

    # Signatures ---------------------------------------------------------------

    def encode(self, images):
        """Returns `codes`, int32 `[B, h, w]`, of uint8 `[B, H, W, 3]`."""
        return {"codes": self.autoencoder.encode(self._images(images))}

    def decode(self, codes):
        """Returns `images`, uint8 `[B, H, W, 3]`, of int32 `[B, h, w]`."""
        images = self.autoencoder.decode(self._codes(codes))
        return {"images": tf.cast(images, tf.uint8)}

    def reconstruct(self, images):
        """Returns `images`, encoded and decoded, uint8 `[B, H, W, 3]`."""
        images = self.autoencoder.reconstruct(self._images(images))
        return {"images": tf.cast(images, tf.uint8)}

    def sample(self, num_samples, temperature, seed, labels=None):
        """Returns `images`, uint8 `[num_samples, H, W, 3]`.

        Args:
            num_samples: int32 scalar, at least 1.
            temperature: float32 scalar of the prior, at least 0.
            seed: int32 scalar.
            labels: with a class-conditional prior, int32 `[1]` or
                `[num_samples]`.
        """
        num_samples = _at_least(1, "num_samples", num_samples)
        images = self.generator.sample(
            num_samples,
            context=self._context(labels, num_samples),
            temperature=_at_least(0, "temperature", temperature),
            seed=tf.ensure_shape(seed, []),
        )
        return {"images": tf.cast(images, tf.uint8)}

    def score(self, images, labels=None):
        """Returns bits per dimension, the bound and its parts, float32 `[B]`.

        Args:
            images: uint8 `[B, H, W, 3]`.
            labels: with a class-conditional prior, int32 `[1]` or `[B]`.
        """
        images = self._images(images)
        context = self._context(labels, tf.shape(images)[0])
        bits = self.generator.bits_per_dim(images, context)
        return {
            "bits_per_dim": bits["total"],
            "reconstruction": bits["reconstruction"],
            "prior": bits["prior"],
        }

    # Checks -------------------------------------------------------------------

    def _images(self, images):
        # A server compares dtypes with the signature's, but not shapes.
        images = tf.ensure_shape(images, self._specs["images"][0])
        shape = tf.shape(images)
        received = "Received: images of shape"
        return _checked(
            images,
            (shape[0] > 0, f"Expected at least one picture. {received}", shape),
            (
                (shape[1:3] > 0) & (shape[1:3] % self.factor == 0),
                f"Height and width must be multiples of {self.factor}, and "
                f"not 0; crop or pad the pictures. {received}",
                shape,
            ),
        )

    def _codes(self, codes):
        codes = tf.ensure_shape(codes, self._specs["codes"][0])
        shape = tf.shape(codes)
        return _checked(
            codes,
            (
                shape > 0,
                "Expected at least one grid of codes, and no size of 0. "
                "Received: codes of shape",
                shape,
            ),
            *_range_checks("codes", codes, self.quantizer.num_embeddings),
        )

    def _context(self, labels, count):
        """Returns the prior's context for int32 labels `[1]` or `[count]`."""
        if labels is None:
            return None
        labels = tf.ensure_shape(labels, [None])
        number = tf.shape(labels)[0]
        labels = _checked(
            labels,
            (
                (number == 1) | (number == count),
                "Expected one label for all pictures, or one for each. "
                "Received: the numbers of labels and of pictures",
                tf.stack([number, count]),
            ),
            *_range_checks("labels", labels, self.num_classes),
        )
        labels = tf.broadcast_to(labels, [count])
        return {"global": tf.one_hot(labels, self.num_classes)}


def _at_least(minimum, name, number):
    """Returns a scalar tensor, checked to be finite and not too small."""
    number = tf.ensure_shape(number, [])
    valid = number >= minimum
    if number.dtype.is_floating:
        valid &= tf.math.is_finite(number)
    message = f"{name} must be a finite number of at least {minimum}."
    received = f"Received: {name} ="
    return _checked(number, (valid, f"{message} {received}", number))


def _range_checks(name, values, size):
    """Returns the checks that int32 values are in 0..size-1."""
    expected = f"Expected {name} in 0..{size - 1}. Received: {name}"
    low, high = tf.reduce_min(values), tf.reduce_max(values)
    return (
        (values >= 0, f"{expected} down to", low),
        (values < size, f"{expected} up to", high),
    )


def _checked(tensor, *checks):
    """Returns the tensor, which depends on its checks.

    Args:
        tensor: any.
        checks: `(condition, message, received)`; `received`, a tensor, ends
            the message where the condition is not true everywhere.
    """
    assertions = [
        # 8: shapes are shown whole.
        tf.debugging.Assert(tf.reduce_all(condition), [message, received], 8)
        for condition, message, received in checks
    ]
    with tf.control_dependencies(assertions):
        return tf.identity(tensor)
