"""The base class: other quantizers, functional models, exported graphs."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from support import small
from support.quantizer_harness import run_quantizer_test
from support.static_graphs import operations
from vqvae_tf.quantizers import (
    Quantizer,
    VectorQuantizer,
    VectorQuantizerEMA,
    lookup,
)
from vqvae_tf.quantizers.gradients import mean_squares

K, D = 8, 4
groups = pytest.mark.parametrize("num_codebooks", [1, 2])


def latents(shape, num_codebooks=1):
    rng = np.random.default_rng(0)
    shape = [*shape, num_codebooks * D]
    return tf.constant(0.1 * rng.normal(size=shape), tf.float32)


# Other quantizers -------------------------------------------------------------


@keras.saving.register_keras_serializable("tests")
class Residual(Quantizer):
    """Each codebook quantizes what those before it left over."""

    def __init__(self, num_embeddings, channels, num_codebooks, **kwargs):
        super().__init__(num_embeddings, channels, num_codebooks, **kwargs)

    def build(self, input_shape):
        super().build(input_shape)
        self.embeddings = self.add_weight(
            name="embeddings",
            shape=(self.num_codebooks, self.num_embeddings, self.channels),
            initializer=keras.initializers.RandomNormal(stddev=0.1, seed=0),
            dtype="float32",
            autocast=False,
        )

    def search(self, z):
        codes, left = [], z[tf.newaxis]
        for table in tf.unstack(tf.convert_to_tensor(self.embeddings)):
            codes.append(lookup.nearest_codes(left, table[tf.newaxis])[0])
            left -= tf.gather(table, codes[-1])
        return tf.stack(codes)

    def look_up(self, codes):
        table = tf.convert_to_tensor(self.embeddings)
        return tf.add_n(tf.unstack(tf.gather(table, codes, batch_dims=1)))

    def loss(self, z, quantized, codes, weights):
        return mean_squares(z - quantized, weights)

    def get_config(self):
        names = ("num_embeddings", "channels", "num_codebooks")
        own = {name: getattr(self, name) for name in names}
        return {**super().get_config(), **own}


@keras.saving.register_keras_serializable("tests")
class Ternary(Quantizer):
    """Rounds each channel, bounded by tanh, to -1, 0 or 1."""

    def __init__(self, channels, **kwargs):
        super().__init__(3**channels, channels, **kwargs)

    def to_search_space(self, z):
        return tf.tanh(z)

    def search(self, z):
        digits = tf.cast(tf.round(z), tf.int32) + 1
        places = 3 ** tf.range(self.channels)
        return tf.reduce_sum(digits * places, axis=-1)[tf.newaxis]

    def look_up(self, codes):
        places = 3 ** tf.range(self.channels)
        digits = codes[0, :, tf.newaxis] // places % 3 - 1
        return tf.cast(digits, tf.float32)

    def get_config(self):
        return {**super().get_config(), "channels": self.channels}


@pytest.mark.parametrize(
    "cls, init_kwargs, options",
    [
        (Residual, dict(num_embeddings=8, channels=4, num_codebooks=2), {}),
        (Ternary, dict(channels=3), dict(scale=1.0, identity_gradient=False)),
    ],
)
def test_a_quantizer_is_a_search_a_look_up_and_a_loss(
    cls, init_kwargs, options
):
    run_quantizer_test(cls, init_kwargs, **options)


def test_a_subclass_without_a_search_says_so():
    for call in (Quantizer(8, 4).encode, Quantizer(8, 4)):
        with pytest.raises(NotImplementedError, match="implement search"):
            call(latents((3,)))
    with pytest.raises(NotImplementedError, match="implement look_up"):
        Quantizer(8, 4).decode([1, 2])


# Codes ------------------------------------------------------------------------


@groups
def test_bits_and_shapes_of_codes(num_codebooks):
    layer = VectorQuantizer(K, D, num_codebooks=num_codebooks)
    assert layer.bits_per_position == 3.0 * num_codebooks
    end = (2,) * (num_codebooks > 1)
    shape = (None, 5, layer.channels)
    assert layer.codes_shape(shape) == (None, 5, *end)
    assert layer.codes_shape(tf.TensorShape(shape)) == (None, 5, *end)


@groups
def test_codes_of_masked_positions_in_a_functional_model(num_codebooks):
    layer = VectorQuantizer(K, D, num_codebooks=num_codebooks)
    inputs = keras.Input((3, layer.channels))
    mask = keras.Input((3,), dtype="bool")
    options = dict(return_codes=True, mask_codes=True)
    _, codes = layer(inputs, mask=mask, **options)
    encoded = layer.encode(inputs, mask)
    model = keras.Model([inputs, mask], [codes, encoded, layer.decode(codes)])
    x = latents((4, 3), num_codebooks)
    kept = np.arange(12).reshape(4, 3) % 3 > 0
    codes, encoded, decoded = model([x, tf.constant(kept)])
    np.testing.assert_array_equal(codes, layer.encode(x, kept))
    np.testing.assert_array_equal(encoded, codes)
    np.testing.assert_array_equal(decoded, layer.decode(codes))
    np.testing.assert_array_equal(np.all(decoded == 0, axis=-1), ~kept)


def test_a_mask_passed_on_by_keras_hides_no_codes():
    """Only a mask that is given for the purpose does."""
    inputs = keras.Input((3, D))
    layer = VectorQuantizer(K, D)
    masked = keras.layers.Masking()(inputs)
    model = keras.Model(inputs, layer.encode(masked))
    x = latents((4, 3)).numpy()
    x[:, 1] = 0
    assert np.all(model(x) >= 0)


@groups
@pytest.mark.parametrize(
    "dtype, code, fits",
    [
        ("int8", -1, True),
        ("int64", -1, True),
        ("int32", -2, False),
        ("int64", K, False),
        ("int64", 2**32 - 1, False),
        ("uint8", 255, False),
        ("uint64", 2**64 - 1, False),
    ],
)
def test_one_number_stands_for_no_code(num_codebooks, dtype, code, fits):
    layer = VectorQuantizer(K, D, num_codebooks=num_codebooks)
    codes = np.zeros(layer.codes_shape((2, layer.channels)), dtype)
    codes[1:] = code
    if fits:
        decoded = layer.decode(codes)
        assert np.all(decoded[0] != 0) and np.all(decoded[1] == 0)
        return
    with pytest.raises(ValueError, match=r"Codes must be in 0\.\.7"):
        layer.decode(codes)


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
        (lambda q, c: q.decode(keras.Input((3, c))), "Codes must be integers"),
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
    with pytest.raises(
        ValueError, match="last axis of codes must have 3 entries"
    ):
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
