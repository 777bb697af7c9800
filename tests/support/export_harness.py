"""Checks of exported SavedModels, by a process that knows TensorFlow alone."""

import contextlib
import pathlib
import re
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import config_pb2

from vqvae_tf.export.saved_model import WARMUP_FILE, export
from vqvae_tf.utils.code_levels import to_arrays

_CLIENT = """
import sys
for name in ("keras", "tf_keras", "tensorflow_probability", "vqvae_tf"):
    sys.modules[name] = None
import numpy as np
import tensorflow as tf
folder, sent, received = sys.argv[1:]
signatures = tf.saved_model.load(folder).signatures
requests = {}
with np.load(sent) as arrays:
    for key, value in arrays.items():
        number, signature, name = key.split("/")
        requests.setdefault((number, signature), {})[name] = value
answers = {"signatures": np.array(sorted(signatures))}
for (number, signature), inputs in requests.items():
    inputs = {name: tf.constant(value) for name, value in inputs.items()}
    for name, value in signatures[signature](**inputs).items():
        answers[number + "/" + name] = value.numpy()
np.savez(received, **answers)
"""


# Seed and temperature of the samples that are compared.
DRAWS = ((0, 1.0), (7, 0.5), (7, 0.0))


def ask(path, requests):
    """Sends requests to a SavedModel in a process without Keras or vqvae_tf.

    Args:
        path: the version's folder.
        requests: a list of (signature, inputs by name).

    Returns:
        The names of all signatures, and the outputs by name of each request.
    """
    sent, received = path.parent / "sent.npz", path.parent / "received.npz"
    arrays = {
        f"{number}/{signature}/{name}": value
        for number, (signature, inputs) in enumerate(requests)
        for name, value in inputs.items()
    }
    np.savez(sent, **arrays)
    client = subprocess.run(
        [sys.executable, "-c", _CLIENT, str(path), str(sent), str(received)],
        cwd=path.parent,
        capture_output=True,
        text=True,
    )
    assert client.returncode == 0, client.stderr
    answers = [{} for _ in requests]
    with np.load(received) as arrays:
        names = list(arrays["signatures"])
        for key in set(arrays) - {"signatures"}:
            number, name = key.split("/")
            answers[int(number)][name] = arrays[key]
    return names, answers


def run_export_test(generator, folder, batches, labels=None):
    """Exports a model and compares its answers with the model's own.

    Args:
        generator: a `VQVAE` or `LatentGenerator`.
        folder: where to export to.
        batches: a list of pictures uint8 `[batch, height, width, 3]`, which
            may differ in batch and size.
        labels: with a class-conditional prior, int32 `[batch]` each.

    Returns:
        The version's folder.
    """
    labels = [None] * len(batches) if labels is None else labels
    expected = []
    for images, label in zip(batches, labels):
        expected += autoencoder_answers(generator, images)
        if generator.prior is not None:
            expected += prior_answers(generator, images, label)
    return run_comparison(generator, folder, expected)


def run_comparison(generator, folder, expected, default="encode", **options):
    """Exports a model and compares its answers with those expected.

    Args:
        generator: any model that can be exported.
        folder: where to export to.
        expected: a list of (signature, inputs by name, outputs by name), of
            all signatures but `serving_default`.
        default: the signature that is the same as that.
        options: of `export`.

    Returns:
        The version's folder.
    """
    path = export(generator, folder, **options)
    same = next(e for e in expected if e[0] == default)
    expected = [*expected, ("serving_default", *same[1:])]
    names, answers = ask(path, [request[:2] for request in expected])
    assert set(names) == {name for name, *_ in expected}
    for answer, (signature, _, outputs) in zip(answers, expected):
        assert set(answer) == set(outputs), signature
        for name, value in outputs.items():
            # The vocoder's momentum lets roundings grow.
            atol = 1e-3 if signature.endswith("_fast") else 1e-5
            _compare(answer[name], value, f"{signature}, {name}", atol)
    return path


def autoencoder_answers(model, images):
    found = model.encode(images)
    again = {"images": model.decode(found)}
    codes = {name: own.numpy() for name, own in to_arrays(found).items()}
    answers = [
        ("encode", {"images": images}, codes),
        ("decode", codes, again),
        ("reconstruct", {"images": images}, again),
    ]
    if isinstance(found, dict):
        coarse = {"images": model.decode({"top": found["top"]})}
        top = {"codes_top": codes["codes_top"]}
        answers.append(("decode_top", top, coarse))
    return answers


