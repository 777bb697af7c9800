"""The files that a command is given: listed, named, read one after another."""

import os
import pathlib

from absl import logging

from vqvae_tf.data.folders import list_files
from vqvae_tf.data.pictures.folder import EXTENSIONS
from vqvae_tf.utils.paths import expand


def list_inputs(
    inputs, extensions=EXTENSIONS, kind="picture"
) -> list[tuple[pathlib.Path, str]]:
    """Returns (path, name) of each picture file.

    Args:
        inputs: files and folders. A folder stands for the pictures in and
            below it, named by their path inside it; a file for itself.
        extensions: of the files that are taken from folders.
        kind: what one is called.

    Raises:
        FileNotFoundError: if one is not there, or a folder has no pictures.
    """
    found = []
    for path in map(expand, inputs):
        if path.is_dir():
            names = list_files(str(path), extensions)
            if not names:
                raise FileNotFoundError(
                    f"There is no {kind} ({', '.join(extensions)}) in or "
                    f"below the folder {path}."
                )
            found += [(path / name, name) for name in names]
        elif path.is_file():
            found.append((path, path.name))
        else:
            raise FileNotFoundError(f"There is no file or folder {path}.")
    return found


def output_names(
    inputs, taken=None, extensions=EXTENSIONS, ending=".png"
) -> dict[str, str]:
    """Returns the file to write for each name, a path inside the output.

    Args:
        inputs: (path, name), as from `list_inputs`; path is for messages.
        taken: a dict to keep over several calls whose names must differ.
        extensions: endings of names, which `ending` replaces.
        ending: of the files to write.

    Raises:
        ValueError: if two would be one file, or one lie outside the output,
            or a name is none.
    """
    names, taken = {}, {} if taken is None else taken
    for path, name in inputs:
        pure = pathlib.PurePath(name)
        if pure.is_absolute() or ".." in pure.parts:
            raise ValueError(
                "Names must be relative paths without `..`. "
                f"Received: {name!r}."
            )
        if not pure.name.strip(".") or "\0" in name:
            raise ValueError(
                "Names of files must not be empty, nor dots alone, nor have "
                "null characters. "
                f"Received: {name!r} of {path}. Give each row a name, or "
                "leave the names out."
            )
        if pure.suffix.lower() in extensions:
            pure = pure.with_suffix("")
        target = f"{pure}{ending}"
        if target in taken:
            raise ValueError(
                f"{taken[target]} and {path} would both be written to "
                f"{target}. Rename one, write them to different folders, or "
                "give the folder above both: its sub-folders are kept."
            )
        taken[target], names[name] = path, target
    return names


def check_links(inputs, on_corrupt="error"):
    """Raises ValueError for a link to nothing, before any other is read.

    Args:
        inputs: (path, name), as from `list_inputs`.
        on_corrupt: "error"; with "skip" it is left out when it is read.
    """
    lost = [path for path, _ in inputs if not os.path.exists(path)]
    if lost and on_corrupt == "error":
        raise ValueError(
            f"{lost[0]} is a link to nothing. Repair or remove it, or use "
            "--on_corrupt=skip."
        )


def read_each(inputs, read, on_corrupt):
    """Yields (name, `read(path)`) of each of the inputs.

    Args:
        inputs: (path, name), as from `list_inputs`.
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
