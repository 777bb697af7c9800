"""Coded data sets: written in shards that can be resumed, and read again.

A folder of shards (TFRecord or ArrayRecord) that tensorflow_datasets reads by
itself, `tfds.builder_from_directory(folder)`, with the code maps of a source's
pictures, their labels and names:

encoding.json                       what made them: preset, source, shards
codes-SPLIT.FORMAT-00000-of-00004   shards, each there when it is complete
.shards/                            what each holds, to tell if it is whole
dataset_info.json, features.json, metadata.json   written at the end, for tfds
"""

import contextlib
import fcntl
import pathlib
import shutil
import tempfile

import numpy as np
import tensorflow as tf
from absl import logging

from vqvae_tf import code_shards
from vqvae_tf.checks import check_positive
from vqvae_tf.code_encoder import CodeEncoder
from vqvae_tf.code_plan import PLAN, Plan
from vqvae_tf.code_sources import open_source
from vqvae_tf.data import Episodes, builders
from vqvae_tf.data.records import Records
from vqvae_tf.files import write_atomically
from vqvae_tf.pieces import ahead

_LAST = "dataset_info.json"


def encode_dataset(
    preset,
    source: str,
    folder,
    split: str = "all",
    data_dir: str | None = None,
    file_format: str = "tfrecord",
    num_shards: int | None = None,
    batch_size: int = 64,
    on_corrupt: str = "error",
    progress: bool = True,
) -> dict:
    """Encodes a data set to a folder of shards.

    Called again after a kill it keeps the shards that are whole and makes the
    others; the result is that of a run that was not stopped, byte by byte.

    Args:
        preset: as for `presets.find_preset`.
        source: "tfds:NAME", pictures or episodes; a folder or npz file; or
            "folder:SUBDIR", "npz:FILE" in `data_dir`.
        folder: where to write; new, empty, or begun by the same call.
        split: names joined by commas, or "all"; each becomes one of the
            result.
        data_dir: where to look; by default TFDS_DATA_DIR.
        file_format: "tfrecord" or "array_record".
        num_shards: of each split; by default one for 10,000 pictures or 100
            episodes.
        batch_size: rows that are encoded at once.
        on_corrupt: "error", or "skip" to leave out what cannot be decoded.
        progress: show a progress bar.

    Returns:
        A dict of `examples`, how many the result holds, and `kept` and `made`,
        how many shards.

    Raises:
        ValueError: bad arguments, data or preset, or a folder of other codes.
        FileNotFoundError: the source is not there.
        OSError: the folder cannot be written to.

    Example:

    >>> digest = generator.save_to_preset("preset")
    >>> np.savez("pictures.npz", images=images)
    >>> encode_dataset("preset", "pictures.npz", "codes")
    {'examples': 2, 'kept': 0, 'made': 1}
    >>> load_codes("codes", "train")["codes"].shape
    (2, 8, 8)
    """
    check_positive("batch_size", batch_size)
    if num_shards is not None:
        check_positive("num_shards", num_shards)
    encoder = CodeEncoder(preset, batch_size)
    readers = open_source(source, split, encoder.form, data_dir, on_corrupt)
    plan = Plan(encoder, source, readers, file_format, num_shards, on_corrupt)
    plan.write(folder)
    with _locked(folder), _progress_bar(plan, progress) as bar:
        contents = {}
        for shard in plan.shards:
            content = code_shards.whole(folder, shard)
            if content is not None:
                contents[shard] = content
                bar.update(shard.stop - shard.start)
        kept = len(contents)
        todo = [shard for shard in plan.shards if shard not in contents]
        logging.info("Encoding %d shards, %d are there.", len(todo), kept)
        for shard, content in make_shards(folder, todo, encoder, readers):
            contents[shard] = content
            bar.update(shard.stop - shard.start)
        place_metadata(plan, contents, _copy_to(folder))
    examples = sum(content.examples for content in contents.values())
    return {"examples": examples, "kept": kept, "made": len(todo)}


def make_shards(folder, shards, encoder, readers):
    """Yields each shard, and its content once it is written.

    Three things go on at once, a few batches apart: reading, in a thread;
    encoding, in a second; and serialising and writing, in this one.
    """
    coded = ahead(coded_batches(shards, encoder, readers))
    with contextlib.closing(coded):
        for shard in shards:
            batches = iter(lambda: next(coded), None)
            yield shard, code_shards.write_shard(folder, shard, batches)


def coded_batches(shards, encoder, readers):
    """Yields the batches of each shard, codes for pictures, and None after."""

    def read():
        for shard in shards:
            yield from readers[shard.split].batches(
                shard.start, shard.stop, encoder.batch_size
            )
            yield None

    with contextlib.closing(ahead(read(), size=4)) as batches:
        for batch in batches:
            if batch is not None:
                batch = {**batch}
                batch.update(encoder(batch.pop("image")))
            yield batch


