"""Codes in functional models, and graphs that other runtimes can run."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from support import small
from support.harness import saved_and_loaded
from support.static_graphs import operations
from vqvae_tf.layers import VectorQuantizer, VectorQuantizerEMA
from vqvae_tf.quantizers import lookup

K, D = 8, 4
both = pytest.mark.parametrize("cls", [VectorQuantizer, VectorQuantizerEMA])
groups = pytest.mark.parametrize("num_codebooks", [1, 2])


def latents(shape, num_codebooks=1):
    rng = np.random.default_rng(0)
    shape = [*shape, num_codebooks * D]
    return tf.constant(0.1 * rng.normal(size=shape), tf.float32)


@both
@groups
@pytest.mark.parametrize("sizes", [(5,), (2, 3, 4)])
def test_codes_of_the_call_are_those_of_encode(cls, num_codebooks, sizes):
    layer = cls(K, D, num_codebooks=num_codebooks)
    x = latents(sizes, num_codebooks)
    quantized, codes = layer(x, return_codes=True)
    assert codes.dtype == tf.int32
    np.testing.assert_array_equal(codes, layer.encode(x))
    np.testing.assert_array_equal(quantized, layer(x))
    (loss,) = layer.losses
    assert loss > 0


def test_codes_of_a_step_are_those_of_its_loss(monkeypatch):
    """One search, of the codebook from before the step."""
    layer, x = VectorQuantizerEMA(K, D, decay=0.0), latents((50,))
    expected = layer.encode(x)
    searches = []
    whole = lookup.nearest_codes
    monkeypatch.setattr(
        lookup, "nearest_codes", lambda *a: searches.append(a) or whole(*a)
    )
    _, codes = layer(x, training=True, return_codes=True)
    np.testing.assert_array_equal(codes, expected)
    assert len(searches) == 1
    assert np.any(layer.encode(x) != expected)


def functional(cls, num_codebooks, sizes):
    """A model of what it returns, and what it should be, by a layer."""
    quantizer = cls(K, D, num_codebooks=num_codebooks, name="vq")
    inputs = keras.Input((*sizes, num_codebooks * D))
    quantized, codes = quantizer(inputs, return_codes=True)
    outputs = {
        "quantized": quantized,
        "codes": codes,
        "encoded": quantizer.encode(inputs),
        "decoded": quantizer.decode(codes),
    }
    return keras.Model(inputs, outputs)


@both
@groups
def test_a_functional_model_returns_its_codes(cls, num_codebooks):
    model = functional(cls, num_codebooks, (None, None))
    x = latents((2, 3, 5), num_codebooks)
    loaded = saved_and_loaded(model)
    for copy in (model, loaded):
        results, layer = copy(x), copy.get_layer("vq")
        for name, symbolic in copy.output.items():
            assert results[name].dtype.name == symbolic.dtype, name
            assert len(results[name].shape) == len(symbolic.shape), name
        np.testing.assert_array_equal(results["codes"], layer.encode(x))
        np.testing.assert_array_equal(results["encoded"], layer.encode(x))
        np.testing.assert_array_equal(results["quantized"], layer(x))
        np.testing.assert_array_equal(results["decoded"], layer(x))
        copy(x)
        assert len(copy.losses) == 1  # of the call alone
    np.testing.assert_array_equal(loaded(x)["codes"], model(x)["codes"])


def test_encoding_in_a_functional_model_neither_counts_nor_trains():
    model = functional(VectorQuantizerEMA, 1, (3,))
    layer, x = model.get_layer("vq"), latents((4, 3))
    model(x, training=True)
    other = VectorQuantizerEMA(K, D)
    other(x, training=True)
    assert np.sum(layer.usage_metric.counts) == 12
    for new, old in zip(layer.weights, other.weights):
        np.testing.assert_array_equal(new.numpy(), old.numpy(), new.path)


def test_a_model_with_codes_is_trained_on_its_quantized_output():
    inputs = keras.Input((6, D))
    quantizer = VectorQuantizerEMA(K, D, name="vq")
    x, codes = quantizer(keras.layers.Dense(D)(inputs), return_codes=True)
    model = keras.Model(inputs, [keras.layers.Dense(D)(x), codes])
    model.compile("adam", ["mse", None])
    x = latents((8, 6)).numpy()
    logs = model.fit(x, [x, np.zeros([8, 6])], verbose=0).history
    assert np.isfinite(logs["loss"][0]) and logs["vq_perplexity"][0] >= 1
    assert model.predict(x, verbose=0)[1].shape == (8, 6)


@groups
@pytest.mark.parametrize(
    "call, message",
    [
        (lambda q, c: q.decode(keras.Input((3, c))), "Codes are integers"),
        (lambda q, c: q.encode(keras.Input((3, c + 1))), "channels. Received"),
        (lambda q, c: q(keras.Input((3, c)), only="all"), "only must be None"),
    ],
)
def test_symbolic_tensors_that_are_refused(num_codebooks, call, message):
    layer = VectorQuantizer(K, D, num_codebooks=num_codebooks)
    with pytest.raises(ValueError, match=message):
        call(layer, num_codebooks * D)


def test_symbolic_codes_of_another_number_of_codebooks_are_refused():
    layer = VectorQuantizer(K, D, num_codebooks=3)
    with pytest.raises(ValueError, match="last axis of codes has 3 entries"):
        layer.decode(keras.Input((5, 2), dtype="int32"))


# Statistics -------------------------------------------------------------------


def kinds(function, *args):
    concrete = tf.function(function).get_concrete_function(*args)
    return {operation.type for operation in operations(concrete)}


def test_statistics_are_not_in_an_exported_graph():
    layer = VectorQuantizerEMA(K, D)
    layer.build((None, D))
    spec = tf.TensorSpec([None, 3, D])
    counting = {"DenseBincount", "AssignVariableOp"}
    assert not kinds(lambda x: layer(x), spec) & counting
    # Evaluation, and a loop of one's own, say what they are.
    assert kinds(lambda x: layer(x, training=False), spec) >= counting
    assert kinds(lambda x: layer(x, training=True), spec) >= counting


def test_statistics_are_not_in_the_exported_graph_of_a_model():
    model = small.autoencoder()
    spec = tf.TensorSpec([None, small.SIZE, small.SIZE, 3], tf.float32)
    counting = {"DenseBincount", "AssignVariableOp"}
    assert not kinds(lambda x: model(x), spec) & counting
    assert not kinds(lambda x: model.reconstruct(x), spec) & counting
    assert kinds(lambda x: model(x, training=False), spec) >= counting


@pytest.mark.slow
@groups
def test_tflite_needs_no_operations_of_tensorflow(num_codebooks, tmp_path):
    """Builtins alone: encode, decode and the model with all its outputs."""
    model = functional(VectorQuantizerEMA, num_codebooks, (5, 6))
    x = latents((3, 5, 6), num_codebooks)
    model.compile("adam")
    expected = model(x)
    path = str(tmp_path / "model")
    model.export(path, format="tf_saved_model", verbose=False)
    converter = tf.lite.TFLiteConverter.from_saved_model(path)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
    with pytest.warns(UserWarning, match="tf.lite.Interpreter is deprecated"):
        interpreter = tf.lite.Interpreter(model_content=converter.convert())
    run = interpreter.get_signature_runner()
    results = run(**{run.get_input_details().popitem()[0]: x.numpy()})
    for name, value in expected.items():
        np.testing.assert_array_equal(results[name], value, name)
