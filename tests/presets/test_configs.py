"""Configurations of presets: bounds, known classes, classes of one's own."""

import random
import shutil

import keras
import numpy as np
import pytest
import tensorflow as tf

import vqvae_tf as vq
from support import preset_files, small
from vqvae_tf import presets
from vqvae_tf.presets import PresetError, configs as preset_configs

ENCODER = ("config", "encoder", "config")


@pytest.fixture(scope="module")
def preset(tmp_path_factory):
    folder = tmp_path_factory.mktemp("presets") / "tiny"
    small.generator().save_to_preset(folder)
    return folder


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    """The presets of a model and of a density alone."""
    folder = tmp_path_factory.mktemp("parts")
    small.vae().save_to_preset(folder / "model")
    small.prior().save_to_preset(folder / "prior")
    return folder


@pytest.fixture
def copy(preset, tmp_path):
    return shutil.copytree(preset, tmp_path / "copy")


@pytest.fixture
def no_large_arrays(monkeypatch):
    """Fails where a variable is made that no small preset has."""
    creator = preset_configs._Limit.creator

    def watched(self, next_creator, **kwargs):
        variable = creator(self, next_creator, **kwargs)
        assert np.prod(variable.shape) < 2**22
        return variable

    monkeypatch.setattr(preset_configs._Limit, "creator", watched)


# Sizes -----------------------------------------------------------------------


@pytest.mark.parametrize("number", [10**6, 10**9])
@pytest.mark.parametrize("name", ["model", "prior"])
def test_no_number_of_a_config_costs_memory_or_time(
    parts, tmp_path, no_large_arrays, name, number
):
    """Each in its turn becomes much larger than any preset's."""
    copy = shutil.copytree(parts / name, tmp_path / "copy")
    config = preset_files.read(copy)
    places = [
        path
        for path, value in preset_files.leaves(config)
        if type(value) is int and path[-1] not in ("seed", "capacity_steps")
    ]
    assert len(places) >= 10
    refused = 0
    for path in places:
        mutated = preset_files.changed(config, path, number)
        preset_files.write(copy, "config.json", mutated)
        try:
            presets.load(copy)
        except PresetError as error:
            assert str(copy) in str(error)
            refused += 1
    assert refused > len(places) - 4


def test_layers_are_counted_before_they_are_made(copy):
    """A million of them would have no end."""
    config = preset_files.read(copy)
    block = {
        "class_name": "ResidualStack",
        "registered_name": "vqvae_tf>ResidualStack",
        "module": "vqvae_tf.layers.residual",
        "config": {"num_layers": 30, "channels": 3},
    }
    many = {
        "class_name": "Sequential",
        "registered_name": "Sequential",
        "module": "keras",
        "config": {"layers": [block] * 1000},
    }
    config["config"]["encoder"] = many
    preset_files.write(copy, "config.json", config)
    with pytest.raises(PresetError, match="asks for 3000[0-9] layers"):
        presets.load(copy)
    many["config"]["layers"] = [
        {
            "class_name": "PixelSNAIL",
            "registered_name": "vqvae_tf>PixelSNAIL",
            "module": "vqvae_tf.densities.autoregressive.pixel_snail",
            "config": {"num_blocks": 3000, "num_layers": 100},
        }
    ]
    preset_files.write(copy, "config.json", config)
    with pytest.raises(PresetError, match="asks for 300[0-9]{3} layers"):
        presets.load(copy)
    many["config"]["layers"] = [
        {
            "class_name": "ResidualFeatures",
            "registered_name": "vqvae_tf>ResidualFeatures",
            "module": "vqvae_tf.networks.residual_features",
            "config": {"blocks_per_stage": 1000, "stage_channels": [8] * 300},
        }
    ]
    preset_files.write(copy, "config.json", config)
    with pytest.raises(PresetError, match="asks for 300[0-9]{3} layers"):
        presets.load(copy)
    many["config"]["layers"] = [
        {
            "class_name": "ReLU",
            "registered_name": None,
            "module": "keras.layers",
            "config": {},
        }
    ] * 10_000
    preset_files.write(copy, "config.json", config)
    with pytest.raises(PresetError, match="asks for 100[0-9][0-9] objects"):
        presets.load(copy)


