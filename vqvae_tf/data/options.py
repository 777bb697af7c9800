"""What a source of data is opened by: its name, and how to read it."""

import dataclasses
import numbers
import os
from collections.abc import Container, Iterable

from absl import logging

from vqvae_tf.data.pictures.files import check_channels

# Decoded examples of a source are kept in memory up to this many bytes.
CACHE_BYTES = 512 * 2**20


def split_source(
    source: str, kinds: Container[str], nameless: Container[str], expected: str
) -> tuple[str, str]:
    """Returns the kind of a source and its name, of "kind:name".

    Args:
        source: what a user gave.
        kinds: those that are known.
        nameless: those that may have no name.
        expected: what a source must be, the message's first sentence.

    Raises:
        ValueError: it is no string, or has another form.
    """
    if not isinstance(source, str):
        raise ValueError(
            'source must be a string such as "tfds:cifar10", "folder" or '
            f'"npz:FILE"; a path goes into data_dir. Received: {source!r}.'
        )
    kind, _, name = source.partition(":")
    if kind not in kinds or not (name or kind in nameless):
        raise ValueError(f"{expected} Received: {source!r}.")
    return kind, name


@dataclasses.dataclass(frozen=True)
class OpenOptions:
    """How a source is opened; see `open_images` for what each means.

    Raises:
        ValueError: for a value that is not valid.
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
        """Returns the path of a name that may be relative to `base`."""
        return os.path.join(self.base, os.path.expanduser(name))

    def folder(self, name: str, things: str) -> str:
        """Returns the path of a folder, by default of `base`.

        Args:
            name: its path, which may be relative to `base`, or "".
            things: what should be in it, for the message.

        Raises:
            FileNotFoundError: there is no such folder.
        """
        root = self.place(name) if name else self.base
        if not os.path.isdir(root):
            raise FileNotFoundError(
                f"No such folder of {things}; give data_dir or TFDS_DATA_DIR. "
                f"Received: {root!r}."
            )
        return root

    def npz_file(self, name: str) -> str:
        """Returns the path of an npz file.

        Raises:
            FileNotFoundError: there is no such file.
        """
        path = self.place(name)
        if not os.path.isfile(path):
            raise FileNotFoundError(
                "No such npz file; give its folder as data_dir. "
                f"Received: {path!r}."
            )
        return path

    @property
    def base(self) -> str:
        """The folder that relative paths start from."""
        return os.path.expanduser(
            self.data_dir or os.environ.get("TFDS_DATA_DIR") or "."
        )

    def bar(
        self,
        total: int,
        iterable: Iterable | None = None,
        unit: str = "pictures",
    ):
        """Returns a tqdm progress bar that shows after a second."""
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
        """Raises ValueError on a corrupt picture, or logs that it is left."""
        if self.on_corrupt == "error":
            raise ValueError(
                f'{message} Repair or remove it, or use on_corrupt="skip" '
                "(vqvae-tf evaluate, encode: --on_corrupt=skip; train: "
                "--config.data.on_corrupt=skip)."
            ) from cause
        logging.warning("Skipped: %s", message)
