"""Exported SavedModels: answers, refusals, layout and warm-up requests."""

import json
import logging
import os
import pathlib
import re
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

import vqvae_tf as vq
from support import small
from support.export_harness import (
    call,
    kinds_of_outputs,
    run_export_test,
    run_refusal_test,
    run_warmup_test,
    session_of,
)
from vqvae_tf.export import saved_model as export_module
from vqvae_tf.export.saved_model import WARMUP_FILE, export

CLASSES = 3


def batches():
    """Pictures of several batches and sizes, all multiples of 4."""
    images = small.pictures(5)
    return [images, images[:2, :8], images[:1]]


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """A model of two codebooks and a class-conditional prior, exported."""
    keras.utils.set_random_seed(1)
    generator = small.generator(num_codebooks=2, num_classes=CLASSES)
    path = run_export_test(
        generator,
        tmp_path_factory.mktemp("served") / "pictures",
        batches(),
        labels=[[0, 2, 1, 0, 0], [2], [1]],
    )
    return generator, path


@pytest.fixture(scope="module")
def signatures(served):
    return tf.saved_model.load(served[1]).signatures


def valid_inputs(signature):
    """Returns inputs that the model of `served` accepts."""
    images = small.pictures(2)
    sampling = {
        "num_samples": np.int32(2),
        "temperature": np.float32(1),
        "seed": np.int32(0),
    }
    labels = {"labels": np.array([0, 2], np.int32)}
    return {
        "encode": {"images": images},
        "reconstruct": {"images": images},
        "decode": {"codes": np.zeros([2, 4, 4, 2], np.int32)},
        "sample": {**sampling, **labels},
        "score": {"images": images, **labels},
    }[signature]


# Answers ----------------------------------------------------------------------


def test_model_without_prior(tmp_path):
    path = run_export_test(small.autoencoder(), tmp_path / "m", batches())
    assert path == tmp_path / "m" / "1"


@pytest.mark.slow
def test_prior_without_classes(tmp_path):
    run_export_test(small.generator(), tmp_path / "m", batches()[1:2])


def test_two_codebooks_and_classes(served):
    _, path = served  # compared as it was made
    assert path.name == "1"


def test_one_label_serves_all(signatures):
    inputs = {**valid_inputs("sample"), "labels": np.array([2], np.int32)}
    one = call(signatures, "sample", inputs)["images"]
    inputs["labels"] = np.array([2, 2], np.int32)
    np.testing.assert_array_equal(
        one, call(signatures, "sample", inputs)["images"]
    )


def test_labels_and_seeds_matter(signatures):
    inputs = valid_inputs("score")
    first = call(signatures, "score", inputs)["prior"]
    inputs["labels"] = 2 - inputs["labels"]
    assert np.all(first != call(signatures, "score", inputs)["prior"])
    draws = [
        call(
            signatures,
            "sample",
            {**valid_inputs("sample"), "seed": np.int32(seed)},
        )["images"].numpy()
        for seed in range(2)
    ]
    assert not np.array_equal(*draws)


def test_signatures_name_their_outputs(signatures):
    images, codes = {"images": ("uint8", 4)}, {"codes": ("int32", 4)}
    bits = ("bits_per_dim", "reconstruction", "prior")
    assert kinds_of_outputs(signatures) == {
        "serving_default": codes,
        "encode": codes,
        "decode": images,
        "reconstruct": images,
        "sample": images,
        "score": {name: ("float32", 1) for name in bits},
    }


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_other_precision_is_exported_in_float32(policy, tmp_path):
    reference = small.autoencoder()
    keras.config.set_dtype_policy(policy)
    model = small.autoencoder()
    model.set_weights(reference.get_weights())
    path = export(model, tmp_path / "m")
    assert keras.config.dtype_policy().name == policy
    images = small.pictures()
    saved = tf.saved_model.load(path).signatures
    np.testing.assert_array_equal(
        call(saved, "reconstruct", {"images": images})["images"],
        reference.reconstruct(images),
    )
    assert model.encoder.compute_dtype == policy.removeprefix("mixed_")


