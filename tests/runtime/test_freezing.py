"""What is frozen stays as it is: after a fit, and in what is loaded."""

import functools

import keras
import numpy as np
import pytest

import vqvae_tf as vq
from support import small
from support.harness import arrays, assert_same_variables, saved_and_loaded
from vqvae_tf.runtime import freezing, precision
from vqvae_tf.runtime.step import StepModel


@keras.saving.register_keras_serializable("vqvae_tf_tests")
class Pair(StepModel):
    """Two dense layers, of which either may be frozen."""

    parts = ("first", "second")

    def __init__(self, first, second, **kwargs):
        super().__init__(**kwargs)
        self.first = first
        self.second = second

    def build(self, input_shape=None):
        self.first.build((None, 2))
        self.second.build((None, 2))
        self.built = True

    def call(self, x):
        return self.second(self.first(x))

    def compute_losses(self, x, context=None, weight=None, training=False):
        return keras.ops.mean((self(x) - 1.0) ** 2, axis=-1), 0.0, {}


def pair():
    model = Pair(keras.layers.Dense(2), keras.layers.Dense(2))
    model.build()
    return model


X = np.random.default_rng(0).normal(size=[4, 2]).astype(np.float32)


def step(model):
    """Takes a step; returns which parts moved."""
    parts = ("first", "second")
    before = [arrays(getattr(model, part).variables) for part in parts]
    model.train_on_batch(X)
    after = [arrays(getattr(model, part).variables) for part in parts]
    return tuple(
        any(np.any(a != b) for a, b in zip(*values))
        for values in zip(before, after)
    )


