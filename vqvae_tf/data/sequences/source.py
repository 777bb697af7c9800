"""Random access to sequences of frames, stored or drawn from noise."""

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from vqvae_tf.data import order
from vqvae_tf.data.source import Source
from vqvae_tf.utils.checks import check_integer

# Evaluation draws as if at steps from here on, which no training reaches.
_EVALUATION = 2**62
_SPREAD = 0x9E3779B97F4A7C15  # odd: each stream has seeds of its own


class SequenceSource(Source):
    """Sequences of one length, addressed by index.

    A sequence is a function of its index and of uniform noise, which training
    draws anew at each step, and evaluation once for each example. Sources of
    stored sequences need no noise.

    Subclasses implement `get`, and `known` if there is a ground truth.

    Args:
        name: what was opened, for messages.
        num_examples: number of sequences in an epoch and in evaluation.
        length: frames of each sequence, T, at least 2.
        shape: shape of a frame, for instance (28, 28, 1).
        noise_size: number of uniforms that a sequence needs; 0 by default.
        class_names: names of the classes; None (default) without labels.
        stream: int in 0..2**32 - 1 (default 0). Sources that differ only in
            this draw different noise for every seed, as splits of generated
            data must.

    Attributes:
        name, num_examples, length, shape, noise_size, class_names, stream: the
            arguments.

    Raises:
        ValueError: there are no examples, or sequences of one frame.

    Example: sequences that count from their index, in steps of 1 or 2.

    >>> class Counts(SequenceSource):
    ...     def get(self, index, noise):
    ...         step = tf.where(noise[:, :1] < 0.5, 1, 2)
    ...         first = tf.cast(index, tf.int32)[:, None]
    ...         return first + step * tf.range(self.length), None
    >>> source = Counts("counts", 10, length=4, shape=(), noise_size=1)
    >>> frames, mask = source.get([5, 7], noise=np.array([[0.2], [0.9]]))
    >>> frames.numpy().tolist()
    [[5, 6, 7, 8], [7, 9, 11, 13]]
    """

    unit = "sequence"

    def __init__(
        self,
        name: str,
        num_examples: int,
        length: int,
        shape: Sequence[int],
        noise_size: int = 0,
        class_names: Sequence[str] | None = None,
        stream: int = 0,
    ):
        super().__init__(name, num_examples, class_names)
        self.length = check_length(length)
        self.shape = tuple(shape)
        self.noise_size = int(noise_size)
        self.stream = check_integer("stream", stream, 0, 2**32 - 1)

    def get(
        self, index: tf.Tensor, noise: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor | None]:
        """Returns sequences; works eagerly and in graphs.

        Args:
            index: int64 `[batch]`.
            noise: float32 `[batch, noise_size]`, uniform in (0, 1).

        Returns:
            The frames `[batch, length, *shape]`, and their mask, float32
            `[batch, length]`: 1, then 0 from the end of a sequence on. None
            instead of a mask if all sequences are whole.
        """
        raise NotImplementedError

    def known(self, index: tf.Tensor, noise: tf.Tensor) -> dict[str, tf.Tensor]:
        """Returns what is known of the sequences that `get` returns.

        Args:
            index, noise: as for `get`.

        Returns:
            A dict of tensors `[batch, ...]`, the ground truth of generated
            sequences; empty by default.
        """
        return {}

    def evaluation_noise(
        self, index: Sequence[int] | np.ndarray | tf.Tensor, seed: int = 0
    ) -> tf.Tensor:
        """Returns the noise of examples in evaluation.

        That of an example depends on nothing but its index, the seed and the
        stream, and is none that training draws.

        Args:
            index: integers `[batch]`.
            seed: 64-bit integer (default 0).

        Returns:
            float32 `[batch, noise_size]` in (0, 1).
        """
        seed = self.stream_seed(seed)
        index = tf.cast(index, tf.int64)
        noise = _noise_of(index, self.noise_size, seed)
        return tf.ensure_shape(noise, [*index.shape, self.noise_size])

    def stream_seed(self, seed: int) -> int:
        """Returns the seed of the source's own stream, 64 bits with a sign.

        Raises:
            ValueError: the seed is not a 64-bit integer.
        """
        low, high = -(2**63), 2**63 - 1
        expected = "a 64-bit integer"
        seed = check_integer("seed", seed, low, high, expected)
        return (seed + self.stream * _SPREAD - low) % 2**64 + low

    def dataset(self) -> tf.data.Dataset:
        """Returns all examples once, unbatched, with the noise of seed 0.

        Returns:
            Dataset of dicts with "frames" `[length, *shape]`, "index" int64
            `[]`, "mask" float32 `[length]` if the source has masks, and what
            is `known`.
        """

        def example(index):
            rows = index[None]
            noise = self.evaluation_noise(rows)
            frames, mask = self.get(rows, noise)
            found = {"frames": frames, "index": rows}
            found |= {} if mask is None else {"mask": mask}
            found |= self.known(rows, noise)
            return {key: value[0] for key, value in found.items()}

        return tf.data.Dataset.range(self.num_examples).map(
            example, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True
        )


# A graph, since the loop would be slow without one.
@tf.function(reduce_retracing=True)
def _noise_of(index, size, seed):
    """Returns float32 `[batch, size]`, each row by itself."""
    if not size:
        return tf.zeros(tf.stack([tf.size(index), 0]))

    def draw(number):
        return order.step_noise([size], seed, _EVALUATION + number)

    noise = tf.map_fn(draw, index, fn_output_signature=tf.float32)
    return open_interval(noise)


def open_interval(noise: tf.Tensor) -> tf.Tensor:
    """Moves uniforms from [0, 1) to (0, 1), where `ndtri` is finite.

    Args:
        noise: float32 multiples of 2**-23, as TensorFlow draws them; half a
            step more is exact.
    """
    return noise + 2.0**-24


def check_length(length: int) -> int:
    """Returns a length of sequences; raises ValueError unless at least 2."""
    expected = "an integer of at least 2 frames: a sequence needs two"
    return check_integer("length", length, 2, expected=expected)