def test_functional_encoder_of_other_precision(tmp_path):
    keras.config.set_dtype_policy("mixed_bfloat16")
    inputs = keras.Input((None, None, 3))
    outputs = keras.layers.Conv2D(4, 4, 4, padding="same")(inputs)
    likelihood = vq.Gaussian()
    decoder = vq.Decoder(likelihood.num_parameters(3), hidden_channels=8)
    model = vq.VQVAE(
        keras.Model(inputs, outputs),
        vq.VectorQuantizer(8, 4),
        vq.FactorizedDensity(decoder, likelihood),
    )
    saved = tf.saved_model.load(export(model, tmp_path / "m"))
    images = tf.constant(small.pictures(2))
    codes = saved.signatures["encode"](images=images)["codes"]
    assert codes.shape == (2, 4, 4)


def test_training_state_is_left_out(served):
    generator, path = served
    saved = tf.saved_model.load(path)
    size = sum(v.shape.num_elements() for v in saved.served_variables)
    quantizer = generator.autoencoder.quantizer
    state = [quantizer.ema_counts, quantizer.ema_sums]
    training = sum(v.shape.num_elements() for v in state)
    assert size == generator.count_params() - training


# Refusals ---------------------------------------------------------------------


def images_of(*shape):
    return {"images": np.zeros(shape, np.uint8)}


def codes_of(*shape, value=0):
    return {"codes": np.full(shape, value, np.int32)}


def labels_of(*values):
    return {"labels": np.array(values, np.int32)}


SIZES = "Height and width must be multiples of 4, and not 0; crop or pad the "
REFUSED = [
    ("encode", images_of(0, 16, 16, 3), "at least one picture", "[0 16 16 3]"),
    ("reconstruct", images_of(0, 16, 16, 3), "one picture", "[0 16 16 3]"),
    ("score", images_of(0, 16, 16, 3), "one picture", "[0 16 16 3]"),
    ("serving_default", images_of(1, 18, 16, 3), SIZES, "[1 18 16 3]"),
    ("encode", images_of(1, 18, 16, 3), SIZES, "[1 18 16 3]"),
    ("encode", images_of(1, 16, 0, 3), SIZES, "[1 16 0 3]"),
    ("reconstruct", images_of(1, 16, 15, 3), SIZES, "[1 16 15 3]"),
    ("score", images_of(2, 3, 16, 3), SIZES, "[2 3 16 3]"),
    ("decode", codes_of(1, 4, 4, 2, value=8), "codes in 0..7", "up to] [8]"),
    ("decode", codes_of(1, 4, 4, 2, value=-1), "in 0..7", "down to] [-1]"),
    ("decode", codes_of(0, 4, 4, 2), "one grid of codes", "[0 4 4 2]"),
    ("decode", codes_of(1, 4, 0, 2), "no size of 0", "[1 4 0 2]"),
    ("sample", {"num_samples": np.int32(0)}, "num_samples must be", "[0]"),
    ("sample", {"num_samples": np.int32(257)}, "max_samples", "[257]"),
    ("sample", {"temperature": np.float32(-1)}, "temperature must", "[-1]"),
    ("sample", {"temperature": np.float32("nan")}, "finite number", "[nan]"),
    ("sample", {"temperature": np.float32("inf")}, "finite number", "[inf]"),
    ("sample", labels_of(0, 3), "labels in 0..2", "up to] [3]"),
    ("score", labels_of(-1, 0), "labels in 0..2", "down to] [-1]"),
    ("sample", labels_of(0, 1, 2), "one label for all", "[3 2]"),
    ("score", labels_of(), "one for each", "[0 2]"),
]


@pytest.mark.parametrize("signature, inputs, expected, received", REFUSED)
def test_refused_values(signatures, signature, inputs, expected, received):
    known = "encode" if signature == "serving_default" else signature
    inputs = {**valid_inputs(known), **inputs}
    run_refusal_test(signatures, signature, inputs, expected, received)