OPTIMIZERS = {
    "Adam": functools.partial(keras.optimizers.Adam, amsgrad=True),
    "SGD": functools.partial(keras.optimizers.SGD, 0.01, momentum=0.9),
    "averages": functools.partial(
        keras.optimizers.AdamW, use_ema=True, gradient_accumulation_steps=2
    ),
    "scaled": lambda: keras.optimizers.LossScaleOptimizer(
        keras.optimizers.RMSprop()
    ),
    "Nadam": keras.optimizers.Nadam,
    "Muon": keras.optimizers.Muon,
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_freezing_and_thawing_hold_without_a_new_compile(name):
    model = pair()
    model.compile(OPTIMIZERS[name](), run_eagerly=True)
    steps = 2 if name == "averages" else 1  # gradients are accumulated

    def moved():
        found = [step(model) for _ in range(steps)]
        return tuple(any(part) for part in zip(*found))

    assert moved() == (True, True)
    model.first.trainable = False
    for _ in range(2):
        assert moved() == (False, True)
    model.first.trainable, model.second.trainable = True, False
    assert moved() == (True, False)
    model.second.trainable = True
    assert moved() == (True, True)
    assert int(model.optimizer.iterations) == 5


def test_graphs_are_made_anew_where_something_was_frozen():
    model = pair()
    model.compile("adam")
    assert step(model) == (True, True)
    made = model.train_function
    assert step(model) == (True, True) and model.train_function is made
    model.second.trainable = False
    assert step(model) == (True, False)
    before = arrays(model.second.variables)
    model.fit(X, epochs=2, verbose=0)
    for old, variable in zip(before, model.second.variables):
        np.testing.assert_array_equal(variable, old)


def test_what_stays_in_training_keeps_its_moments():
    models = [pair(), pair()]
    models[1].set_weights(models[0].get_weights())
    for model in models:
        model.compile(keras.optimizers.Adam(0.01), run_eagerly=True)
        model.train_on_batch(X)
    one, other = models
    other.first.trainable = False
    other._follow_trainable()
    optimizers = [model.optimizer for model in models]
    count = len(other.second.variables)
    for name in ("_momentums", "_velocities"):
        kept, whole = (getattr(o, name) for o in reversed(optimizers))
        assert len(kept) == count and len(whole) == 2 * count
        assert_values(kept, whole[count:])
    assert len(optimizers[1].variables) == 2 + 2 * count
    other.first.trainable = True
    other._follow_trainable()
    moments = [o._momentums for o in optimizers]
    assert_values(moments[1][count:], moments[0][count:])
    for variable in moments[1][:count]:
        assert not np.any(variable)


def assert_values(received, expected):
    assert len(received) == len(expected)
    for new, old in zip(received, expected):
        np.testing.assert_array_equal(new, old)


def test_a_model_that_is_frozen_as_a_whole_does_not_move():
    model = pair()
    model.compile("adam", run_eagerly=True)
    step(model)
    model.trainable = False
    assert step(model) == (False, False)


def test_a_frozen_quantizer_and_encoder_stay_after_a_fit():
    model = small.autoencoder()
    model.compile("adam")
    x = small.pictures(4)
    model.fit(x, verbose=0)
    model.quantizer.trainable = model.encoder.trainable = False
    frozen = [*model.encoder.variables, *model.quantizer.variables]
    before, others = arrays(frozen), arrays(model.decoder.variables)
    model.fit(x, verbose=0)
    assert_values(frozen, before)
    moved = zip(others, model.decoder.variables)
    assert all(np.any(old != new.numpy()) for old, new in moved)


# What is loaded ---------------------------------------------------------------


def freeze_encoder(model):
    model.encoder.trainable = False


def freeze_inside(model):
    model.decoder.network.residuals.trainable = False
    model.encoder.residuals.blocks[0].trainable = False


def freeze_all_but_one(model):
    model.trainable = False
    model.trainable = False
    model._trainable = True
    model.quantizer.trainable = True


def freeze_model(model):
    model.trainable = False


FROZEN = (freeze_encoder, freeze_inside, freeze_all_but_one, freeze_model)


def trained(model):
    return [i for i, v in enumerate(model.variables) if trains(model, v)]


def trains(model, variable):
    return any(variable is v for v in model.trainable_variables)


def flags(model):
    return [layer.trainable for layer in model._flatten_layers()]


@pytest.mark.parametrize("freeze", FROZEN)
def test_what_is_frozen_is_so_in_a_loaded_model(freeze):
    model = small.autoencoder()
    freeze(model)
    model.compile("adam", run_eagerly=True)
    model.train_on_batch(small.pictures(4))
    config = model.get_config()
    parts = config.get("trainable_parts")
    copies = {
        "file": saved_and_loaded(model),
        "configuration": vq.VQVAE.from_config(config),
        "copy": precision.copied(model),
    }
    for name, copy in copies.items():
        if not copy.built:
            copy.build()
        assert flags(copy) == flags(model), name
        assert trained(copy) == trained(model), name
        assert copy.get_config().get("trainable_parts") == parts, name
    loaded = copies["file"]
    assert_same_variables(loaded.optimizer.variables, model.optimizer.variables)
    before = arrays(loaded.encoder.variables)
    loaded.train_on_batch(small.pictures(4))
    if freeze is freeze_encoder:
        assert_values(loaded.encoder.variables, before)


def test_what_is_frozen_is_so_in_a_preset(tmp_path):
    model = small.generator()
    model.autoencoder.encoder.trainable = False
    model.prior.trainable = False
    model.save_to_preset(tmp_path / "preset")
    loaded = vq.LatentGenerator.from_preset(tmp_path / "preset")
    assert trained(loaded) == trained(model)
    assert not loaded.prior.trainable_variables


def test_frozen_after_training_is_saved_with_its_optimizer():
    model = small.autoencoder()
    model.compile("adam", run_eagerly=True)
    model.train_on_batch(small.pictures(4))
    model.encoder.trainable = False
    loaded = saved_and_loaded(model)
    assert int(loaded.optimizer.iterations) == 1
    assert trained(loaded) == trained(model)
    assert_same_variables(loaded.optimizer.variables, model.optimizer.variables)


def test_files_of_before_keep_a_frozen_encoder_frozen():
    """They say that the encoder is frozen, and nothing of its layers."""
    model = small.autoencoder()
    model.encoder.trainable = False
    config = model.get_config()
    del config["trainable_parts"]
    old = vq.VQVAE.from_config(config)
    old.build()
    assert trained(old) == trained(model)


def test_a_constructor_freezes_what_is_inside():
    encoder = vq.Encoder(4, hidden_channels=8, trainable=False)
    like = small.autoencoder()
    model = vq.VQVAE(
        encoder, like.quantizer, like.decoder, event_shape=like.event_shape
    )
    model.build()
    assert not any(v.trainable for v in encoder.variables)
    like.encoder.trainable = False
    assert len(model.trainable_variables) == len(like.trainable_variables)


@pytest.mark.parametrize(
    "network",
    [
        lambda: vq.Encoder(4, hidden_channels=4),
        lambda: vq.Decoder(4, hidden_channels=4),
        lambda: vq.GlobalEncoder(8, 4, hidden_channels=4),
        lambda: vq.DenseEncoder(4, 8, hidden_units=(4,)),
    ],
)
def test_frozen_networks_of_keras_models_stay_frozen(network):
    x = keras.Input([8, 8, 3])
    layer = network()
    model = keras.Model(x, keras.layers.Dense(1)(layer(x)))
    layer.trainable = False
    loaded = saved_and_loaded(model)
    assert len(loaded.trainable_variables) == 2
    loaded.layers[1].trainable = True
    assert len(loaded.trainable_variables) == len(model.variables)


def test_nothing_is_noted_where_nothing_is_frozen():
    config = small.autoencoder().get_config()
    assert "trainable_parts" not in config
    assert freezing.trainable_parts(small.video()) == {}


def test_a_fast_decoder_can_be_given_to_a_frozen_model():
    model = small.speech_vqvae()
    model.encoder.trainable = False
    model = model.with_fast_decoder(small.spectral_decoder())
    assert not model.encoder.trainable and model.fast_decoder.trainable


def test_thawed_weights_are_not_averaged_with_nothing():
    model = small.autoencoder()
    model.compile(keras.optimizers.Adam(1e-6, use_ema=True))
    model.encoder.trainable = False
    x = small.pictures(4)
    model.fit(x, verbose=0)
    model.encoder.trainable = True
    before = model.encoder.get_weights()
    model.fit(x, verbose=0)
    for old, new in zip(before, model.encoder.get_weights()):
        np.testing.assert_allclose(new, old, atol=1e-4)
