"""Encodes data sets in shards, so that encoding can be resumed.

The result is a folder of shards (TFRecord or ArrayRecord) that
tensorflow_datasets can read, `tfds.builder_from_directory(folder)`, with the
code maps of a source's pictures, their labels and names:

encoding.json                       what made them: preset, source, shards
codes-SPLIT.FORMAT-00000-of-00004   shards, each written at once
.shards/                            each shard's content, to check it against
dataset_info.json, features.json, metadata.json   written last, for tfds
"""

import contextlib
import os
import pathlib
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence

from absl import logging

from vqvae_tf.encoding.job import Job, OpenJob
from vqvae_tf.encoding.plan import LAST, Plan
from vqvae_tf.encoding.reading import (
    load_codes,
    load_episodes,
    open_codes,
    read_plan,
)
from vqvae_tf.encoding.shards import (
    DATASET,
    Content,
    Shard,
    remove_temporaries,
    whole,
    write_shard,
)
from vqvae_tf.encoding.sources import check_apart
from vqvae_tf.utils.files import write_atomically
from vqvae_tf.utils.locking import locked
from vqvae_tf.utils.paths import check_utf8, expand, printable

__all__ = [
    "encode_dataset",
    "load_codes",
    "load_episodes",
    "open_codes",
    "read_plan",
]


def encode_dataset(
    preset: str | os.PathLike,
    source: str,
    folder: str | os.PathLike,
    split: str = "all",
    data_dir: str | None = None,
    file_format: str = "tfrecord",
    num_shards: int | None = None,
    batch_size: int = 64,
    on_corrupt: str = "error",
    progress: bool = True,
) -> dict:
    """Encodes a data set to a folder of shards.

    If a call was killed, the next one keeps its complete shards and makes the
    others; the result is byte for byte that of an uninterrupted call.

    Args:
        preset: as for `presets.find_preset`.
        source: "tfds:NAME", pictures or episodes; a folder or npz file; or
            "folder:SUBDIR", "npz:FILE" in `data_dir`.
        folder: where to write; new, empty, or begun by the same call.
        split: names joined by commas, or "all"; each becomes a split of the
            result.
        data_dir: where to look; by default TFDS_DATA_DIR.
        file_format: "tfrecord" or "array_record".
        num_shards: of each split; by default one per 10,000 pictures or 100
            episodes.
        batch_size: rows that are encoded at once.
        on_corrupt: "error", or "skip" to leave out what cannot be decoded.
        progress: show a progress bar.

    Returns:
        A dict of `examples`, the number in the result, and `kept` and `made`,
        numbers of shards.

    Raises:
        ValueError: bad arguments, data or preset, or a folder of other codes.
        FileNotFoundError: there is no such source.
        OSError: the folder cannot be written to.

    Example:

    >>> digest = generator.save_to_preset("preset")
    >>> np.savez("pictures.npz", images=images)
    >>> encode_dataset("preset", "pictures.npz", "codes")
    {'examples': 2, 'kept': 0, 'made': 1}
    >>> load_codes("codes", "train")["codes"].shape
    (2, 8, 8)
    """
    folder = expand(folder)
    check_utf8(folder, "The folder of a data set")
    job = Job(
        preset,
        source,
        folder,
        split,
        data_dir,
        file_format,
        num_shards,
        batch_size,
        on_corrupt,
    )
    check_apart(source, folder, data_dir)
    opened = job.open()
    plan = Plan(opened)

    def place(file):
        with write_atomically(folder / file.name) as temporary:
            shutil.copyfile(file, temporary)

    with locked(folder, "encoding to"), _progress_bar(plan, progress) as bar:
        plan.write(folder)
        contents, kept = _shards_of(opened, plan, bar)
        place_metadata(plan, contents, place)
        remove_temporaries(folder)
    examples = sum(content.examples for content in contents.values())
    made = len(contents) - kept
    return {"examples": examples, "kept": kept, "made": made}


def _shards_of(opened, plan, bar):
    """Makes missing shards; returns all contents, and how many were kept."""
    folder, contents = opened.job.output, {}

    def note(shard, content):
        contents[shard] = content
        bar.update(shard.stop - shard.start)

    for shard in plan.shards:
        content = whole(folder, shard)
        if content is not None:
            note(shard, content)
    kept = len(contents)
    todo = [shard for shard in plan.shards if shard not in contents]
    logging.info("Encoding %d shards, keeping %d.", len(todo), kept)
    if todo:  # marks the data set as incomplete
        (pathlib.Path(folder) / LAST).unlink(missing_ok=True)
    for found in make_shards(folder, todo, opened, plan.code_shapes):
        note(*found)
    return contents, kept


def make_shards(
    folder: str | os.PathLike,
    shards: Sequence[Shard],
    opened: OpenJob,
    code_shapes: dict[str, tuple],
) -> Iterator[tuple[Shard, Content]]:
    """Writes shards; yields each with its content once it is written.

    Args:
        folder: where to write.
        shards: which shards.
        opened: an `OpenJob`; other threads make its batches while this one
            serializes and writes.
        code_shapes: of the plan.
    """
    coded = opened.batches(shards, code_shapes)
    with contextlib.closing(coded):
        for shard in shards:
            batches = iter(lambda: next(coded), None)
            yield shard, write_shard(folder, shard, batches)


def place_metadata(
    plan: Plan,
    contents: dict[Shard, Content],
    place: Callable[[pathlib.Path], None],
) -> None:
    """Writes what tensorflow_datasets needs to read the shards.

    Args:
        plan: a `Plan`.
        contents: the content of each shard.
        place: called with each file; the one that marks the data set as
            complete comes last.

    Raises:
        ValueError: if a split has no examples.
    """
    with tempfile.TemporaryDirectory() as temporary:
        _write_metadata(temporary, plan, contents)
        files = sorted(
            pathlib.Path(temporary).iterdir(), key=lambda f: f.name == LAST
        )
        for file in files:
            place(file)


def _write_metadata(folder, plan, contents):
    import tensorflow_datasets as tfds

    template = tfds.core.ShardedFileTemplate(
        data_dir=folder, dataset_name=DATASET, filetype_suffix=plan.file_format
    )
    # tfds looks for the files' names, but the shards may be elsewhere.
    names = [pathlib.Path(folder) / shard.file for shard in plan.shards]
    for name in names:
        name.touch()
    source, preset = plan.settings["source"], plan.settings["preset"]["name"]
    tfds.folder_dataset.write_metadata(
        data_dir=folder,
        features=plan.features,
        split_infos=[
            _split_info(split, plan, contents, template)
            for split in plan.settings["splits"]
        ],
        filename_template=template,
        version="1.0.0",
        check_data=False,
        description=printable(f"Codes of {source} by {preset}."),
        metadata=tfds.core.MetadataDict(plan.settings),
    )
    for name in names:
        name.unlink()


def _split_info(split, plan, contents, template):
    import tensorflow_datasets as tfds

    found = [contents[s] for s in plan.shards if s.split == split]
    if not sum(content.examples for content in found):
        raise ValueError(
            f"No picture of the split {split!r} of "
            f"{plan.settings['source']} could be read."
        )
    return tfds.core.SplitInfo(
        name=split,
        shard_lengths=[content.examples for content in found],
        num_bytes=sum(content.num_bytes for content in found),
        filename_template=template,
    )


def _progress_bar(plan, shown):
    from tqdm import tqdm

    total = sum(shard.stop - shard.start for shard in plan.shards)
    return tqdm(total=total, delay=1, leave=False, disable=not shown)
