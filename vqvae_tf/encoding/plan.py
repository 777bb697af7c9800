"""The plan of a coded data set, which is compared at each restart."""

import hashlib
import json
import math
import os
import pathlib
import re
from collections.abc import Iterable

from vqvae_tf._versions import __version__
from vqvae_tf.encoding.encoder import code_dtype
from vqvae_tf.encoding.job import OpenJob
from vqvae_tf.encoding.shards import DATASET, Shard, is_codes
from vqvae_tf.encoding.streams import shard_ranges
from vqvae_tf.utils import scratch
from vqvae_tf.utils.files import write_atomically
from vqvae_tf.utils.locking import LOCK

PLAN = "encoding.json"
LAST = "dataset_info.json"  # written last: the data set is complete
# Few enough to encode again after a kill, but enough to fill batches.
UNITS_A_SHARD = {"pictures": 10_000, "episodes": 100}


class Plan:
    """The shards of a coded data set, and what they are made of.

    Args:
        opened: an `OpenJob`.

    Attributes:
        shards: a list of `Shard`.
        settings: a dict for JSON; equal settings make equal shards.
        features: tfds' `FeaturesDict` of an example.
        code_shapes: the shape of each kind of codes of an example.
    """

    def __init__(self, opened: OpenJob) -> None:
        job, encoder = opened.job, opened.encoder
        self.file_format = job.file_format
        self.shards, splits = [], {}
        for split, reader in opened.readers.items():
            number = _num_shards(reader, split, job.num_shards)
            for i, (start, stop) in enumerate(
                shard_ranges(len(reader), number)
            ):
                shard = Shard(split, i, number, start, stop, self.file_format)
                self.shards.append(shard)
            splits[split] = {
                reader.unit: len(reader),
                "num_shards": number,
                **reader.origin,
            }
        self.features = _features(encoder, opened.readers)
        self.code_shapes = {
            name: feature.shape
            for name, feature in self.features.items()
            if is_codes(name)
        }
        settings = {
            "preset": encoder.identity,
            "source": job.source,
            "image_size": encoder.form.size,
            "splits": splits,
            "features_sha256": _features_digest(self.features),
            "file_format": job.file_format,
            "on_corrupt": job.on_corrupt,
            "vqvae_tf_version": __version__,
        }
        # As a restart reads it, with sorted keys.
        self.settings = json.loads(json.dumps(settings, sort_keys=True))

    def text(self) -> str:
        return json.dumps(self.settings, indent=1, sort_keys=True) + "\n"

    def go_on(self, found: str, folder: str | os.PathLike, begun: bool) -> bool:
        """Continues with a folder's plan, if it makes the same shards.

        Args:
            found: the text of the folder's plan.
            folder: for messages.
            begun: whether there are any shards; if not, the plan may differ.

        Returns:
            Whether the folder's plan must be rewritten.

        Raises:
            ValueError: if the folder's shards were made with another plan.
        """
        try:
            other = json.loads(found)
        except json.JSONDecodeError as error:
            raise ValueError(
                f"{folder}/{PLAN} is not valid JSON ({error}). Remove the "
                "folder and encode again."
            ) from None
        if not isinstance(other, dict) or not {*_ALWAYS} <= other.keys():
            raise ValueError(
                f"{folder}/{PLAN} was not written by `vqvae-tf encode`. Choose "
                "another folder, or move it away."
            )
        differing = [
            (name, expected, part(self.settings))
            for name, part in _COMPARED.items()
            if (expected := _part(part, other)) != part(self.settings)
        ]
        if differing and not begun:
            return True
        # Finished shards contain nothing that would be skipped.
        skips = [(_ON_CORRUPT, "error", "skip")] == differing
        if differing and not skips:
            raise _refusal(folder, *differing[0])
        # Spelled as at first, so that the files come out identical.
        own = self.settings["on_corrupt"]
        self.settings = {**other, "on_corrupt": own}
        return skips

    def write(self, folder: str | os.PathLike) -> None:
        """Writes the plan, or continues with the folder's own."""
        path = pathlib.Path(folder) / PLAN
        if not path.exists():
            check_empty(os.listdir(path.parent), folder)
        elif not self.go_on(
            path.read_text(), folder, any(path.parent.glob(f"{DATASET}-*"))
        ):
            return
        with write_atomically(path) as temporary:
            pathlib.Path(temporary).write_text(self.text())