def place_metadata(plan, contents, place):
    """Writes the files of tfds, and calls `place(file)` for each in turn.

    That which says that the data set is complete comes last.
    """
    with tempfile.TemporaryDirectory() as temporary:
        plan.write_metadata(temporary, contents)
        files = sorted(
            pathlib.Path(temporary).iterdir(), key=lambda f: f.name == _LAST
        )
        for file in files:
            place(file)


def _copy_to(folder):
    def place(file):
        with write_atomically(pathlib.Path(folder) / file.name) as temporary:
            shutil.copyfile(file, temporary)

    return place


@contextlib.contextmanager
def _locked(folder):
    """Keeps a second process out of the folder; the system ends the lock."""
    with open(pathlib.Path(folder) / PLAN) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise ValueError(
                f"Another process is encoding to {folder}. Wait until it ends, "
                "or choose another folder."
            ) from None
        yield


def _progress_bar(plan, shown):
    from tqdm import tqdm

    total = sum(shard.stop - shard.start for shard in plan.shards)
    return tqdm(total=total, delay=1, leave=False, disable=not shown)


# Reading --------------------------------------------------------------------


def open_codes(
    folder, split: str, batch_size: int | None = None
) -> tf.data.Dataset:
    """Opens a coded data set, in the order of its source.

    `tfds.builder_from_directory(folder).as_dataset(split=split)` gives the
    same of TFRecord; this reads ArrayRecord as well.

    Args:
        folder: what `encode_dataset` wrote.
        split: "train", or a slice as "train[:10%]"; "all" is every split.
        batch_size: rows of a batch, the last may have fewer; None for single
            examples.

    Returns:
        A dataset of dicts: `codes` `[*grid]`, perhaps `global_codes`; `name`
        and perhaps `label` of pictures; `episode`, `step`, `is_last` and
        perhaps `action` of frames.

    Raises:
        FileNotFoundError: the folder holds no complete coded data set.
        ValueError: it has no such split.
    """
    builder = _builder(folder)
    records = Records(find_split(builder, folder, split), str(folder))
    batches = records.dataset(0, len(records), 256)
    examples = batches.unbatch().map(
        builder.info.features.deserialize_example,
        num_parallel_calls=tf.data.AUTOTUNE,
        deterministic=True,
    )
    if batch_size is not None:
        examples = examples.batch(batch_size)
    return examples.prefetch(tf.data.AUTOTUNE)


def load_codes(folder, split: str) -> dict[str, np.ndarray]:
    """Reads a coded data set into memory.

    Args:
        folder, split: as for `open_codes`.

    Returns:
        A dict of arrays with a row for each example; see `open_codes`. Train a
        prior on `codes`, for instance by `data.array_batches`.

    Raises:
        FileNotFoundError, ValueError: as `open_codes`.
    """
    batches = list(open_codes(folder, split, 256).as_numpy_iterator())
    found = {k: np.concatenate([b[k] for b in batches]) for k in batches[0]}
    if "name" in found:
        names = [name.decode() for name in found["name"]]
        found["name"] = np.array(names)
    return found


def load_episodes(folder, split: str) -> Episodes:
    """Reads the codes of episodes into memory, to train a prior of video.

    Args:
        folder, split: as for `open_codes`.

    Returns:
        `Episodes` of code maps, for `data.clip_batches`.

    Raises:
        FileNotFoundError: as `open_codes`.
        ValueError: as well if the codes are not those of episodes.
    """
    found = load_codes(folder, split)
    if "episode" not in found:
        raise ValueError(
            "Codes of episodes were expected. Received: "
            f"{folder} with {', '.join(found)}."
        )
    first = np.flatnonzero(found["step"] == 0)
    lengths = np.diff(np.append(first, len(found["step"])))
    title = f"{folder} ({split})"
    return Episodes(title, found["codes"], found.get("action"), lengths)


def read_plan(folder) -> dict:
    """Returns what made a coded data set: preset, source, splits.

    Raises:
        FileNotFoundError: it is none, or not complete.
    """
    return dict(_builder(folder).info.metadata)


def find_split(builder, folder, split):
    """Returns tfds' description of a split of a coded data set."""
    return builders.find_split(builder, str(folder), split)


def _builder(folder):
    import tensorflow_datasets as tfds

    if not (pathlib.Path(folder) / _LAST).is_file():
        begun = (pathlib.Path(folder) / PLAN).is_file()
        raise FileNotFoundError(
            f"Expected a folder written by `vqvae-tf encode`, complete with "
            f"{_LAST}. Received: {folder}"
            + (
                ", which is not complete: call the same encode again."
                if begun
                else "."
            )
        )
    return tfds.builder_from_directory(folder)
