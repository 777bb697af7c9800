"""Writes a command's output without overwriting its input or other files.

Every file is marked with the command that made it, in whatever way its format
allows: text of a PNG or GIF, a comment of a JPEG or an npz file, and so on. An
existing file is replaced only if it has this command's mark, so that a command
can be called twice.
"""

import contextlib
import os
import pathlib
import zipfile
from collections.abc import Iterable

import numpy as np

from vqvae_tf.data.folders import list_files
from vqvae_tf.media import sheets
from vqvae_tf.media.wav import save_wav
from vqvae_tf.utils.files import write_atomically
from vqvae_tf.utils.paths import check_outside, check_place, expand, has_ending

# A mark is within this many bytes of the file's start or end.
_WITHIN = 4096
# The limit of common file systems.
_LONGEST_NAME = 255


class Outputs:
    """The outputs of one command.

    Args:
        command: its name.
        inputs: its input files and folders; anything else, such as "tfds:NAME",
            is ignored.
        endings: of the files that it reads in folders, such as (".png",).
    """

    def __init__(
        self,
        command: str,
        inputs: Iterable[str | os.PathLike] = (),
        endings: Iterable[str] = (),
    ) -> None:
        self.mark = f"Made by vqvae-tf {command}."
        self._command, self._endings = command, tuple(endings)
        inputs = [os.fspath(expand(path)) for path in inputs]
        self._folders = [path for path in inputs if os.path.isdir(path)]
        self._given = {}
        for path in inputs:
            if os.path.isdir(path):
                found = list_files(path, self._endings or ("",))
                self._note(os.path.join(path, file) for file in found)
            else:
                self._note([path])

    def _note(self, paths):
        for path in paths:
            with contextlib.suppress(OSError, ValueError):
                self._given[_identity(path)] = path

    def check(self, *paths: str | os.PathLike) -> None:
        """Raises ValueError unless files may be written.

        Args:
            paths: files; they, and their folders, need not exist.
        """
        for path in map(expand, paths):
            self._check_place(path)
            if os.path.lexists(path):
                self._check_replaceable(path)

    def check_folder(self, path: str | os.PathLike) -> None:
        """Raises ValueError if a folder to write to is in an input folder."""
        for folder in self._folders:
            check_outside(path, folder)
        path = expand(path)
        if os.path.lexists(path) and not path.is_dir():
            raise ValueError(f"The output {path} is a file, not a folder.")

    def _check_place(self, path):
        if has_ending(path, *self._endings) and self._endings:
            with _explained_as(path):
                self.check_folder(path.parent)
        if len(os.fsencode(path.name)) > _LONGEST_NAME:
            raise ValueError(
                f"{path} cannot be written: its name has more than "
                f"{_LONGEST_NAME} bytes. Choose shorter names."
            )
        check_place(path)

    def _check_replaceable(self, path):
        if path.is_dir():
            raise ValueError(f"The output {path} is a folder, not a file.")
        with contextlib.suppress(OSError):
            if _identity(path) in self._given:
                raise ValueError(
                    f"{self._given[_identity(path)]} would be replaced by "
                    "what is made of it. Choose another output. Received: "
                    f"{path}."
                )
        if not self._made(path):
            raise ValueError(
                f"{path} is there already, and `vqvae-tf {self._command}` did "
                "not make it. Choose another output, or remove it first."
            )

    def _made(self, path) -> bool:
        """Returns whether a file has this command's mark."""
        if not path.is_file():
            return False  # such as a pipe or a broken link
        with open(path, "rb") as file:
            found = file.read(_WITHIN)
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - _WITHIN))
            found += file.read()
        return self.mark.encode() in found

    # Writing ----------------------------------------------------------------

    def picture(self, path: str | os.PathLike, picture: np.ndarray) -> None:
        """Writes a picture; see `sheets.save_picture`."""
        self.check(path)
        sheets.save_picture(path, picture, self.mark)

    def animation(self, path: str | os.PathLike, frames: np.ndarray) -> None:
        """Writes a film; see `sheets.save_animation`."""
        self.check(path)
        sheets.save_animation(path, frames, mark=self.mark)

    def wav(
        self, path: str | os.PathLike, waveform: np.ndarray, sample_rate: int
    ) -> None:
        """Writes a recording; see `wav.save_wav`."""
        self.check(path)
        save_wav(path, waveform, sample_rate, self.mark)

    def shown(
        self,
        path: str | os.PathLike,
        shown: np.ndarray | tuple[np.ndarray, int],
    ) -> None:
        """Writes a file of a card in the format of its ending."""
        if has_ending(path, ".wav"):
            self.wav(path, *shown)
        elif has_ending(path, ".gif"):
            self.animation(path, shown)
        else:
            self.picture(path, shown)

    def npz(self, path: str | os.PathLike, **arrays: np.ndarray) -> None:
        """Writes arrays to an npz file, compressed."""
        self.check(path)
        with write_atomically(path) as temporary:
            with open(temporary, "wb") as file:
                np.savez_compressed(file, **arrays)
            with zipfile.ZipFile(temporary, "a") as archive:
                archive.comment = self.mark.encode()

    def text(self, path: str | os.PathLike, text: str) -> None:
        """Writes a text, with the mark as its last line."""
        self.check(path)
        with write_atomically(path) as temporary:
            pathlib.Path(temporary).write_text(f"{text}\n{self.mark}\n")


def _identity(path):
    found = os.stat(path)
    return found.st_dev, found.st_ino


@contextlib.contextmanager
def _explained_as(path):
    """Adds the file to an error about its folder."""
    try:
        yield
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
