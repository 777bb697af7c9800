"""Runs that are killed end as one that was left alone, bit for bit."""

import signal

import numpy as np
import pytest

from support import runs, small
from support.harness import assert_close
from vqvae_tf.training.history import read_history


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    small.write_data(folder)
    return folder


@pytest.fixture(scope="module")
def alone(data_dir):
    """What a run leaves that nobody disturbed, and how long things took."""
    process = runs.start(data_dir / "alone", data_dir)
    durations = runs.durations(runs.finished(process))
    assert set(durations) == {"all", "autoencoder", "prior"}
    return runs.results(data_dir / "alone"), durations


@pytest.fixture(scope="module")
def two_workers(data_dir):
    """The same of two workers."""
    work = data_dir / "two"
    processes = runs.start_workers(work, data_dir)
    text, _ = [runs.finished(process) for process in processes]
    return runs.results(work), runs.durations(text)


def kill_and_resume(work, data_dir, moments):
    """Kills a run at moments of its training, then lets it end."""
    for moment in moments:
        process = runs.start(work, data_dir, kill_after=moment)
        text, _ = process.communicate(timeout=runs.HANGS)
        # It may have ended before.
        assert process.returncode in (-signal.SIGKILL, 0), text[-4000:]
    runs.finished(runs.start(work, data_dir))


def check_killed(alone, work, data_dir, moments):
    kill_and_resume(work, data_dir, moments)
    runs.assert_same(runs.results(work), alone[0], moments)


def test_killed(alone, data_dir):
    """Amid the steps of one of the stages."""
    stage = runs.CHANCE.choice(("autoencoder", "prior"))
    moments = [runs.random_moment(alone[1], stage, share=0.8)]
    check_killed(alone, data_dir / "killed", data_dir, moments)


@pytest.mark.slow
@pytest.mark.parametrize("number", range(20))
def test_killed_a_hundred_times(alone, data_dir, number):
    """Twenty runs, each killed five times at random moments."""
    moments = [runs.random_moment(alone[1]) for _ in range(5)]
    check_killed(alone, data_dir / f"killed_{number}", data_dir, moments)


@pytest.mark.slow
def test_a_killed_run_of_two_players(data_dir):
    """Both optimizers, the discriminator's state, averages, noise."""
    options = dict(recipe="vqgan_recipe")
    whole, killed = data_dir / "gan", data_dir / "gan_killed"
    text = runs.finished(runs.start(whole, data_dir, **options))
    durations = runs.durations(text)
    moments = [
        runs.random_moment(durations, "autoencoder", share=0.9)
        for _ in range(3)
    ]
    for moment in moments:
        process = runs.start(killed, data_dir, kill_after=moment, **options)
        text, _ = process.communicate(timeout=runs.HANGS)
        assert process.returncode in (-signal.SIGKILL, 0), text[-4000:]
    runs.finished(runs.start(killed, data_dir, **options))
    results = [runs.results(work) for work in (killed, whole)]
    assert any(name.startswith("weight") for name in results[0])
    runs.assert_same(*results, moments)


# Two workers ------------------------------------------------------------------


@pytest.mark.slow
def test_two_workers_are_one(alone, two_workers):
    expected, received = alone[0], two_workers[0]
    assert received.keys() == expected.keys()
    np.testing.assert_array_equal(received["codes"], expected["codes"])
    for name, value in expected.items():
        if name.startswith("weight"):
            assert_close(received[name], value, name)
        if name.endswith("history"):
            for own, row in zip(received[name], value, strict=True):
                assert own.keys() == row.keys()
                for key in row:
                    assert_close(own[key], row[key], key)


@pytest.mark.slow
@pytest.mark.parametrize("victim, stage", [(0, "autoencoder"), (1, "prior")])
def test_a_worker_is_killed(two_workers, data_dir, victim, stage):
    """The other one stops with a message; started again, both go on."""
    expected, durations = two_workers
    work = data_dir / f"victim_{victim}"
    moments = [None, None]
    moments[victim] = runs.random_moment(durations, stage, share=0.7)
    killed = runs.start_workers(work, data_dir, moments)
    texts = [process.communicate(timeout=runs.HANGS)[0] for process in killed]
    codes = [process.returncode for process in killed]
    if codes != [0, 0]:  # it had ended before
        assert codes[victim] == -signal.SIGKILL, texts[victim][-4000:]
        assert codes[1 - victim] not in (0, -signal.SIGKILL)
        assert "Another worker has stopped" in texts[1 - victim]
    for process in runs.start_workers(work, data_dir):
        runs.finished(process)
    runs.assert_same(runs.results(work), expected, moments)


def test_history_is_that_of_the_run(alone, data_dir):
    rows = read_history(data_dir / "alone/logs/autoencoder/history.jsonl")
    config = small.stateful_recipe().training
    assert [row["step"] for row in rows] == [8, 16, config.steps]
    assert rows[0]["learning_rate"] > rows[-1]["learning_rate"]
