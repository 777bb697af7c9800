"""The limits of a request to an exported model."""

import dataclasses

import tensorflow as tf

from vqvae_tf.utils.checks import check_positive
from vqvae_tf.utils.tensor_checks import Condition

_MOST = 2**62


@dataclasses.dataclass(frozen=True)
class Bounds:
    """The limits of a request; larger ones are rejected.

    Args:
        max_batch: examples in a request: pictures, clips, waveforms or rows of
            codes.
        max_pixels: pixels received or returned, of all pictures or frames
            together. The default needs a few GB of memory.
        max_samples: pictures, or frames of all clips, to draw; for speech,
            samples of waveforms received or returned.

    None is the default, 256 examples, 2**23 pixels, 256 samples (2**19 for
    speech); 0 is no limit.

    Raises:
        ValueError: unless they are whole numbers of at least 0.

    Example:

    >>> Bounds(max_batch=8).limit("max_batch", speech=False)
    8
    """

    max_batch: int | None = None
    max_pixels: int | None = None
    max_samples: int | None = None

    def __post_init__(self):
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if value is not None and value != 0:
                check_positive(field.name, value)

    def limit(self, name: str, speech: bool) -> int:
        """Returns a bound as a number.

        Args:
            name: of the bound.
            speech: whether the model is one of speech.
        """
        value = getattr(self, name)
        if value is None:
            defaults = SPEECH_DEFAULTS if speech else DEFAULTS
            value = defaults[name]
        return value or _MOST


# Drawing a minute of speech at 8 kHz takes at least a minute.
DEFAULTS = {"max_batch": 256, "max_pixels": 2**23, "max_samples": 256}
SPEECH_DEFAULTS = {**DEFAULTS, "max_samples": 2**19}


def product(sizes: tf.Tensor | list) -> tf.Tensor:
    """Returns the product of whole numbers, int64.

    Args:
        sizes: an integer tensor, or a list of scalars.
    """
    if isinstance(sizes, (list, tuple)):
        sizes = tf.stack([tf.cast(size, tf.int64) for size in sizes])
    return tf.reduce_prod(tf.cast(sizes, tf.int64))


def within(name: str, most: int, number: tf.Tensor, what: str) -> Condition:
    """Returns the check that a request is within a bound.

    Args:
        name: the bound's.
        most: its value.
        number: a scalar tensor.
        what: the noun for what is counted, such as "pixels".
    """
    return (
        tf.cast(number, tf.int64) <= most,
        f"A request may have at most {most} {what}; send several, or export "
        f"the model with another {name}. Received: {what}:",
        number,
    )
