"""Sequential reading of any range of records of a prepared tfds data set."""

import contextlib
import os
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import tensorflow as tf

from vqvae_tf.utils.messages import first_line

if TYPE_CHECKING:
    import tensorflow_datasets as tfds

# Raised by reading a file that is missing, truncated or altered.
DAMAGE = (
    tf.errors.DataLossError,
    tf.errors.FailedPreconditionError,
    tf.errors.NotFoundError,
    tf.errors.UnknownError,
)


class Records:
    """The serialized examples of a split, addressed by their number.

    Nothing is kept in memory, and only the files that a range needs are
    opened: each of many processes can read its own range.

    Args:
        split: tfds description of a split, slice or sum of splits.
        title: name of the data set, for messages.

    Raises:
        ValueError: the files are neither TFRecord nor ArrayRecord.
    """

    def __init__(self, split: "tfds.core.SplitInfo", title: str):
        self.title = title
        self.pieces = []  # (path, first record, number of records)
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

    def __len__(self) -> int:
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
        """Yields each record's name, the `tfds_id` of tfds."""
        for path, first, count in self.cut(start, stop):
            base = os.path.basename(path)
            for number in range(first, first + count):
                yield f"{base}__{number}"

    def dataset(
        self, start: int, stop: int, batch_size: int
    ) -> tf.data.Dataset:
        """Returns batches of serialized examples, string `[batch]`.

        Reading raises one of `DAMAGE` if a file has too few records, which
        would shift the names of all that follow.
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
            # TensorFlow reports a ValueError as it does a bad picture.
            raise RuntimeError(f"{path}: {error}") from error

    batches = tf.data.Dataset.from_generator(
        read, output_signature=tf.TensorSpec([None], tf.string)
    )
    return batches.unbatch()


def intact(
    items: Iterable, title: str, remedy: str = "prepare the data set again"
) -> Iterator:
    """Yields from an iterable that reads `Records`, explaining damage.

    Args:
        items: for instance a dataset.
        title: name of the data set, for the message.
        remedy: what to do about damaged files.

    Raises:
        ValueError: reading raised one of `DAMAGE`.
    """
    try:
        yield from items
    except DAMAGE as error:
        raise damaged(title, error, remedy) from error


def damaged(
    title: str, error: Exception, remedy: str = "prepare the data set again"
) -> ValueError:
    """Returns the error to raise for one of `DAMAGE`; see `intact`."""
    reason = first_line(error).partition("' failed with")[0].strip(" .[")
    return ValueError(
        f"The prepared files are damaged; {remedy}. "
        f"Received: {title}, {reason}."
    )
