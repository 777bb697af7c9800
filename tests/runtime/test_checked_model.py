"""Every way into a model has the same checks, before anything is done."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf

import vqvae_tf as vq
from support import small
from vqvae_tf.utils.units import LN2


@functools.cache
def shared():
    """A compiled VQ-VAE, which none of these tests changes."""
    model = small.autoencoder()
    model.compile(keras.optimizers.SGD(0.0), run_eagerly=True)
    return model


@functools.cache
def generator():
    return small.generator()


def pictures(count=4):
    return small.pictures(count)


def scaled():
    return pictures() / 255.0


def binary():
    return (pictures() > 100).astype(np.uint8)


class Batches(keras.utils.PyDataset):
    def __init__(self, x):
        super().__init__()
        self.x = x

    def __len__(self):
        return 1

    def __getitem__(self, index):
        return self.x


def dataset(x):
    return tf.data.Dataset.from_tensors(x)


FORMS = {
    "array": lambda x: x,
    "tensor": tf.constant,
    "data set": dataset,
    "data set of pairs": lambda x: dataset((x, {"global": np.ones([4, 1])})),
    "PyDataset": Batches,
    "generator": lambda x: (batch for batch in [x]),
}
LOOPS = {
    "fit": lambda x: shared().fit(x, verbose=0),
    "evaluate": lambda x: shared().evaluate(x, verbose=0),
    "predict": lambda x: shared().predict(x, verbose=0),
    "validation_data": lambda x: shared().fit(
        pictures(), validation_data=x, verbose=0
    ),
}
ONCE = {
    "train_on_batch": lambda x: shared().train_on_batch(x),
    "test_on_batch": lambda x: shared().test_on_batch(x),
    "predict_on_batch": lambda x: shared().predict_on_batch(x),
    "a whole batch": lambda x: shared().train_on_batch((x, None)),
    "a call": lambda x: shared()(x),
    "encode": lambda x: shared().encode(x),
    "reconstruct": lambda x: shared().reconstruct(x),
    "generator, a call": lambda x: generator()(x),
    "generator, log_prob": lambda x: generator().log_prob(x),
    "generator, bits_per_dim": lambda x: generator().bits_per_dim(x),
    "generator, evaluate": lambda x: generator().predict_on_batch(x),
}
BAD = {"scaled": scaled, "binary": binary}


def assert_refused(way, x, message):
    iterations = int(shared().optimizer.iterations)
    with pytest.raises(ValueError, match=message):
        way(x)
    assert int(shared().optimizer.iterations) == iterations


@pytest.mark.parametrize("data", BAD)
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("way", LOOPS)
def test_no_loop_takes_pictures_that_are_surely_not_meant(way, form, data):
    if (way, form) == ("validation_data", "array"):
        assert_refused(LOOPS[way], (BAD[data](),), "Pixels are expected")
    assert_refused(LOOPS[way], FORMS[form](BAD[data]()), "Pixels are expected")


@pytest.mark.parametrize("data", BAD)
@pytest.mark.parametrize("way", ONCE)
def test_no_call_takes_pictures_that_are_surely_not_meant(way, data):
    assert_refused(ONCE[way], BAD[data](), "Pixels are expected")
    assert_refused(ONCE[way], tf.constant(BAD[data]()), "Pixels are expected")


@pytest.mark.parametrize("way", [*LOOPS, *ONCE])
def test_legal_pictures_go_every_way(way):
    black = np.zeros([2, small.SIZE, small.SIZE, 3], np.uint8)
    for x in (pictures(2), black, black.astype(np.float32), black + 1):
        {**LOOPS, **ONCE}[way](x)


STRUCTURES = {
    "dicts of a data set": lambda x: dataset({"image": x, "label": [0] * 4}),
    "a dict of arrays": lambda x: {"image": x},
    "pairs with labels": lambda x: dataset((x, np.zeros([4], np.int64))),
    "a data set of unknown rank": lambda x: tf.data.Dataset.from_generator(
        lambda: iter([x]), tf.uint8
    ),
    "a list of pictures": list,
    "no batches": lambda x: tf.data.Dataset.from_tensor_slices(x),
    "without channels": lambda x: x[..., 0],
    "channels first": lambda x: np.moveaxis(x, -1, 1),
    "nothing": lambda x: None,
    "ragged": lambda x: dataset(tf.RaggedTensor.from_tensor(x)),
    "sparse": lambda x: tf.sparse.from_dense(x),
    "file names": lambda x: np.array(["a.png"] * 4),
}
# A list is that of the parts of validation data.
_NO_VALIDATION = ("a list of pictures", "nothing")


@pytest.mark.parametrize("structure", STRUCTURES)
def test_batches_of_another_structure_get_one_error(structure):
    x = STRUCTURES[structure](pictures())
    message = "A batch is x|, which follows x|Expected data of shape|made for 3"
    for way in LOOPS:
        if way != "validation_data" or structure not in _NO_VALIDATION:
            assert_refused(LOOPS[way], x, message)
    if isinstance(x, tf.data.Dataset):
        return
    for way in ("train_on_batch", "test_on_batch", "predict_on_batch"):
        assert_refused(ONCE[way], x, message)
    if structure != "a list of pictures":
        assert_refused(ONCE["a call"], x, message)


def test_advice_for_digits_without_channels():
    model = small.dense_vae(28)
    digits = np.random.default_rng(0).integers(0, 256, [4, 28, 28], np.uint8)
    with pytest.raises(ValueError, match=r"channels: x\[\.\.\., None\]\.$"):
        model.encode(digits)
    assert model.encode(digits[..., None]).shape[0] == 4


def test_what_is_split_off_for_validation_is_looked_at():
    x = np.concatenate([np.tile(pictures(), [20, 1, 1, 1]) / 1.0, scaled()])
    with pytest.raises(ValueError, match="scaled"):
        shared().fit(x, validation_split=0.04, verbose=0)
    shared().fit(x, validation_split=0.5, epochs=0, verbose=0)


def test_validation_data_of_each_epoch_are_drawn_once_before_it():
    drawn = []

    def batches():
        for batch in [pictures()] * 3:
            drawn.append(0)
            yield batch

    spec = tf.TensorSpec([None, small.SIZE, small.SIZE, 3], tf.uint8)
    data = tf.data.Dataset.from_generator(batches, output_signature=spec)
    data = data.apply(tf.data.experimental.assert_cardinality(3))
    for _ in range(2):
        shared().fit(
            pictures(), validation_data=data, epochs=2, batch_size=4, verbose=0
        )
    # The first batch was looked at, in the first fit.
    assert 12 < len(drawn) <= 12 + 3


def test_a_generator_of_validation_data_loses_no_batch():
    batches = [pictures(), 255 - pictures()]
    logs = shared().fit(
        pictures(),
        validation_data=((b,) for b in batches),
        validation_steps=2,
        verbose=0,
    )
    whole = np.concatenate(batches)
    expected = shared().evaluate(
        whole, batch_size=4, verbose=0, return_dict=True
    )
    np.testing.assert_allclose(
        logs.history["val_loss"], expected["loss"], rtol=1e-5
    )


def test_graphs_have_no_check_in_them():
    graph = tf.function(lambda x: shared()(x))
    np.testing.assert_array_equal(graph(scaled()).shape, pictures().shape)


# Compiling --------------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [
        {"loss": "mse"},
        {"loss": keras.losses.MeanSquaredError()},
        {"loss_weights": [2.0]},
        {"metrics": ["mae"]},
        {"weighted_metrics": [keras.metrics.MeanSquaredError()]},
    ],
    ids=lambda options: "-".join(options),
)
def test_a_loss_and_metrics_are_refused_and_not_ignored(options):
    model = small.autoencoder()
    name = next(iter(options))
    with pytest.raises(ValueError, match=rf"own loss .*Received: {name}="):
        model.compile("adam", **options)
    with pytest.raises(ValueError, match="A VQVAE has its own loss"):
        model.compile("adam", "mse")


def test_files_of_models_that_were_compiled_with_a_loss_load(tmp_path):
    model = small.autoencoder()
    keras.Model.compile(model, "adam", loss="mse")
    model.save(tmp_path / "m.keras")
    loaded = keras.saving.load_model(tmp_path / "m.keras")
    assert loaded.compiled and loaded.loss is None
    assert isinstance(loaded.optimizer, keras.optimizers.Adam)


def test_options_of_compile_are_saved(tmp_path):
    model = small.autoencoder()
    model.compile("sgd", run_eagerly=True, steps_per_execution=2, metrics=[])
    model.save(tmp_path / "m.keras")
    loaded = keras.saving.load_model(tmp_path / "m.keras")
    assert loaded.run_eagerly and loaded.steps_per_execution == 2


def test_class_weights_are_refused():
    for method in (shared().fit, shared().train_on_batch):
        with pytest.raises(ValueError, match="sample_weight. Received: class_"):
            method(pictures(), class_weight={0: 1.0})


def test_training_without_an_optimizer():
    model = small.autoencoder()
    model.compile(optimizer=None, run_eagerly=True)
    with pytest.raises(ValueError, match="needs an optimizer"):
        model.fit(pictures(), verbose=0)
    assert len(model.evaluate(pictures(), verbose=0)) == 6


# What comes back --------------------------------------------------------------


def test_the_list_of_evaluate_has_the_names_of_the_metrics():
    model = shared()
    figures = model.evaluate(pictures(), verbose=0, return_dict=True)
    for values in (
        model.evaluate(pictures(), verbose=0),
        model.test_on_batch(pictures()),
    ):
        assert len(model.metrics_names) == len(values)
        found = dict(zip(model.metrics_names, values))
        assert found.keys() == figures.keys()
        for name, value in figures.items():
            np.testing.assert_allclose(found[name], value, 1e-6, err_msg=name)


def test_predict_hands_the_context_on():
    prior = small.prior(global_channels=3)
    codes = np.random.default_rng(0).integers(0, 8, [4, 4, 4]).astype(np.int32)
    context = {"global": np.eye(3, dtype=np.float32)[[0, 1, 2, 0]]}
    expected = prior.log_prob(codes, context)
    batch = (codes, context)
    batches = tf.data.Dataset.from_tensor_slices(batch).batch(2)
    for found in (
        prior.predict(batches, verbose=0),
        prior.predict_on_batch(batch),
    ):
        np.testing.assert_allclose(found, expected, rtol=1e-5)
    model = vq.LatentGenerator(small.autoencoder(), prior)
    bits = model.bits_per_dim(pictures(), context)["total"]
    found = model.predict_on_batch((pictures(), context))
    np.testing.assert_allclose(
        -found / (LN2 * 3 * small.SIZE**2), bits, rtol=1e-5
    )


def test_several_steps_at_once_are_those_one_by_one():
    histories = []
    for steps in (1, 2):
        keras.utils.set_random_seed(0)
        model = small.autoencoder()
        model.compile("sgd", steps_per_execution=steps)
        history = model.fit(
            pictures(8), batch_size=2, epochs=2, shuffle=False, verbose=0
        ).history
        histories.append(history)
        assert model.predict(pictures(6), batch_size=2, verbose=0).shape == (
            pictures(6).shape
        )
    for name, values in histories[0].items():
        np.testing.assert_allclose(histories[1][name], values, 1e-4)


def test_a_summary_can_be_printed():
    lines = []
    shared().summary(print_fn=lines.append)
    assert "vector_quantizer_ema" in "".join(lines)


@pytest.mark.parametrize("with_context", [False, True])
def test_masks_are_taken_as_arrays_too(with_context):
    classes = 3 if with_context else None
    prior = small.prior(global_channels=classes)
    prior.build()
    prior.compile("adam")
    codes = np.arange(2 * 16).reshape([2, 4, 4]) % 8
    mask = np.ones([2, 4, 4], np.float32)
    mask[0, 2:] = 0
    context = {"global": np.eye(3, dtype="float32")[:2]}
    context = context if with_context else None
    weighted = prior.evaluate(
        codes, context, sample_weight=mask, verbose=0, return_dict=True
    )
    batch = (codes, context or {}, mask)
    expected = prior.evaluate(
        tf.data.Dataset.from_tensors(batch), verbose=0, return_dict=True
    )
    assert weighted["loss"] == pytest.approx(expected["loss"], rel=1e-5)
    prior.fit(
        codes,
        context,
        sample_weight=mask,
        validation_data=(codes, context, mask),
        verbose=0,
    )


def test_no_call_by_name_goes_unchecked():
    model = small.autoencoder()
    scaled = np.random.default_rng(0).random([2, 16, 16, 3])
    with pytest.raises(ValueError, match="0..255"):
        model(x=scaled)
