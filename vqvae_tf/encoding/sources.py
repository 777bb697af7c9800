"""Sources to encode, which are read incrementally, never as a whole.

A source has splits; a split has units (pictures or episodes), and returns the
rows of any range of them in batches, always the same in the same order.
"""

import os
import re
from collections.abc import Iterable

from vqvae_tf.data.options import OpenOptions
from vqvae_tf.encoding.picture_format import PictureFormat
from vqvae_tf.encoding.source_files import open_folder, open_npz
from vqvae_tf.encoding.source_tfds import open_tfds
from vqvae_tf.utils.paths import check_outside, has_ending, resolve

_OPENERS = {"tfds": open_tfds, "folder": open_folder, "npz": open_npz}


def open_source(
    source: str,
    split: str,
    form: PictureFormat,
    data_dir: str | None = None,
    on_corrupt: str = "error",
) -> dict:
    """Opens a source to encode.

    Args:
        source: "tfds:NAME", "folder:SUBDIR" or "npz:FILE" as for
            `data.open_images`, or the path of a folder or an npz file. A tfds
            set of episodes (RLDS) is read frame by frame.
        split: names joined by commas, such as "train,test"; for tfds also
            slices ("train[:10%]"); "all" is every split.
        form: the `PictureFormat` of the pictures to return.
        data_dir: where to look, as for `data.open_images`.
        on_corrupt: "error", or "skip" to log and leave out what cannot be
            decoded.

    Returns:
        A dict of readers by the splits' names, without slices. A reader has a
        length (its units), `unit` ("pictures" or "episodes"), `features` (the
        tfds features of its rows, besides the picture), `origin` (a fingerprint
        of what it reads) and `batches(start, stop, batch_size)`.

    Raises:
        ValueError: an unknown source or split, or two splits of one name.
        FileNotFoundError: there is no such source.
    """
    kind, name = _kind(source)
    options = OpenOptions(
        split, data_dir, on_corrupt, progress=False, channels=form.channels
    )
    open_split, found = _OPENERS[kind](name, options)
    readers = {}
    for spelled in split_names(split, found):
        short = _word(spelled)
        if short in readers:
            raise ValueError(
                "Splits must have different names, which become those of the "
                f"result. Received: --split={split}, twice {short!r}."
            )
        readers[short] = open_split(spelled, form)
    return readers


def check_apart(
    source: str, folder: str | os.PathLike, data_dir: str | None = None
) -> None:
    """Raises ValueError if the source and the codes' folder overlap.

    All links are resolved.

    Args:
        source, data_dir: as for `open_source`.
        folder: where the codes will be written.
    """
    kind, name = _kind(source)
    if kind == "tfds":
        return
    options = OpenOptions("all", data_dir)
    given = options.place(name) if name else options.base
    if kind == "folder":
        check_outside(folder, given)
    if resolve(given).is_relative_to(resolve(folder)):
        raise ValueError(
            "The input is in the folder of the output, which must hold only "
            f"codes. Received: the output {folder} and the input {given}. "
            "Choose another folder."
        )


def split_names(split: str, found: Iterable[str]) -> list[str]:
    """Splits names joined by commas; returns `found` for "all".

    Example:

    >>> split_names("train,test[:9]", []), split_names("all", ["train"])
    (['train', 'test[:9]'], ['train'])
    """
    names = split.split(",")
    if names == ["all"]:
        return list(found)
    if "all" in names:
        raise ValueError(
            'Splits are "all", or names joined by commas. '
            f"Received: --split={split}."
        )
    return names


def _kind(source):
    """Returns a source's kind, and its name or path."""
    kind, colon, name = source.partition(":")
    if colon and kind in _OPENERS:
        return kind, name
    path = os.path.abspath(os.path.expanduser(source))
    if os.path.isdir(path):
        return "folder", path
    if has_ending(source, ".npz"):
        return "npz", path
    raise ValueError(
        'Expected "tfds:NAME", a folder of pictures or an npz file. '
        f"Received: {source!r}."
    )


def _word(split):
    """Returns a split's name without slices."""
    name = re.sub(r"\[.*?\]", "", split)
    if not re.fullmatch(r"\w+", name):
        raise ValueError(
            "Splits are names joined by commas, such as train,test, or slices "
            f"of these, such as train[:10%]. Received: {split!r}."
        )
    return name
