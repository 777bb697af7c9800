"""What "auto" becomes on which processor, and in a run that goes on."""

import dataclasses
import json
import types

import keras
import ml_collections
import pytest
import tensorflow as tf
from absl import logging

from support import runs, small
from vqvae_tf import recipes, tasks
from vqvae_tf.runtime import dtype_policies, strategies
from vqvae_tf.tasks import run as training

ZEN_4 = "processor\t: 0\nflags\t\t: fpu avx512f avx512_bf16 fsrm\npower :\n"
ZEN_3 = "processor\t: 0\nflags\t\t: fpu avx2 fma\n"
XEON = "flags\t\t: avx512f amx_bf16 avx512_fp16\n"
ARM = "processor\t: 0\nFeatures\t: fp asimd bf16\n"


@pytest.fixture(autouse=True)
def warnings(monkeypatch):
    """Collects what is logged as a warning; each policy may warn anew."""
    found = []
    monkeypatch.setattr(logging, "warning", lambda t, *a: found.append(t % a))
    dtype_policies.warn_if_slow.cache_clear()
    yield found
    dtype_policies.warn_if_slow.cache_clear()


@pytest.fixture
def cpu(monkeypatch, tmp_path):
    """Sets what the processor says it is, and whether oneDNN is told."""

    def set_cpu(text, onednn=None):
        path = tmp_path / "cpuinfo"
        path.write_text(text)
        dtype_policies.warn_if_slow.cache_clear()
        monkeypatch.setattr(dtype_policies, "_CPU_INFO", path)
        monkeypatch.delenv("TF_ENABLE_ONEDNN_OPTS", raising=False)
        if onednn is not None:
            monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", onednn)

    return set_cpu


@pytest.mark.parametrize(
    "text, onednn, expected",
    [
        (ZEN_4, None, "mixed_bfloat16"),
        (ZEN_4, "1", "mixed_bfloat16"),
        (ZEN_4, "0", "float32"),
        (XEON, None, "mixed_bfloat16"),
        (ZEN_3, None, "float32"),
        (ZEN_3, "1", "float32"),
        (ARM, None, "float32"),
        ("", None, "float32"),
    ],
)
def test_cpus(cpu, text, onednn, expected):
    cpu(text, onednn)
    assert dtype_policies.choose() == expected


def test_systems_that_do_not_say_what_the_cpu_is(monkeypatch, tmp_path):
    monkeypatch.setattr(dtype_policies, "_CPU_INFO", tmp_path / "none")
    assert dtype_policies.choose() == "float32"


@pytest.mark.parametrize(
    "capabilities, expected",
    [
        ([(8, 0)], "mixed_bfloat16"),
        ([(9, 0), (8, 6)], "mixed_bfloat16"),
        ([(7, 5)], "float32"),
        ([(8, 0), (7, 0)], "float32"),
        ([None], "float32"),
    ],
)
def test_gpus(monkeypatch, cpu, warnings, capabilities, expected):
    cpu(ZEN_4)
    monkeypatch.setattr(
        tf.config, "get_visible_devices", lambda kind: capabilities
    )
    monkeypatch.setattr(
        tf.config.experimental,
        "get_device_details",
        lambda gpu: {"compute_capability": gpu} if gpu else {},
    )
    assert dtype_policies.choose() == expected
    dtype_policies.warn_if_slow("mixed_bfloat16")
    dtype_policies.warn_if_slow("mixed_float16")
    assert len(warnings) == (expected == "float32")


def test_tpus(monkeypatch, cpu, warnings):
    cpu(ZEN_3)
    monkeypatch.setattr(
        tf.config, "list_logical_devices", lambda kind: ["a"] * (kind == "TPU")
    )
    assert dtype_policies.choose() == "mixed_bfloat16"
    dtype_policies.warn_if_slow("mixed_bfloat16")
    assert warnings == []


