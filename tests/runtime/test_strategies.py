"""Strategies by name, and training on two replicas or two workers as on one."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from support import every_model, fits, runs
from support.harness import assert_close, run_two_replica_test, two_replicas
from vqvae_tf.runtime import strategies


def test_one():
    strategy = strategies.make_strategy("one")
    assert strategy.num_replicas_in_sync == 1
    assert not strategies.is_multi_worker(strategy)
    assert strategies.is_chief(strategy)
    assert strategies.of_all_workers(3, strategy) == [3]


def test_mirrored_takes_all_devices():
    with pytest.MonkeyPatch.context() as patch:
        made = []
        patch.setattr(tf.distribute, "MirroredStrategy", made.append)
        strategies.make_strategy("mirrored")
    assert made == [[d.name for d in tf.config.list_logical_devices("CPU")]]
    assert len(made[0]) == 2
    strategy = two_replicas()
    assert not strategies.is_multi_worker(strategy)
    assert strategies.worker_index(strategy) == 0


def test_unknown():
    with pytest.raises(ValueError, match="one, mirrored, multiworker, tpu"):
        strategies.make_strategy("gpu")


def test_no_tpu():
    with pytest.raises(ValueError, match="No TPU can be reached"):
        strategies.make_strategy("tpu")


WORKERS = {"worker": ["a:1", "b:2"]}


@pytest.mark.parametrize(
    "config",
    [
        None,
        "no json",
        "[]",
        json.dumps({"cluster": WORKERS}),
        json.dumps(
            {"cluster": WORKERS, "task": {"type": "worker", "index": 2}}
        ),
        json.dumps({"cluster": WORKERS, "task": {"type": "ps", "index": 0}}),
        json.dumps(
            {
                "cluster": {**WORKERS, "chief": ["c:1"]},
                "task": {"type": "worker", "index": 0},
            }
        ),
    ],
)
def test_bad_tf_config(monkeypatch, config):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    if config is not None:
        monkeypatch.setenv("TF_CONFIG", config)
    with pytest.raises(ValueError, match="Expected TF_CONFIG like") as caught:
        strategies.make_strategy("multiworker")
    assert str(caught.value).endswith(f"Received: {config or 'none.'}")


ONE_IS_FAST = (
    fits.MODELS[0],
    *(pytest.param(name, marks=pytest.mark.slow) for name in fits.MODELS[1:]),
)


@pytest.mark.parametrize("name", ONE_IS_FAST)
def test_two_replicas_are_one(name):
    def compiled():
        keras.utils.set_random_seed(0)
        model = every_model.EVERY[name][0]()
        model.compile(fits.optimizer(name))
        return model

    dataset = every_model.batches(name, 4)
    run_two_replica_test(compiled, dataset, epochs=2, steps=4)


@pytest.mark.parametrize("name", ONE_IS_FAST)
def test_two_workers_are_one(name, tmp_path):
    """`fit` with validation, and `evaluate`, of two processes and of one."""
    processes = [
        runs.launch("fits.py", tmp_path / "two.npz", "multiworker", name, env=e)
        for e in runs.two_tasks()
    ]
    one = fits.fitted(name)
    for process in processes:
        runs.finished(process)
    with np.load(tmp_path / "two.npz") as arrays:
        two = dict(arrays)
    assert one.keys() == two.keys()
    assert sum("val_loss" in key for key in one) == 1
    for key, value in one.items():
        assert_close(two[key], value, key)