def prior_answers(generator, images, label=None, draws=DRAWS):
    context, extra = None, {}
    if label is not None:
        label = np.asarray(label, np.int32)
        extra = {"labels": label}
        one_hot = tf.one_hot(label, generator.prior.global_channels)
        context = {"global": tf.repeat(one_hot, len(images) // len(label), 0)}
    answers = []
    for seed, temperature in draws:
        inputs = {
            "num_samples": np.int32(len(images)),
            "temperature": np.float32(temperature),
            "seed": np.int32(seed),
        }
        samples = generator.sample(
            len(images), context, temperature=temperature, seed=seed
        )
        answers.append(("sample", {**inputs, **extra}, {"images": samples}))
    bits = generator.bits_per_dim(images, context)
    outputs = {
        "bits_per_dim": bits["total"],
        "reconstruction": bits["reconstruction"],
        "prior": bits["prior"],
    }
    return [*answers, ("score", {"images": images, **extra}, outputs)]


def _compare(received, expected, message, atol):
    expected = np.asarray(expected)
    assert received.dtype == expected.dtype, message
    assert received.shape == expected.shape, message
    if expected.dtype == np.float32:
        np.testing.assert_allclose(
            received, expected, rtol=0, atol=atol, err_msg=message
        )
    else:
        np.testing.assert_array_equal(received, expected, message)


def call(signatures, signature, inputs):
    """Asks a SavedModel of this process; arrays by name in and out."""
    inputs = {name: tf.constant(value) for name, value in inputs.items()}
    return signatures[signature](**inputs)


@contextlib.contextmanager
def session_of(path):
    """As TensorFlow Serving runs it: a session that checks dtypes alone.

    Args:
        path: the version's folder.

    Yields:
        A function of a signature and its inputs by name.
    """
    graph = tf.Graph()
    session = tf.compat.v1.Session(graph=graph)
    with graph.as_default():
        meta = tf.compat.v1.saved_model.load(session, ["serve"], str(path))

    def run(signature, inputs):
        definition = meta.signature_def[signature]
        options = config_pb2.CallableOptions(
            feed=[definition.inputs[name].name for name in inputs],
            fetch=[output.name for output in definition.outputs.values()],
        )
        # session.run would check shapes, in Python.
        function = session._make_callable_from_options(options)
        outputs = function(*(np.asarray(v) for v in inputs.values()))
        return dict(zip(definition.outputs, outputs))

    # Not by `with session`, in which all other code would make graphs.
    with contextlib.closing(session):
        yield run


def run_refusal_test(signatures, signature, inputs, expected, received):
    """Checks that inputs are refused with a message that has both parts."""
    with pytest.raises(tf.errors.InvalidArgumentError) as error:
        call(signatures, signature, inputs)
    message = str(error.value)
    assert expected in message and received in message
    assert "Received: " in message


def run_server_refusals(session, valid_inputs, refused):
    """Checks that a server, too, refuses what a process does.

    Args:
        session: of `session_of`.
        valid_inputs: a function of a signature.
        refused: a list of (signature, inputs that are changed, message).
    """
    for signature, inputs, message in refused:
        inputs = {**valid_inputs(signature), **inputs}
        with pytest.raises(tf.errors.InvalidArgumentError, match=message):
            session(signature, inputs)


def run_document(path, name, changes, monkeypatch, folder):
    """Runs the requests that docs/serving.md has for a preset.

    Args:
        path: the version's folder of a small model that stands for it.
        name: the preset's.
        changes: (text, replacement) pairs: what differs between the two.
        monkeypatch: pytest's.
        folder: an empty one.

    Returns:
        The variables by their names.
    """
    document = pathlib.Path(__file__).parents[2] / "docs" / "serving.md"
    blocks = re.findall(r"```python\n(.*?)```", document.read_text(), re.S)
    (block,) = [b for b in blocks if f"serving/{name}" in b]
    for words in changes:
        assert words[0] in block
        block = block.replace(*words)
    (folder / "serving").mkdir()
    (folder / "serving" / name).symlink_to(path.parent)
    monkeypatch.chdir(folder)
    names = {"np": np, "tf": tf}
    exec(block, names)
    return names


def run_warmup_test(path, signatures):
    """Checks that the warm-up requests are for all signatures, and answered."""
    logs = pytest.importorskip("tensorflow_serving.apis.prediction_log_pb2")
    answered = []
    for record in tf.data.TFRecordDataset(str(path / WARMUP_FILE)):
        log = logs.PredictionLog.FromString(record.numpy())
        request = log.predict_log.request
        assert request.model_spec.name == path.parent.name
        inputs = {k: tf.make_ndarray(v) for k, v in request.inputs.items()}
        signature = request.model_spec.signature_name
        for output in call(signatures, signature, inputs).values():
            assert output.shape[0] == 1
        answered.append(signature)
    assert sorted(answered) == sorted(signatures)


def kinds_of_outputs(signatures):
    """Returns dtype and rank of each output by name, by signature."""
    return {
        name: {
            key: (value.dtype.name, value.shape.rank)
            for key, value in function.structured_outputs.items()
        }
        for name, function in signatures.items()
    }