def test_a_policy_without_instructions_is_warned_of_once(cpu, warnings):
    cpu(ZEN_3)
    for policy in ("float32", "mixed_bfloat16", "mixed_bfloat16"):
        dtype_policies.warn_if_slow(policy)
    (text,) = warnings
    assert "mixed_bfloat16" in text and "8 times" in text
    dtype_policies.warn_if_slow("mixed_float16")
    assert "mixed_float16" in warnings[1] and "5 times" in warnings[1]
    cpu(ZEN_4, "0")
    dtype_policies.warn_if_slow("mixed_bfloat16")
    assert "switched off by TF_ENABLE_ONEDNN_OPTS; a step" in warnings[2]
    cpu(XEON)
    for policy in dtype_policies.POLICIES:
        dtype_policies.warn_if_slow(policy)
    assert len(warnings) == 3


def test_fit_warns_of_a_slow_policy(warnings):
    keras.config.set_dtype_policy("mixed_bfloat16")
    model = small.autoencoder()
    model.compile("sgd")
    with pytest.raises(ValueError):  # before anything is traced
        model.fit(small.pictures(1)[:, :15], verbose=0)
    model.fit(small.pictures(1), verbose=0)
    assert len(warnings) == 1


# Runs -------------------------------------------------------------------------


@pytest.fixture
def train(monkeypatch, tmp_path):
    """Returns a training that only notes its recipe, and gives the policy."""

    def policy_of_run(config, data_dir, with_prior):
        step = types.SimpleNamespace(
            carry_out=lambda workdir: keras.config.dtype_policy().name
        )
        return (yield step)

    task = dataclasses.replace(tasks.TASKS["pictures"], stages=policy_of_run)
    monkeypatch.setitem(tasks.TASKS, "pictures", task)
    work = tmp_path / "work"

    def run(policy):
        config = small.recipe()
        config.dtype_policy = policy
        result = training.train(config, work)
        assert config.dtype_policy == policy
        noted = json.loads((work / "recipe.json").read_text())
        assert noted["dtype_policy"] == result
        return result

    run.work = work
    return run


def test_auto_is_the_default():
    assert recipes.defaults().dtype_policy == "auto"
    assert recipes.load_recipe("vqvae_cifar10").dtype_policy == "auto"


def test_a_run_keeps_its_policy_on_another_processor(cpu, train, warnings):
    cpu(ZEN_4)
    assert train("auto") == "mixed_bfloat16"
    assert warnings == []
    cpu(ZEN_3)
    assert train("auto") == "mixed_bfloat16"
    assert "8 times" in warnings[0]
    assert train("mixed_bfloat16") == "mixed_bfloat16"
    with pytest.raises(ValueError, match="'mixed_bfloat16', now 'float32'"):
        train("float32")


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
def test_auto_goes_on_with_a_run_that_named_its_policy(cpu, train, policy):
    cpu(ZEN_4)
    assert train(policy) == policy
    assert train("auto") == policy
    cpu(ZEN_3)
    assert train("auto") == policy


def test_runs_that_were_begun_without_the_key(cpu, train):
    cpu(ZEN_4)
    train("float32")
    path = train.work / "recipe.json"
    noted = json.loads(path.read_text())
    del noted["dtype_policy"]
    path.write_text(json.dumps(noted))
    assert train("auto") == "float32"
    path.write_text(json.dumps({**noted, "dtype_policy": "auto"}))
    assert train("mixed_bfloat16") == "mixed_bfloat16"


def test_workers_take_the_chief_s_choice(cpu, train, monkeypatch, warnings):
    cpu(ZEN_3)
    asked = []
    bfloat16 = dtype_policies.POLICIES.index("mixed_bfloat16")

    def of_all_workers(value):
        asked.append(dtype_policies.POLICIES[value])
        return [bfloat16, value]

    monkeypatch.setattr(strategies, "of_all_workers", of_all_workers)
    assert train("auto") == "mixed_bfloat16"
    assert asked == ["float32"]
    assert "8 times" in warnings[0]


def test_frozen_recipes_are_trained_too(train):
    config = ml_collections.FrozenConfigDict(small.recipe())
    assert training.train(config, train.work) == "float32"


@pytest.mark.slow
def test_two_workers_of_other_processors_agree(tmp_path):
    choices = [("mixed_bfloat16", "float32"), ("float32", "mixed_bfloat16")]
    for chosen in choices:  # the second time the run is there already
        workers = [
            runs.launch("policies.py", tmp_path, choice, env=env)
            for choice, env in zip(chosen, runs.two_tasks())
        ]
        for worker in workers:
            assert "policy mixed_bfloat16\n" in runs.finished(worker)
