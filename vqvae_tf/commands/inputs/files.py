"""The files that are input to a command: listed, named, and read in turn.

An input is a pair of a file's path and its name. The name is the path within
the given folder, or the file's name if it was given itself.
"""

import dataclasses
import os
import pathlib
from collections.abc import Callable, Iterable, Iterator

from absl import logging

from vqvae_tf.commands.outputs import Outputs
from vqvae_tf.data.audio import files as audio_files
from vqvae_tf.data.folders import list_files
from vqvae_tf.data.pictures import folder as picture_folders
from vqvae_tf.utils.paths import expand

Inputs = list[tuple[pathlib.Path, str]]


@dataclasses.dataclass(frozen=True)
class Kind:
    """A kind of files that commands read and write.

    Attributes:
        name: what to call one in messages.
        extensions: the endings that are read in folders, in lower case.
        ending: the ending of files that are written.
    """

    name: str
    extensions: tuple[str, ...]
    ending: str

    def list_inputs(self, given: Iterable) -> Inputs:
        """Returns (path, name) of each file.

        Args:
            given: files and folders. A folder stands for the files of this
                kind in and below it, a file for itself.

        Raises:
            FileNotFoundError: one does not exist, or a folder has no files.
        """
        found = []
        for path in map(expand, given):
            if path.is_dir():
                names = list_files(str(path), self.extensions)
                if not names:
                    raise FileNotFoundError(
                        f"There is no {self.name} "
                        f"({', '.join(self.extensions)}) in or below the "
                        f"folder {path}."
                    )
                found += [(path / name, name) for name in names]
            elif path.is_file():
                found.append((path, path.name))
            else:
                raise FileNotFoundError(f"There is no file or folder {path}.")
        return found

    def output_names(
        self, inputs: Inputs, taken: dict | None = None
    ) -> dict[str, str]:
        """Returns the file to write for each name, a path within the output.

        Args:
            inputs: as from `list_inputs`; paths are for messages.
            taken: a dict that several calls share if their names must differ.

        Raises:
            ValueError: if two files would be the same, one would be outside of
                the output, or a name is empty.
        """
        names, taken = {}, {} if taken is None else taken
        for path, name in inputs:
            target = self._output_name(path, name)
            if target in taken:
                raise ValueError(
                    f"{taken[target]} and {path} would both be written to "
                    f"{target}. Rename one, write them to different folders, "
                    "or give the folder above both: its sub-folders are kept."
                )
            taken[target], names[name] = path, target
        return names

    def _output_name(self, path, name):
        pure = pathlib.PurePath(name)
        if pure.is_absolute() or ".." in pure.parts:
            raise ValueError(
                "Names must be relative paths without `..`. "
                f"Received: {name!r}."
            )
        if not pure.name.strip(".") or "\0" in name:
            raise ValueError(
                "Names of files must not be empty, only dots, or contain null "
                f"characters. Received: {name!r} of {path}. Give each row a "
                "name, or leave the names out."
            )
        if pure.suffix.lower() in self.extensions:
            pure = pure.with_suffix("")
        return f"{pure}{self.ending}"

    def row_names(self, names: Iterable) -> list[str]:
        """Returns the files to write for the rows of an array, given names."""
        rows = [(f"row {i}", str(name)) for i, name in enumerate(names)]
        return list(self.output_names(rows).values())

    def targets(
        self,
        given: Iterable,
        folder: str | os.PathLike,
        outputs: Outputs,
        on_corrupt: str,
    ) -> tuple[Inputs, dict[str, pathlib.Path]]:
        """Returns what to read, and the file to write for each name.

        Args:
            given: as for `list_inputs`.
            folder: where to write.
            outputs: the command's, which checks all files.
            on_corrupt: "error" refuses a broken link before any file is read;
                "skip" leaves it out when it is read.

        Raises:
            FileNotFoundError, ValueError: as `list_inputs`, `output_names`
                and `Outputs.check`.
        """
        outputs.check_folder(folder)
        inputs = self.list_inputs(given)
        lost = [path for path, _ in inputs if not os.path.exists(path)]
        if lost and on_corrupt == "error":
            raise ValueError(
                f"{lost[0]} is a broken link. Repair or remove it, or use "
                "--on_corrupt=skip."
            )
        names = self.output_names(inputs)
        found = {name: pathlib.Path(folder) / names[name] for name in names}
        outputs.check(*found.values())
        return inputs, found


PICTURES = Kind("picture", picture_folders.EXTENSIONS, ".png")
RECORDINGS = Kind("recording", audio_files.EXTENSIONS, ".wav")


def read_each(
    inputs: Inputs, read: Callable, on_corrupt: str = "error"
) -> Iterator[tuple]:
    """Yields (name, `read(path)`) of each of the inputs.

    Args:
        inputs: as from `Kind.list_inputs`.
        read: raises ValueError or OSError for a file that is damaged.
        on_corrupt: "error", or "skip" to log what cannot be read.
    """
    for path, name in inputs:
        try:
            yield name, read(path)
        except (ValueError, OSError) as error:
            if on_corrupt == "error":
                raise ValueError(
                    f"{error} Repair or remove it, or use --on_corrupt=skip."
                ) from error
            logging.warning("Skipped: %s", error)
