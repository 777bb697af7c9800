"""The name of a data source, and the options that open it."""

import dataclasses
import numbers
import os
from collections.abc import Container, Iterable
from typing import TYPE_CHECKING

from absl import logging

from vqvae_tf.data.pictures.files import check_channels

if TYPE_CHECKING:
    from tqdm import tqdm

# Default size up to which a source's decoded examples stay in memory.
CACHE_BYTES = 512 * 2**20


def split_source(
    source: str, kinds: Container[str], nameless: Container[str], expected: str
) -> tuple[str, str]:
    """Splits "kind:name" into its kind and its name.

    Args:
        source: as given by the user.
        kinds: known kinds.
        nameless: kinds that need no name.
        expected: valid sources, the first sentence of the error message.

    Raises:
        ValueError: `source` is not a string or not of this form.
    """
    if not isinstance(source, str):
        raise ValueError(
            'source must be a string such as "tfds:cifar10", "folder" or '
            f'"npz:FILE"; pass a path as data_dir. Received: {source!r}.'
        )
    kind, _, name = source.partition(":")
    if kind not in kinds or not (name or kind in nameless):
        raise ValueError(f"{expected} Received: {source!r}.")
    return kind, name


@dataclasses.dataclass(frozen=True)
class OpenOptions:
    """The arguments of `open_images` that all sources share, checked.

    Raises:
        ValueError: an invalid value.
    """

    split: str
    data_dir: str | None = None
    on_corrupt: str = "error"
    progress: bool = True
    channels: int = 3
    download: bool = False
    cache_bytes: int = CACHE_BYTES

    def __post_init__(self):
        if self.on_corrupt not in ("error", "skip"):
            raise ValueError(
                'on_corrupt must be "error" or "skip". '
                f"Received: {self.on_corrupt!r}."
            )
        check_channels(self.channels)
        if not isinstance(self.split, str) or not self.split:
            raise ValueError(
                'split must be the name of a split, such as "train", or "all". '
                f"Received: {self.split!r}."
            )
        if not isinstance(self.data_dir, str | os.PathLike | None):
            raise ValueError(
                f"data_dir must be a path or None. Received: {self.data_dir!r}."
            )
        is_size = isinstance(self.cache_bytes, numbers.Real)
        if not is_size or not self.cache_bytes >= 0:
            raise ValueError(
                "cache_bytes must be a number of bytes. "
                f"Received: {self.cache_bytes!r}."
            )

    def place(self, name: str | os.PathLike) -> str:
        """Returns the path of `name`, which may be relative to `base`."""
        return os.path.join(self.base, os.path.expanduser(name))

    def folder(self, name: str, things: str) -> str:
        """Returns the path of an existing folder.

        Args:
            name: its path, which may be relative to `base`; "" is `base`.
            things: what it should contain, for the message.

        Raises:
            FileNotFoundError: the folder does not exist.
        """
        root = self.place(name) if name else self.base
        if not os.path.isdir(root):
            raise FileNotFoundError(
                f"No such folder of {things}; set data_dir or TFDS_DATA_DIR. "
                f"Received: {root!r}."
            )
        return root

    def npz_file(self, name: str) -> str:
        """Returns the path of an existing npz file.

        Raises:
            FileNotFoundError: the file does not exist.
        """
        path = self.place(name)
        if not os.path.isfile(path):
            raise FileNotFoundError(
                "No such npz file; pass its folder as data_dir. "
                f"Received: {path!r}."
            )
        return path

    @property
    def base(self) -> str:
        """The folder to which relative paths refer."""
        return os.path.expanduser(
            self.data_dir or os.environ.get("TFDS_DATA_DIR") or "."
        )

    def bar(
        self,
        total: int,
        iterable: Iterable | None = None,
        unit: str = "pictures",
    ) -> "tqdm":
        """Returns a progress bar that appears after one second."""
        from tqdm import tqdm

        return tqdm(
            iterable,
            total=total,
            unit=f" {unit}",
            delay=1,
            mininterval=0.5,
            leave=False,
            disable=not self.progress,
        )

    def refuse(self, message: str, cause: Exception | None = None) -> None:
        """Raises ValueError for a corrupt example, or logs that it is skipped.

        `on_corrupt` decides which.
        """
        if self.on_corrupt == "error":
            raise ValueError(
                f'{message} Repair or remove it, or use on_corrupt="skip" '
                "(vqvae-tf evaluate, encode: --on_corrupt=skip; train: "
                "--config.data.on_corrupt=skip)."
            ) from cause
        logging.warning("Skipped: %s", message)
