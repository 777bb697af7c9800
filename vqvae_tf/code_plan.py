"""What a coded data set is to be: decided once, compared at each restart."""

import json
import math
import pathlib
import re

import vqvae_tf
from vqvae_tf.code_encoder import code_dtype
from vqvae_tf.code_shards import CODES, DATASET, FORMATS, Shard
from vqvae_tf.files import write_atomically
from vqvae_tf.pieces import shard_ranges

PLAN = "encoding.json"
# Few enough to be made again after a kill, many enough to fill batches.
UNITS_A_SHARD = {"pictures": 10_000, "episodes": 100}


class Plan:
    """The shards of a coded data set, and what they are made of.

    Args:
        encoder: a `CodeEncoder`.
        source: as for `code_sources.open_source`, to be noted.
        readers: what that returned.
        file_format: "tfrecord" or "array_record".
        num_shards: of each split; None for one a 10,000 pictures or 100
            episodes.
        on_corrupt: "error" or "skip".

    Attributes:
        shards: list of `Shard`.
        settings: a dict for JSON; equal ones make equal shards.
        features: of tfds.
    """

    def __init__(
        self, encoder, source, readers, file_format, num_shards, on_corrupt
    ):
        if file_format not in FORMATS:
            raise ValueError(
                f"The format must be one of {FORMATS}. Received: "
                f"{file_format!r}."
            )
        self.file_format = file_format
        self.shards, splits = [], {}
        for split, reader in readers.items():
            number = _num_shards(reader, split, num_shards)
            for i, (start, stop) in enumerate(
                shard_ranges(len(reader), number)
            ):
                shard = Shard(split, i, number, start, stop, file_format)
                self.shards.append(shard)
            splits[split] = {
                reader.unit: len(reader),
                "num_shards": number,
                **reader.origin,
            }
        settings = {
            "preset": encoder.identity,
            "source": source,
            "image_size": encoder.form.size,
            "splits": splits,
            "file_format": file_format,
            "on_corrupt": on_corrupt,
            "vqvae_tf_version": vqvae_tf.__version__,
        }
        # In the order in which a restart reads it.
        self.settings = json.loads(json.dumps(settings, sort_keys=True))
        self.features = _features(encoder, readers)

    def text(self) -> str:
        return json.dumps(self.settings, indent=1, sort_keys=True) + "\n"

    def check(self, found: str, folder):
        """Raises ValueError if another plan made what is in the folder."""
        try:
            other = json.loads(found)
        except json.JSONDecodeError as error:
            raise ValueError(
                f"{folder}/{PLAN} is not valid JSON ({error}). Remove the "
                "folder and encode again."
            ) from None
        for name, part in _COMPARED.items():
            try:
                expected = part(other)
            except (KeyError, TypeError):
                expected = None
            received = part(self.settings)
            if received != expected:
                raise ValueError(
                    f"{folder} holds codes of another {name}. Expected "
                    f"{_shown(expected)}, as before. Received: "
                    f"{_shown(received)}. Choose another folder, or remove "
                    "this one."
                )
        # As it was first called and spelled, so that nothing differs.
        self.settings = other

    def write(self, folder):
        """Writes the plan, or checks that of the folder against it."""
        path = pathlib.Path(folder) / PLAN
        if path.exists():
            self.check(path.read_text(), folder)
            return
        if path.parent.exists():
            for name in [entry.name for entry in path.parent.iterdir()]:
                # Hidden: what a process left that was killed here.
                if not name.startswith(f".{PLAN}."):
                    raise ValueError(
                        "Expected a new or an empty folder, or one whose "
                        f"encoding is to go on (with {PLAN}). Received: "
                        f"{folder}, which holds {name}."
                    )
                (path.parent / name).unlink()
        with write_atomically(path) as temporary:
            pathlib.Path(temporary).write_text(self.text())

    def write_metadata(self, folder, contents):
        """Writes what tensorflow_datasets needs to read the shards.

        Args:
            folder: a local, empty one.
            contents: a dict of each shard to its `Content`.

        Raises:
            ValueError: if a split has no example.
        """
        import tensorflow_datasets as tfds

        template = tfds.core.ShardedFileTemplate(
            data_dir=folder,
            dataset_name=DATASET,
            filetype_suffix=self.file_format,
        )
        splits = []
        for split in self.settings["splits"]:
            found = [contents[s] for s in self.shards if s.split == split]
            if not sum(content.examples for content in found):
                raise ValueError(
                    f"No picture of the split {split!r} of "
                    f"{self.settings['source']} could be read."
                )
            splits.append(
                tfds.core.SplitInfo(
                    name=split,
                    shard_lengths=[content.examples for content in found],
                    num_bytes=sum(content.num_bytes for content in found),
                    filename_template=template,
                )
            )
        preset = self.settings["preset"]["name"]
        # tfds looks at the files' names; the shards may be far away.
        names = [pathlib.Path(folder) / shard.file for shard in self.shards]
        for name in names:
            name.touch()
        tfds.folder_dataset.write_metadata(
            data_dir=folder,
            features=self.features,
            split_infos=splits,
            filename_template=template,
            version="1.0.0",
            check_data=False,
            description=f"Codes of {self.settings['source']} by {preset}.",
            metadata=tfds.core.MetadataDict(self.settings),
        )
        for name in names:
            name.unlink()


def _each_split(settings, wanted):
    return {
        split: {k: v for k, v in found.items() if wanted(k)}
        for split, found in settings["splits"].items()
    }


_COMPARED = {
    "preset (files by their sha256)": (
        lambda settings: settings["preset"]["files"]
    ),
    "source": lambda settings: settings["source"],
    "split": lambda settings: sorted(settings["splits"]),
    "shard count": (
        lambda settings: _each_split(settings, lambda k: k == "num_shards")
    ),
    "state of the source": (
        lambda settings: _each_split(settings, lambda k: k != "num_shards")
    ),
    "file format": lambda settings: settings["file_format"],
    "size of pictures": lambda settings: settings["image_size"],
    "choice of --on_corrupt": lambda settings: settings["on_corrupt"],
}


def _shown(value):
    """Returns a value as words; of a sha256 its beginning is enough."""
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
    """Returns the features of tfds that all splits have."""
    import tensorflow_datasets as tfds

    found = {}
    for split, reader in readers.items():
        found[split] = {k: repr(v) for k, v in reader.features.items()}
    if len({repr(v) for v in found.values()}) > 1:
        raise ValueError(
            "The splits of one data set must have the same labels. Received: "
            f"{found}. Encode them to folders of their own."
        )
    reader = next(iter(readers.values()))
    shapes = encoder.shapes(_image_shape(encoder.form, reader))
    codes = {
        name: tfds.features.Tensor(
            shape=shapes[name],
            dtype=code_dtype(encoder.quantizers[name]),
            encoding=tfds.features.Encoding.BYTES,
        )
        for name in CODES
        if name in shapes
    }
    return tfds.features.FeaturesDict({**codes, **reader.features})


def _image_shape(form, reader):
    """Returns the shape of the pictures, from the first where none is set."""
    if form.size is not None:
        return (form.size, form.size, form.channels)
    return next(iter(reader.batches(0, 1, 1)))["image"].shape[1:]
