"""What is encoded, read piece by piece: nothing is ever read as a whole.

A source has splits; a split has units (pictures, or episodes), and gives the
rows of any range of them in batches, always the same ones in the same order.
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
    """Opens what is to be encoded.

    Args:
        source: "tfds:NAME", "folder:SUBDIR" or "npz:FILE" as for
            `data.open_images`, or a path of a folder or an npz file. A tfds
            set of episodes (RLDS) is read by the frame.
        split: names joined by commas, such as "train,test"; for tfds slices
            as well ("train[:10%]"); "all" is each split there is.
        form: the `PictureFormat` to bring pictures to.
        data_dir: where to look, as for `data.open_images`.
        on_corrupt: "error", or "skip" to log and leave out what cannot be
            decoded.

    Returns:
        A dict of the split's name, a word, to its reader. A reader has a
        length (its units), `unit` ("pictures" or "episodes"), `features`
        (those of tfds that its rows have besides the picture), `origin` (a
        fingerprint of what it reads) and `batches(start, stop, batch_size)`.

    Raises:
        ValueError: an unknown source or split, or two splits of one name.
        FileNotFoundError: it is not there.
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
                "Splits must have different names, so that each becomes one "
                f"of the result. Received: --split={split}, twice {short!r}."
            )
        readers[short] = open_split(spelled, form)
    return readers


def check_apart(
    source: str, folder: str | os.PathLike, data_dir: str | None = None
) -> None:
    """Raises ValueError if codes would be written among what is read.

    Args:
        source, data_dir: as for `open_source`.
        folder: that of the codes.

    Raises:
        ValueError: one is inside the other, with all links resolved.
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
            "The input is in the folder of the output, which is to hold codes "
            "alone. Choose another folder. Received: the output "
            f"{folder} and the input {given}."
        )


def split_names(split: str, found: Iterable[str]) -> list[str]:
    """Returns the splits that are joined by commas; `found` for "all".

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
    """Returns the kind of a source, and its name or path."""
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
    """Returns the name of a split of the result: that before a slice."""
    name = re.sub(r"\[.*?\]", "", split)
    if not re.fullmatch(r"\w+", name):
        raise ValueError(
            "Splits are names joined by commas, such as train,test, or slices "
            f"of these, such as train[:10%]. Received: {split!r}."
        )
    return name
