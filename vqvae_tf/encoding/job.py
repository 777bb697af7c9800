"""A data set to encode: the values of a job, and what it opens."""

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
    """What to encode, how, and where to; see `dataset.encode_dataset`.

    The workers of a pipeline are sent a job and open it themselves.

    Attributes:
        preset: as for `presets.find_preset`.
        source: as for `sources.open_source`.
        output: the folder of the codes.
        split, data_dir: as for `sources.open_source`.
        file_format: "tfrecord" or "array_record".
        num_shards: of each split; None for one a 10,000 pictures or 100
            episodes.
        batch_size: rows that are encoded at once.
        on_corrupt: "error" or "skip".

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
                # The plan is JSON, which has no NumPy integers.
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
    """A job, its preset loaded and its source open.

    Attributes:
        job: the `Job`.
        encoder: the `CodeEncoder`.
        readers: for each split, the reader of `sources.open_source`.
    """

    job: Job
    encoder: CodeEncoder
    readers: dict

    def batches(
        self, shards: Iterable[Shard], code_shapes: dict[str, tuple]
    ) -> Iterator[dict | None]:
        """Yields the batches of each shard, codes for pictures, and None after.

        Reading goes on in a thread and encoding in two others, a few batches
        ahead of what is done with them.

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
        "The codes of one data set must be of pictures of one size; the "
        f"preset names none. Expected codes of shape {dict(expected)}, those "
        f"of the first picture. Received: {first} of shape "
        f"{images.shape[1:]}, with {received}. Encode them apart, or resize "
        "them before."
    )
