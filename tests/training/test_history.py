"""What is written of a training's course, and how it is cut back."""

import json

import pytest
import tensorflow as tf

from vqvae_tf.training.history import History, cut_summaries, read_history


def test_lines(tmp_path):
    path = tmp_path / "logs" / "history.jsonl"
    history = History(path, 0)
    history.add(4, {"loss": tf.constant(0.1), "rate": 0.5})
    history.add(8, {"loss": tf.constant(0.3), "rate": 0.25})
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    assert rows == read_history(path)
    assert rows[0] == {"step": 4, "loss": float(tf.constant(0.1)), "rate": 0.5}
    assert [row["step"] for row in rows] == [4, 8]


@pytest.mark.parametrize(
    "step, kept", [(0, []), (4, [4]), (7, [4]), (9, [4, 8])]
)
def test_later_lines_are_dropped(tmp_path, step, kept):
    path = tmp_path / "history.jsonl"
    history = History(path, 0)
    for at in (4, 8):
        history.add(at, {"loss": at / 10})
    with open(path, "a") as file:
        file.write('{"step": 12, "lo')  # killed while it wrote
    assert [row["step"] for row in read_history(path)] == [4, 8]
    History(path, step).add(12, {"loss": 1.2})
    assert [row["step"] for row in read_history(path)] == [*kept, 12]


def write_summaries(directory, steps):
    writer = tf.summary.create_file_writer(str(directory))
    with writer.as_default():
        for step in steps:
            tf.summary.scalar("loss", step / 10, step=step)
    writer.close()


def steps_of(directory):
    found = []
    for path in sorted(directory.glob("events*")):
        for record in tf.data.TFRecordDataset(str(path)):
            event = tf.compat.v1.Event.FromString(record.numpy())
            found += [event.step for _ in event.summary.value]
    return sorted(found)


@pytest.mark.parametrize("step, kept", [(0, []), (8, [4, 8]), (16, [4, 8, 12])])
def test_later_summaries_are_dropped(tmp_path, step, kept):
    write_summaries(tmp_path, [4, 8, 12])
    assert steps_of(tmp_path) == [4, 8, 12]
    cut_summaries(tmp_path, step)
    assert steps_of(tmp_path) == kept


def test_a_summary_that_was_cut_off(tmp_path):
    write_summaries(tmp_path, [4, 8, 12])
    (path,) = tmp_path.glob("events*")
    path.write_bytes(path.read_bytes()[:-5])
    cut_summaries(tmp_path, 16)
    assert steps_of(tmp_path) == [4, 8]


def test_files_that_need_no_cut_stay(tmp_path):
    write_summaries(tmp_path, [4, 8])
    (path,) = tmp_path.glob("events*")
    before = path.stat().st_mtime_ns, path.stat().st_ino
    cut_summaries(tmp_path, 8)
    assert (path.stat().st_mtime_ns, path.stat().st_ino) == before