def test_variables_are_counted_without_keras_closures():
    """Where their shape is not at hand, a graph tells it."""
    limit = preset_configs._Limit(10_000)
    with tf.variable_creator_scope(limit.creator):
        tf.Variable(lambda: tf.zeros([50, 50]))
        tf.Variable(np.zeros([5, 5]))
        keras.Variable("zeros", shape=(10, 10))
        assert limit.count == 2500 + 25 + 100
        with pytest.raises(PresetError):
            keras.Variable("zeros", shape=(10**9, 10**9))


def test_mel_bands_of_any_size_cost_little():
    with pytest.raises(ValueError, match="must be at most 16,777,216"):
        vq.layers.LogMel(8000, num_mels=2**15, window=2**16)


# Forms -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "config",
    [
        None,
        7,
        [],
        {},
        "VQVAE",
        {"class_name": "VQVAE"},
        {"class_name": 7, "config": {}},
        {"class_name": "VQVAE", "config": None},
        {"class_name": "VQVAE", "config": {}, "registered_name": ["x"]},
        {
            "class_name": "Dense",
            "config": {"units": 3},
            "module": "keras.layers",
            "registered_name": None,
        },
        {
            "class_name": "x",
            "config": {},
            "registered_name": "vqvae_tf>VQVAE",
        },
    ],
    ids=repr,
)
def test_configs_of_another_form_are_explained(copy, config):
    preset_files.write(copy, "config.json", config)
    with pytest.raises(PresetError, match="copy/config.json"):
        presets.load(copy)


@pytest.mark.parametrize("name", ["model", "prior"])
def test_mutated_configs_raise_nothing_but_preset_errors(parts, tmp_path, name):
    copy = shutil.copytree(parts / name, tmp_path / "copy")
    rng, config = random.Random(0), preset_files.read(copy)
    places = [path for path, _ in preset_files.leaves(config)]
    others = [..., None, True, 0, -1, 3, 1.5, float("nan"), "x", [], {}, [3]]
    refused = 0
    for _ in range(30):
        path, new = rng.choice(places), rng.choice(others)
        mutated = preset_files.changed(config, path, new)
        preset_files.write(copy, "config.json", mutated)
        try:
            presets.load(copy)
        except PresetError as error:
            assert str(copy) in str(error)
            refused += 1
    assert refused > 15


def test_a_prior_of_another_model_is_explained(copy, tmp_path):
    small.prior(2).save_to_preset(tmp_path / "other")
    for source, name in (
        ("config.json", "prior.json"),
        ("model.weights.h5", "prior.weights.h5"),
    ):
        shutil.copy(tmp_path / "other" / source, copy / name)
        preset_files.trust(copy, name)
    metadata = preset_files.read(copy, "metadata.json")
    del metadata["prior_parameters"]
    preset_files.write(copy, "metadata.json", metadata)
    with pytest.raises(PresetError, match="do not match each other.*codebooks"):
        presets.load(copy)


# Classes ---------------------------------------------------------------------


def entry(name, module, registered=None, config=None):
    return {
        "class_name": name,
        "module": module,
        "registered_name": registered,
        "config": {} if config is None else config,
    }


@pytest.mark.parametrize(
    "part",
    [
        entry("system", "os"),
        entry("system", "os", "vqvae_tf>system"),
        entry("Popen", "subprocess", "Popen"),
        entry("__lambda__", None, None, {"value": "code"}),
        entry("__lambda__", "x", "vqvae_tf>VQVAE", {"value": "code"}),
        entry("__typespec__", "tensorflow", "x", []),
        entry("__numpy__", None, None, {"value": [1], "dtype": "float32"}),
        entry("function", "builtins", "eval", "eval"),
        entry("function", "keras.utils", "get_file", "get_file"),
        entry("get_file", "keras.utils"),
        entry("load_model", "keras.saving"),
        entry("Lambda", "keras.layers", None, {"function": "x"}),
        entry("TFSMLayer", "keras.layers", None, {"filepath": "/tmp/x"}),
        entry("TorchModuleWrapper", "keras.layers"),
        entry("StringLookup", "keras.layers", None, {"vocabulary": "/x"}),
        entry("Dense", "keras.layers", "somebody>Dense", {"units": 3}),
        entry("Dense", "keras_hub.layers", None, {"units": 3}),
    ],
    ids=lambda part: f"{part['module']}.{part['class_name']}",
)
def test_classes_that_nobody_gave_are_refused(copy, part):
    config = preset_files.read(copy)
    config["config"]["encoder"] = part
    preset_files.write(copy, "config.json", config)
    with pytest.raises(PresetError, match="names (the class|classes)"):
        presets.load(copy)