def _each_split(settings, wanted):
    return {
        split: {k: v for k, v in found.items() if wanted(k)}
        for split, found in settings["splits"].items()
    }


# Keys that every plan has.
_ALWAYS = ("preset", "source", "splits", "file_format")

_STATE = "state of the source"
_ON_CORRUPT = "choice of --on_corrupt"
_COMPARED = {
    "preset (files by their sha256)": (
        lambda settings: settings["preset"]["files"]
    ),
    "source": lambda settings: settings["source"],
    "split": lambda settings: sorted(settings["splits"]),
    "shard count": (
        lambda settings: _each_split(settings, lambda k: k == "num_shards")
    ),
    _STATE: (
        lambda settings: _each_split(settings, lambda k: k != "num_shards")
    ),
    "set of features or classes": lambda settings: settings["features_sha256"],
    "file format": lambda settings: settings["file_format"],
    "size of pictures": lambda settings: settings["image_size"],
    _ON_CORRUPT: lambda settings: settings["on_corrupt"],
}
_REMEDIES = {
    _STATE: "Files were repaired, added, removed or changed since, so existing "
    "shards may not match them. Remove the folder to encode the source as it "
    "is now; or restore the source, and resume with --on_corrupt=skip if a "
    "part of it cannot be read.",
    _ON_CORRUPT: "What could not be read was left out. Resume with "
    "--on_corrupt=skip, or choose another folder.",
}


def _part(part, settings):
    try:
        return part(settings)
    except (KeyError, TypeError, AttributeError):
        return None


def _refusal(folder, name, expected, received):
    remedy = _REMEDIES.get(name, "Choose another folder, or remove this one.")
    return ValueError(
        f"{folder} contains codes of another {name}. Expected "
        f"{_shown(expected)}, as before. Received: {_shown(received)}. "
        f"{remedy}"
    )


def check_empty(names: Iterable[str], folder: str | os.PathLike) -> None:
    """Raises ValueError if a folder without a plan contains other files."""
    for name in names:
        # Left behind by a process that was killed, or made by this one.
        if not name.startswith((f".{PLAN}.", LOCK, scratch.PREFIX)):
            raise ValueError(
                "Expected a new or empty folder, or one whose encoding can be "
                f"resumed (with {PLAN}). Received: {folder}, which contains "
                f"{name}."
            )


def _shown(value):
    """Returns a value as text, with sha256 digests shortened."""
    return re.sub(r"\b([0-9a-f]{12})[0-9a-f]{52}\b", r"\1...", str(value))


def _num_shards(reader, split, wanted):
    number = wanted or math.ceil(len(reader) / UNITS_A_SHARD[reader.unit])
    if not 1 <= number <= len(reader):
        raise ValueError(
            f"num_shards must be from 1 to the {len(reader)} {reader.unit} of "
            f"the split {split!r}. Received: {number}."
        )
    return number


def _features(encoder, readers):
    """Returns tfds' features, which must be the same for all splits."""
    import tensorflow_datasets as tfds

    found = {}
    for split, reader in readers.items():
        found[split] = {k: repr(v) for k, v in reader.features.items()}
    if len({repr(v) for v in found.values()}) > 1:
        raise ValueError(
            "The splits of a data set must have the same labels. Received: "
            f"{found}. Encode them to separate folders."
        )
    split, reader = next(iter(readers.items()))
    shapes = encoder.shapes(_image_shape(encoder.form, split, reader))
    codes = {
        name: tfds.features.Tensor(
            shape=shape,
            dtype=code_dtype(encoder.quantizers[name]),
            encoding=tfds.features.Encoding.BYTES,
        )
        for name, shape in shapes.items()
    }
    return tfds.features.FeaturesDict({**codes, **reader.features})


def _features_digest(features):
    """Returns a sha256 of all features, including the names of classes."""
    found = {
        key: (repr(feature), getattr(feature, "names", None))
        for key, feature in features.items()
    }
    return hashlib.sha256(repr(sorted(found.items())).encode()).hexdigest()


def _image_shape(form, split, reader):
    """Returns the pictures' shape: the model's or else the first picture's."""
    if form.size is not None:
        return (form.size, form.size, form.channels)
    first = next(reader.batches(0, len(reader), 1), None)
    if first is None:
        raise ValueError(
            f"No picture of the split {split!r} could be read. The preset has "
            "no fixed size, so the first picture must determine it."
        )
    return first["image"].shape[1:]
