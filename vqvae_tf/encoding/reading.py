"""Reads coded data sets as datasets, arrays or episodes."""

import os
import pathlib
from collections.abc import Iterator

import numpy as np
import tensorflow as tf

from vqvae_tf.data import Episodes
from vqvae_tf.data.records import builders
from vqvae_tf.data.records.sequential import Records, intact
from vqvae_tf.encoding.plan import LAST, PLAN
from vqvae_tf.utils.paths import expand


def open_codes(
    folder: str | os.PathLike, split: str, batch_size: int | None = None
) -> tf.data.Dataset:
    """Opens a coded data set, in the order of its source.

    For TFRecord, `tfds.builder_from_directory(folder).as_dataset(split=split,
    read_config=tfds.ReadConfig(interleave_cycle_length=1))` returns the same in
    the same order; this also reads ArrayRecord.

    Args:
        folder: as written by `encode_dataset`.
        split: "train", a slice such as "train[:10%]", or "all".
        batch_size: rows of a batch, of which the last may have fewer; None for
            single examples.

    Returns:
        A dataset of dicts: `codes` `[*grid]` or `codes_LEVEL` of each level,
        perhaps `global_codes`; for
        pictures `name` and perhaps `label`; for frames `episode`, `step`,
        `is_last` and perhaps `action`.

    Raises:
        FileNotFoundError: the folder has no complete coded data set.
        ValueError: it has no such split.
        tf.errors.OpError: while reading, if a shard is truncated or altered.
    """
    folder = expand(folder)
    builder = _builder(folder)
    found = builders.find_split(builder, str(folder), split)
    records = Records(found, str(folder))
    batches = records.dataset(0, len(records), 256)
    examples = batches.unbatch().map(
        builder.info.features.deserialize_example,
        num_parallel_calls=tf.data.AUTOTUNE,
        deterministic=True,
    )
    if batch_size is not None:
        examples = examples.batch(batch_size)
    return examples.prefetch(tf.data.AUTOTUNE)


def code_batches(
    folder: str | os.PathLike, split: str, batch_size: int
) -> Iterator[dict]:
    """Yields the batches of `open_codes`, dicts of arrays.

    Raises:
        FileNotFoundError: as `open_codes`.
        ValueError: also if a shard is damaged.
    """
    batches = open_codes(folder, split, batch_size).as_numpy_iterator()
    remedy = "call the same encode again, which repairs them"
    yield from intact(batches, str(folder), remedy)


def load_codes(folder: str | os.PathLike, split: str) -> dict[str, np.ndarray]:
    """Reads a coded data set into memory.

    Args:
        folder, split: as for `open_codes`.

    Returns:
        A dict of arrays with a row for each example; see `open_codes`. To train
        a prior on `codes`, pass them to `data.array_batches`, for instance.

    Raises:
        FileNotFoundError, ValueError: as `open_codes`.
    """
    batches = list(code_batches(folder, split, 256))
    found = {k: np.concatenate([b[k] for b in batches]) for k in batches[0]}
    if "name" in found:
        names = [os.fsdecode(name) for name in found["name"]]
        found["name"] = np.array(names)
    return found


def load_episodes(folder: str | os.PathLike, split: str) -> Episodes:
    """Reads the codes of episodes into memory, to train a prior of video.

    Args:
        folder, split: as for `open_codes`.

    Returns:
        `Episodes` of code maps, for `data.clip_batches`.

    Raises:
        FileNotFoundError: as `open_codes`.
        ValueError: also if the codes are not of episodes.
    """
    found = load_codes(folder, split)
    if "episode" not in found:
        raise ValueError(
            "Codes of episodes were expected. Received: "
            f"{folder}, with only {', '.join(found)}."
        )
    first = np.flatnonzero(found["step"] == 0)
    lengths = np.diff(np.append(first, len(found["step"])))
    title = f"{folder} ({split})"
    return Episodes(title, found["codes"], found.get("action"), lengths)


def read_plan(folder: str | os.PathLike) -> dict:
    """Returns what made a coded data set: preset, source, splits.

    Raises:
        FileNotFoundError: it is no such data set, or is incomplete.
        ValueError: it is another data set of tfds.
    """
    folder = expand(folder)
    plan = dict(_builder(folder).info.metadata or {})
    if "preset" not in plan:
        raise ValueError(
            "Expected a folder written by `vqvae-tf encode`. Received: "
            f"{folder}, a data set of tensorflow_datasets of another kind."
        )
    return plan


def _builder(folder):
    import tensorflow_datasets as tfds

    if not (pathlib.Path(folder) / LAST).is_file():
        begun = (pathlib.Path(folder) / PLAN).is_file()
        raise FileNotFoundError(
            f"Expected a folder written by `vqvae-tf encode`, complete with "
            f"{LAST}. Received: {folder}"
            + (
                ", which is not complete: call the same encode again."
                if begun
                else "."
            )
        )
    return tfds.builder_from_directory(folder)
