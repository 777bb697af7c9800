"""The history and summaries of a run, cut back when it resumes.

A resumed run repeats the steps since its checkpoint and records them again.
The old records are dropped, so that a run that was killed leaves the same
history as one that was not.
"""

import json
import os
import pathlib
from collections.abc import Mapping

import tensorflow as tf

from vqvae_tf.utils.files import remove_leftovers, write_atomically
from vqvae_tf.utils.paths import expand


class History:
    """One line of JSON for each epoch: its last step and its metrics.

    Args:
        path: the file.
        step: the step that training resumes from; later lines are dropped.
    """

    def __init__(self, path: str | pathlib.Path, step: int) -> None:
        self.path = expand(path)
        remove_leftovers(path)
        kept = [row for row in read_history(path) if row["step"] <= step]
        with write_atomically(self.path) as temporary:
            text = "".join(json.dumps(row) + "\n" for row in kept)
            pathlib.Path(temporary).write_text(text)

    def add(self, step: int, metrics: Mapping[str, float]) -> None:
        """Adds the line of an epoch that ended with `step`."""
        row = {"step": step, **{k: float(v) for k, v in metrics.items()}}
        with open(self.path, "a") as file:
            file.write(json.dumps(row) + "\n")
            file.flush()
            os.fsync(file.fileno())


def read_history(path: str | pathlib.Path) -> list[dict]:
    """Returns the lines of a history: dicts of `step` and metrics.

    An incomplete last line is left out.
    """
    path = expand(path)
    rows = []
    for line in path.read_text().splitlines() if path.exists() else ():
        try:
            rows.append(json.loads(line))
        except ValueError:
            break
    return rows


def cut_summaries(directory: pathlib.Path, step: int) -> None:
    """Drops later steps from TensorBoard's event files.

    Args:
        directory: a log directory, whose files are replaced.
        step: the last step to keep.
    """
    for path in expand(directory).glob("events.out.tfevents.*"):
        records, complete = _read_records(path)
        kept = [r for r in records if _step(r) <= step]
        if complete and len(kept) == len(records):
            continue
        # A name that TensorBoard does not read.
        temporary = path.with_name(".cut")
        with tf.io.TFRecordWriter(str(temporary)) as writer:
            for record in kept:
                writer.write(record)
        os.replace(temporary, path)


def _read_records(path):
    """Returns a file's complete records, and whether it is intact."""
    records = []
    try:
        for record in tf.data.TFRecordDataset(str(path)):
            records.append(record.numpy())
    except tf.errors.DataLossError:
        return records, False  # the run was killed while writing
    return records, True


def _step(record):
    return tf.compat.v1.Event.FromString(record).step
