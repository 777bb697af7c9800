"""Runs that are killed end as one that was left alone, bit for bit."""

import random
import signal

import numpy as np
import pytest
import runs
import small
from harness import assert_close

from vqvae_tf.history import read_history


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    small.write_data(folder)
    return folder


@pytest.fixture(scope="module")
def alone(data_dir):
    """What a run leaves that nobody disturbed, and how long it took."""
    process = runs.start(data_dir / "alone", data_dir)
    seconds = runs.seconds_of_training(runs.finished(process))
    return runs.results(data_dir / "alone"), seconds


@pytest.fixture(scope="module")
def two_workers(data_dir):
    work = data_dir / "two"
    for process in runs.start_workers(work, data_dir):
        runs.finished(process)
    return runs.results(work)


def kill_and_resume(work, data_dir, moments):
    """Kills a run at moments of its training, then lets it end."""
    for moment in moments:
        process = runs.start(work, data_dir, kill_after=moment)
        text, _ = process.communicate(timeout=300)
        # It may have ended before.
        assert process.returncode in (-signal.SIGKILL, 0), text[-4000:]
    runs.finished(runs.start(work, data_dir))


def test_killed_twice(alone, data_dir):
    expected, seconds = alone
    # In the first stage, and somewhere after.
    moments = [
        random.uniform(0, seconds / 2),
        random.uniform(0, seconds),
    ]
    kill_and_resume(data_dir / "killed", data_dir, moments)
    runs.assert_same(runs.results(data_dir / "killed"), expected, moments)


@pytest.mark.slow
def test_killed_a_hundred_times(alone, data_dir):
    """Twenty runs, each killed five times at random moments."""
    expected, seconds = alone
    for i in range(20):
        moments = [random.uniform(0, 1.2 * seconds) for _ in range(5)]
        work = data_dir / f"killed_{i}"
        kill_and_resume(work, data_dir, moments)
        runs.assert_same(runs.results(work), expected, moments)


# Two workers ------------------------------------------------------------------


def test_two_workers_are_one(alone, two_workers):
    expected, _ = alone
    assert two_workers.keys() == expected.keys()
    np.testing.assert_array_equal(two_workers["codes"], expected["codes"])
    for name, value in expected.items():
        if name.startswith("weight"):
            assert_close(two_workers[name], value, name)
        if name.endswith("history"):
            rows = zip(two_workers[name], value, strict=True)
            for received, row in rows:
                assert received.keys() == row.keys()
                for key in row:
                    assert_close(received[key], row[key], key)


@pytest.mark.parametrize("victim", [0, 1])
def test_a_worker_is_killed(alone, two_workers, data_dir, victim):
    """The other one stops with a message; started again, both go on."""
    work = data_dir / f"victim_{victim}"
    moments = [None, None]
    # Two processes share the machine, and trace their graphs more slowly.
    moments[victim] = random.uniform(0, 3 * alone[1])
    killed = runs.start_workers(work, data_dir, moments)
    texts = [process.communicate(timeout=300)[0] for process in killed]
    codes = [process.returncode for process in killed]
    if codes != [0, 0]:  # it had ended before
        assert codes[victim] == -signal.SIGKILL, texts[victim][-4000:]
        assert codes[1 - victim] != 0
        assert "worker" in texts[1 - victim]
    for process in runs.start_workers(work, data_dir):
        runs.finished(process)
    runs.assert_same(runs.results(work), two_workers, moments)


def test_history_is_that_of_the_run(alone, data_dir):
    rows = read_history(data_dir / "alone/logs/autoencoder/history.jsonl")
    config = small.stateful_recipe().training
    assert [row["step"] for row in rows] == [4, 8, config.steps]
    assert rows[0]["learning_rate"] > rows[-1]["learning_rate"]