@keras.saving.register_keras_serializable("mine")
class Half(keras.initializers.Initializer):
    def __call__(self, shape, dtype=None):
        return tf.fill(shape, tf.cast(0.5, dtype))

    def get_config(self):
        return {}


@keras.saving.register_keras_serializable("mine")
def twice(x):
    return 2 * x


@keras.saving.register_keras_serializable("mine")
class Reducer(keras.layers.Layer):
    """An encoder of one's own, with parts of one's own in Keras' layer."""

    def __init__(self, channels=4, activation=twice, **kwargs):
        super().__init__(**kwargs)
        self.channels = channels
        self.conv = keras.layers.Conv2D(
            channels, 4, 4, activation=activation, kernel_initializer=Half()
        )

    def build(self, shape):
        self.conv.build(shape)

    def call(self, x, training=False):
        return self.conv(x)

    def compute_output_shape(self, shape):
        return self.conv.compute_output_shape(shape)

    def get_config(self):
        return {**super().get_config(), "channels": self.channels}


class Unregistered(Reducer):
    pass


class Forgetful(Reducer):
    def __init__(self, must, **kwargs):
        super().__init__(**kwargs)
        self.must = must


def with_encoder(encoder):
    likelihood = vq.Gaussian()
    return vq.VQVAE(
        encoder,
        vq.VectorQuantizer(8, 4, seed=1),
        vq.FactorizedDensity(vq.Decoder(3, hidden_channels=8), likelihood),
        event_shape=(16, 16, 3),
    )


@pytest.mark.parametrize("cls", [Reducer, Unregistered])
def test_own_classes_are_taken_from_the_caller_alone(cls, tmp_path):
    """Even where the process knows a class by the name in the file."""
    model, images = with_encoder(cls(4)), small.pictures(2)
    model.save_to_preset(tmp_path / "a")
    name = keras.saving.get_registered_name(cls)
    with pytest.raises(PresetError, match=rf"objects={{'{name}': "):
        vq.VQVAE.from_preset(tmp_path / "a")
    for given in (name, cls.__name__):
        loaded = vq.VQVAE.from_preset(
            tmp_path / "a", custom_objects={given: cls}
        )
        assert type(loaded.encoder) is cls
        np.testing.assert_array_equal(
            loaded.encode(images), model.encode(images)
        )


def test_own_classes_within_other_parts(tmp_path):
    """A layer, an initializer and a function inside a functional model."""
    inputs = keras.Input((None, None, 3))
    x = keras.layers.Conv2D(
        8, 2, 2, activation=twice, kernel_initializer=Half()
    )(inputs)
    x = keras.layers.Conv2D(4, 2, 2)(x)
    model = with_encoder(keras.Model(inputs, x))
    model.save_to_preset(tmp_path / "a")
    with pytest.raises(PresetError) as error:
        presets.load(tmp_path / "a")
    assert "'mine>Half'" in str(error.value)
    assert "'mine>twice'" in str(error.value)
    own = {"mine>Half": Half, "mine>twice": twice}
    loaded = presets.load(tmp_path / "a", custom_objects=own)
    images = small.pictures(2)
    np.testing.assert_array_equal(loaded.encode(images), model.encode(images))


@pytest.mark.filterwarnings("ignore:The object being serialized includes")
def test_what_could_never_be_loaded_is_not_saved(tmp_path):
    squared = keras.layers.Lambda(lambda x: x[:, ::4, ::4] ** 2)
    several = keras.Sequential([keras.layers.Conv2D(4, 1), squared])
    activation = keras.layers.Conv2D(4, 4, 4, activation=lambda x: x)
    for encoder in (several, activation, Forgetful(1)):
        with pytest.raises(PresetError, match="could not be loaded again"):
            with_encoder(encoder).save_to_preset(tmp_path / "a")
        assert not (tmp_path / "a").exists()


@pytest.mark.parametrize("given", [[Reducer], {"a": 3}, {3: Reducer}, "x"])
def test_custom_objects_that_are_no_classes_are_told(preset, given):
    with pytest.raises(ValueError, match="custom_objects"):
        presets.load(preset, custom_objects=given)