WRONG_SHAPES = [
    ("encode", images_of(16, 16, 3), "[16,16,3]", "[?,?,?,3]"),
    ("encode", images_of(1, 16, 16, 1), "[1,16,16,1]", "[?,?,?,3]"),
    ("reconstruct", images_of(1, 16, 16, 4), "[1,16,16,4]", "[?,?,?,3]"),
    ("score", images_of(1, 2, 16, 16, 3), "[1,2,16,16,3]", "[?,?,?,3]"),
    ("decode", codes_of(4, 4, 2), "[4,4,2]", "[?,?,?,2]"),
    ("decode", codes_of(1, 4, 4, 3), "[1,4,4,3]", "[?,?,?,2]"),
    ("sample", {"num_samples": np.array([2], np.int32)}, "[1]", "[]"),
    ("sample", {"temperature": np.ones([2], np.float32)}, "[2]", "[]"),
    ("sample", {"seed": np.zeros([2], np.int32)}, "[2]", "[]"),
    ("sample", {"labels": np.int32(1)}, "[]", "[?]"),
]


@pytest.fixture(scope="module")
def session(served):
    with session_of(served[1]) as run:
        yield run


@pytest.mark.parametrize("signature, inputs, received, expected", WRONG_SHAPES)
def test_refused_shapes(
    signatures, session, signature, inputs, received, expected
):
    inputs = {**valid_inputs(signature), **inputs}
    error = tf.errors.InvalidArgumentError
    shapes = re.escape(f"{received} is not compatible with expected shape ")
    with pytest.raises(error, match=shapes + re.escape(expected)):
        session(signature, inputs)
    # In Python, TensorFlow may say it in its own words before.
    with pytest.raises((error, TypeError, ValueError)):
        call(signatures, signature, inputs)


@pytest.mark.parametrize(
    "signature, inputs",
    [
        ("encode", {"images": np.zeros([1, 16, 16, 3], np.float32)}),
        ("decode", {"codes": np.zeros([1, 4, 4, 2], np.int64)}),
        ("sample", {"temperature": np.float64(1)}),
        ("score", {"labels": np.zeros([2], np.float32)}),
    ],
)
def test_refused_dtypes(signatures, session, signature, inputs):
    inputs = {**valid_inputs(signature), **inputs}
    with pytest.raises(tf.errors.InvalidArgumentError, match="Type mismatch"):
        session(signature, inputs)
    with pytest.raises(tf.errors.InvalidArgumentError, match="expected to be"):
        call(signatures, signature, inputs)


def test_a_server_runs_the_checks_too(session):
    bits = session("score", valid_inputs("score"))["bits_per_dim"]
    assert bits.shape == (2,)
    with pytest.raises(tf.errors.InvalidArgumentError, match="codes in 0..7"):
        session("decode", codes_of(1, 4, 4, 2, value=8))
    with pytest.raises(tf.errors.InvalidArgumentError, match="one picture"):
        session("encode", images_of(0, 16, 16, 3))


# What can be exported ---------------------------------------------------------


def test_refuses_other_models(tmp_path):
    with pytest.raises(
        TypeError, match="VideoGenerator or a model of seq.*Received"
    ):
        export(keras.Sequential(), tmp_path)


def test_refuses_models_of_other_data(tmp_path):
    model = small.autoencoder()
    model.event_shape = (None, 1)
    with pytest.raises(ValueError, match=r"event_shape=\(None, 1\)"):
        export(model, tmp_path)


def test_refuses_a_prior_with_local_context(tmp_path):
    prior = vq.PixelCNN(8, (4, 4), local_channels=5)
    generator = vq.LatentGenerator(small.autoencoder(), prior)
    with pytest.raises(ValueError, match="local_channels=5"):
        export(generator, tmp_path)


@pytest.mark.parametrize("version", [0, -1, 1.5, "1", True, None])
def test_refuses_versions(version, tmp_path):
    with pytest.raises(ValueError, match="whole number of at least 1.*Recei"):
        export(small.autoencoder(), tmp_path / "m", version)
    assert not (tmp_path / "m").exists()


