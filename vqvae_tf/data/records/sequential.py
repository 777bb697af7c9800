"""The raw records of a prepared tfds data set, any piece of them, in order."""

import contextlib
import os
from collections.abc import Iterable, Iterator

import tensorflow as tf

from vqvae_tf.utils.messages import first_line

# What reading raises where a file is missing, cut or altered.
DAMAGE = (
    tf.errors.DataLossError,
    tf.errors.FailedPreconditionError,
    tf.errors.NotFoundError,
    tf.errors.UnknownError,
)


class Records:
    """The serialized examples of a split, addressed by their number.

    Nothing is kept in memory and only the files of a piece are opened, so
    that each of many processes can read its own piece.

    Args:
        split: tfds' description of a split, slice or sum of splits.
        title: the data set's name, for messages.

    Raises:
        ValueError: the files are neither TFRecord nor ArrayRecord.
    """

    def __init__(self, split, title: str):
        self.title = title
        self.pieces = []  # (path, first record, how many)
        for part in split.file_instructions:
            rest = part.examples_in_shard - part.skip
            count = rest if part.take < 0 else min(part.take, rest)
            self.pieces.append((os.fspath(part.filename), part.skip, count))
        for path, _, _ in self.pieces:
            if ".tfrecord" not in path and ".array_record" not in path:
                raise ValueError(
                    "A data set prepared as TFRecord or ArrayRecord was "
                    f"expected. Received: {title} with the file {path!r}."
                )

    def __len__(self):
        return sum(count for _, _, count in self.pieces)

    def cut(self, start: int, stop: int) -> list[tuple[str, int, int]]:
        """Returns the pieces of records `start` to `stop - 1`."""
        found, position = [], 0
        for path, first, count in self.pieces:
            low = max(start - position, 0)
            high = min(stop - position, count)
            if low < high:
                found.append((path, first + low, high - low))
            position += count
        return found

    def names(self, start: int, stop: int) -> Iterator[str]:
        """Yields a name for each record, as tfds' own `tfds_id` has it."""
        for path, first, count in self.cut(start, stop):
            base = os.path.basename(path)
            for number in range(first, first + count):
                yield f"{base}__{number}"

    def dataset(
        self, start: int, stop: int, batch_size: int
    ) -> tf.data.Dataset:
        """Returns batches of serialized examples, string `[batch]`.

        Reading raises one of `DAMAGE` where a file has fewer than it should:
        all that follow would get the names of others.
        """
        records = None
        for piece in self.cut(start, stop):
            part = _read(*piece, batch_size)
            part = part.apply(tf.data.experimental.assert_cardinality(piece[2]))
            records = part if records is None else records.concatenate(part)
        if records is None:
            return tf.data.Dataset.from_tensor_slices(
                tf.zeros([0, 0], tf.string)
            )
        return records.batch(batch_size)


def _read(path, first, count, batch_size):
    if ".tfrecord" in os.path.basename(path):
        return tf.data.TFRecordDataset(path).skip(first).take(count)

    def read():
        from array_record.python import array_record_module

        try:
            reader = array_record_module.ArrayRecordReader(path)
            with contextlib.closing(reader):
                for low in range(first, first + count, batch_size):
                    high = min(low + batch_size, first + count)
                    yield reader.read(low, high)
        except (ValueError, IndexError, RuntimeError) as error:
            # TensorFlow would take a ValueError for a bad picture.
            raise RuntimeError(f"{path}: {error}") from error

    batches = tf.data.Dataset.from_generator(
        read, output_signature=tf.TensorSpec([None], tf.string)
    )
    return batches.unbatch()


def intact(
    items: Iterable, title: str, remedy: str = "prepare the data set again"
) -> Iterator:
    """Yields the items of an iterable that reads `Records`.

    Args:
        items: such as a dataset.
        title: of the data set, for the message.
        remedy: what to do where files are damaged.

    Raises:
        ValueError: for `DAMAGE`.
    """
    try:
        yield from items
    except DAMAGE as error:
        raise damaged(title, error, remedy) from error


def damaged(
    title: str, error: Exception, remedy: str = "prepare the data set again"
) -> ValueError:
    """Returns the error that tells of `DAMAGE`."""
    reason = first_line(error).partition("' failed with")[0].strip(" .[")
    return ValueError(
        f"The prepared files are damaged; {remedy}. "
        f"Received: {title}, {reason}."
    )
