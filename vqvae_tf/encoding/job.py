"""A data set to encode: the arguments of a job, and the opened job."""

import contextlib
import dataclasses
import os
from collections.abc import Iterable, Iterator

import numpy as np

from vqvae_tf.encoding.encoder import CodeEncoder
from vqvae_tf.encoding.shards import FORMATS, Shard
from vqvae_tf.encoding.sources import open_source
from vqvae_tf.encoding.streams import ahead, mapped
from vqvae_tf.utils.checks import check_positive


@dataclasses.dataclass(frozen=True)
class Job:
    """What to encode, how, and where to.

    A pipeline sends a job to its workers, which open it themselves.

    Attributes:
        output: the folder of the codes.
        preset, source, split, data_dir, file_format, num_shards, batch_size,
            on_corrupt: as for `dataset.encode_dataset`.

    Raises:
        ValueError: an unknown format, or a number that is not positive.
    """

    preset: str | os.PathLike
    source: str
    output: str | os.PathLike
    split: str = "all"
    data_dir: str | None = None
    file_format: str = "tfrecord"
    num_shards: int | None = None
    batch_size: int = 64
    on_corrupt: str = "error"

    def __post_init__(self) -> None:
        for name in ("batch_size", "num_shards"):
            value = getattr(self, name)
            if value is not None:
                # As a Python integer, since the plan is JSON.
                value = check_positive(name, value)
                object.__setattr__(self, name, value)
        if self.file_format not in FORMATS:
            raise ValueError(
                f"The format must be one of {FORMATS}. Received: "
                f"{self.file_format!r}."
            )

    def open(self) -> "OpenJob":
        """Loads the preset and opens the source.

        Raises:
            PresetError: there is no such preset, or it was altered.
            ValueError, FileNotFoundError: as `CodeEncoder` and `open_source`.
        """
        encoder = CodeEncoder(self.preset, self.batch_size)
        readers = open_source(
            self.source,
            self.split,
            encoder.form,
            self.data_dir,
            self.on_corrupt,
        )
        return OpenJob(self, encoder, readers)


@dataclasses.dataclass(frozen=True)
class OpenJob:
    """A job with its preset loaded and its source open.

    Attributes:
        job: the `Job`.
        encoder: the `CodeEncoder`.
        readers: the reader of each split, from `sources.open_source`.
    """

    job: Job
    encoder: CodeEncoder
    readers: dict

    def batches(
        self, shards: Iterable[Shard], code_shapes: dict[str, tuple]
    ) -> Iterator[dict | None]:
        """Yields the encoded batches of each shard, followed by None.

        One thread reads and two others encode, a few batches ahead of the
        caller.

        Args:
            shards: of `Plan.shards`.
            code_shapes: of the plan; see `Plan`.

        Raises:
            ValueError: for codes of other shapes.
        """

        def read():
            for shard in shards:
                yield from self.readers[shard.split].batches(
                    shard.start, shard.stop, self.encoder.batch_size
                )
                yield None

        def encode(batch):
            if batch is None:
                return None
            rest = {**batch}
            images = rest.pop("image")
            codes = self.encoder(images)
            _check_shapes(codes, code_shapes, rest, images)
            return {**rest, **codes}

        with contextlib.closing(ahead(read(), size=4)) as batches:
            yield from mapped(encode, batches)


def _check_shapes(
    codes: dict[str, np.ndarray],
    expected: dict[str, tuple],
    batch: dict[str, np.ndarray],
    images: np.ndarray,
):
    received = {name: value.shape[1:] for name, value in codes.items()}
    if received == dict(expected):
        return
    row = {name: column[0] for name, column in batch.items()}
    first = row.get("name", f"episode {row.get('episode')}")
    raise ValueError(
        "This preset does not resize pictures, so all pictures of a data set "
        f"must have one size. Expected codes of shape {dict(expected)}, as of "
        f"the first picture. Received: {first} of shape {images.shape[1:]}, "
        f"with {received}. Encode sizes separately, or resize the pictures."
    )