# Layout -----------------------------------------------------------------------


@pytest.mark.slow
def test_versions_stand_beside_each_other(tmp_path):
    models = [small.autoencoder() for _ in range(2)]
    images = small.pictures(2)
    for version, model in enumerate(models, start=1):
        assert export(model, tmp_path / "m", version).name == str(version)
    assert sorted(os.listdir(tmp_path / "m")) == ["1", "2"]
    with pytest.raises(FileExistsError, match="m/2 exists already.*Export ano"):
        export(models[0], tmp_path / "m", 2)
    for version, model in enumerate(models, start=1):
        saved = tf.saved_model.load(tmp_path / "m" / str(version))
        np.testing.assert_array_equal(
            call(saved.signatures, "encode", {"images": images})["codes"],
            model.encode(images),
        )


def test_failure_leaves_nothing(tmp_path, monkeypatch):
    def fail(signatures, folder):
        folder.mkdir()
        (folder / "saved_model.pb").write_text("half")
        raise OSError("disk full")

    monkeypatch.setattr(export_module, "_save", fail)
    with pytest.raises(OSError, match="disk full"):
        export(small.autoencoder(), tmp_path / "m")
    assert os.listdir(tmp_path / "m") == []


def test_files_are_as_others_may_read_them(served):
    _, path = served
    mask = os.umask(0)
    os.umask(mask)
    assert path.stat().st_mode & 0o777 == 0o777 & ~mask
    for file in ("saved_model.pb", "variables/variables.index"):
        assert (path / file).stat().st_mode & 0o777 == 0o666 & ~mask


# Warm-up ----------------------------------------------------------------------


def test_warmup_requests_are_answered(served, signatures):
    run_warmup_test(served[1], signatures)


def test_without_the_package_export_says_so(tmp_path, monkeypatch, caplog):
    for name in ("tensorflow_serving", "tensorflow_serving.apis"):
        monkeypatch.setitem(sys.modules, name, None)
    with caplog.at_level(logging.WARNING, "absl"):
        path = export(small.autoencoder(), tmp_path / "m")
    (message,) = [r.getMessage() for r in caplog.records if "warm" in r.msg]
    assert "pip install vqvae_tf[serving]" in message
    assert not (path / WARMUP_FILE).exists()
    assert "encode" in tf.saved_model.load(path).signatures


# The document -----------------------------------------------------------------


def test_requests_of_the_document(tmp_path, monkeypatch):
    path = pathlib.Path(__file__).parents[2] / "docs" / "serving.md"
    text = path.read_text()
    folder = tmp_path / "serving" / "vqvae_cifar10"
    saved = tf.saved_model.load(export(small.generator(num_classes=10), folder))
    monkeypatch.chdir(tmp_path)
    names = {}
    exec(re.search(r"```python\n(.*?)```", text, re.DOTALL)[1], names)
    assert names["codes"].shape == (2, 8, 8)
    assert names["again"].shape == (2, 32, 32, 3)
    assert names["cats"].shape == (4, 16, 16, 3)
    assert names["bits"].shape == (2,)
    for body, size in zip(
        re.findall(r"curl \$URL -d '(.*?)'", text, re.DOTALL), (8, 16)
    ):
        request = json.loads(body)
        function = saved.signatures[request["signature_name"]]
        specs = function.structured_input_signature[1]
        inputs = {
            name: np.array(value, specs[name].dtype.as_numpy_dtype)
            for name, value in request["inputs"].items()
        }
        answer = call(saved.signatures, request["signature_name"], inputs)
        assert answer["images"].shape[1:] == (size, size, 3)


def test_weights_that_are_not_finite_are_not_exported(tmp_path):
    model = small.autoencoder()
    model.build()
    variable = model.decoder.trainable_variables[0]
    variable.assign(np.full(variable.shape, np.nan))
    with pytest.raises(ValueError, match=f"be exported.*{variable.path} with"):
        export(model, tmp_path / "m")
    assert not (tmp_path / "m").exists()
