"""Random access to the records of a prepared tfds data set."""

import os
import struct
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
import tensorflow as tf

if TYPE_CHECKING:
    import tensorflow_datasets as tfds


class RandomRecords:
    """The serialized examples of a split, read at random by their number.

    A record is: length (8 bytes, little-endian), checksum (4), data,
    checksum (4). One pass over the headers locates all records.

    Args:
        split: tfds description of a split, slice or sum of splits.

    Raises:
        ValueError: the files are not TFRecord files, or are truncated.
    """

    def __init__(self, split: "tfds.core.SplitInfo"):
        self.files, places = [], []
        for part in split.file_instructions:
            starts = _record_places(part.filename, part.skip, part.take)
            number = np.full([len(starts), 1], len(self.files))
            places.append(np.concatenate([number, starts], axis=1))
            self.files.append(part.filename)
        self._places = np.concatenate(places)  # [n, 3]: file, start, size

    def __len__(self) -> int:
        return len(self._places)

    def subset(self, indices: Sequence[int]) -> "RandomRecords":
        """Returns the records with these numbers, in this order."""
        chosen = object.__new__(RandomRecords)
        chosen.files = self.files
        chosen._places = self._places[np.array(indices, np.int64)]
        return chosen

    def place(self, index: int) -> str:
        """Returns the location of a record, for messages."""
        file, start, _ = self._places[index]
        return f"the record at byte {start} of {self.files[file]!r}"

    def read(self, index: tf.Tensor) -> tf.Tensor:
        """Returns the serialized example, a scalar string tensor."""
        record = tf.numpy_function(
            self._bytes, [index], tf.string, stateful=False
        )
        return tf.ensure_shape(record, [])

    def dataset(self, decode: Callable) -> tf.data.Dataset:
        """Returns `decode` of each record, in order."""
        return tf.data.Dataset.range(len(self)).map(
            lambda index: decode(self.read(index)),
            num_parallel_calls=tf.data.AUTOTUNE,
        )

    def _bytes(self, index):
        file, start, size = self._places[index]
        with open(self.files[file], "rb") as stream:
            stream.seek(start)
            return stream.read(size)


def _record_places(path, skip, take):
    """Returns int64 [rows, 2], start and size, of records [skip, skip+take)."""
    path = os.fspath(path)
    if not path.split(".")[-1].startswith("tfrecord"):
        raise ValueError(
            "A data set that exceeds cache_bytes must be prepared as TFRecord; "
            f"prepare it again or raise cache_bytes. Received: {path!r}."
        )
    end, places, position = os.path.getsize(path), [], 0
    stop = end if take < 0 else skip + take
    with open(path, "rb") as stream:
        while position + 12 <= end and len(places) < stop:
            stream.seek(position)
            (size,) = struct.unpack("<Q", stream.read(8))
            places.append((position + 12, size))
            position += 16 + size
    if position > end or (take >= 0 and len(places) < stop):
        raise ValueError(
            "A prepared TFRecord file is truncated; prepare the data set "
            f"again. Received: {path!r} of {end} bytes."
        )
    return np.array(places[skip:], np.int64).reshape(-1, 2)
