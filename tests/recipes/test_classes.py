"""Recipes that name classes of their author's."""

import sys
import textwrap

import keras
import pytest

from support import small
from vqvae_tf import presets, recipes
from vqvae_tf.recipes import building, classes as recipe_classes

MODULE = """
import keras

@keras.saving.register_keras_serializable("mine")
class Reducer(keras.layers.Layer):
    def __init__(self, output_channels=4, **kwargs):
        super().__init__(**kwargs)
        self.output_channels = output_channels
        self.conv = keras.layers.Conv2D(output_channels, 4, 4)

    def build(self, shape):
        self.conv.build(shape)

    def call(self, x, training=False):
        return self.conv(x)

    def compute_output_shape(self, shape):
        return self.conv.compute_output_shape(shape)

    def get_config(self):
        own = {"output_channels": self.output_channels}
        return {**super().get_config(), **own}

def function():
    pass
"""


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Whatever lies on PYTHONPATH."""
    (tmp_path / "my_package").mkdir()
    (tmp_path / "my_package" / "__init__.py").touch()
    (tmp_path / "my_package" / "nets.py").write_text(textwrap.dedent(MODULE))
    (tmp_path / "my_package" / "broken.py").write_text("import no_such_thing")
    monkeypatch.syspath_prepend(tmp_path)
    yield
    for name in [n for n in sys.modules if n.split(".")[0] == "my_package"]:
        del sys.modules[name]


def with_encoder(name, **options):
    config = small.recipe()
    config.encoder = {"name": name, **options}
    return config


@pytest.mark.parametrize(
    "name", ["my_package.nets:Reducer", "my_package.nets.Reducer"]
)
def test_own_classes_are_trained_and_loaded_again(package, tmp_path, name):
    config = with_encoder(
        name, output_channels=small.recipe().quantizer.embedding_dim
    )
    recipes.check_recipe(config)
    own = recipe_classes.own_classes(config)
    assert list(own) == ["mine>Reducer"]
    model = building.make_autoencoder(config)
    assert type(model.encoder) is own["mine>Reducer"]
    model.save_to_preset(tmp_path / "a")
    loaded = presets.load(tmp_path / "a", custom_objects=own)
    assert type(loaded.encoder) is own["mine>Reducer"]
    # Another training may start from it, or stand on it.
    config.start = str(tmp_path / "a")
    assert building.make_autoencoder(config).built


@pytest.mark.parametrize(
    "name, message",
    [
        ("my_package.no_such:Reducer", "cannot be imported"),
        ("no_such_package:Reducer", "PYTHONPATH"),
        ("my_package.broken:Reducer", "no_such_thing"),
        ("my_package.nets:Other", "has no class Other"),
        ("my_package.nets:function", "has no class function"),
        ("pathlib:Path", "has no class Path of layers"),
        (":", "cannot be imported"),
        (".", "cannot be imported"),
        ("my_package..nets:Reducer", "cannot be imported"),
        ("Encodr", "or a class of your own"),
    ],
)
def test_classes_that_are_not_there_are_explained(package, name, message):
    with pytest.raises(ValueError, match=message) as error:
        recipes.check_recipe(with_encoder(name))
    assert repr(name) in str(error.value)


def test_keys_of_own_classes_are_checked(package):
    config = with_encoder("my_package.nets:Reducer", chanels=3)
    with pytest.raises(ValueError, match="chanels.*output_channels"):
        recipes.check_recipe(config)


def test_keras_classes_can_be_named():
    found = recipe_classes.find_class("encoder", "keras.layers:Conv2D")
    assert found is keras.layers.Conv2D


@pytest.mark.parametrize(
    "name", [5, float("nan"), True, ["Encoder"], b"Encoder", "__doc__"]
)
def test_a_name_that_is_no_class_is_refused(name):
    config = small.recipe()
    with config.encoder.ignore_type():
        config.encoder.name = name
    with pytest.raises(ValueError, match="encoder.name must be one of"):
        recipes.check_recipe(config)


@pytest.mark.parametrize("key", ["num_embeddings", "embedding_dim"])
def test_arguments_that_a_class_lacks_are_named(key):
    config = small.recipe()
    del config.quantizer[key]
    with pytest.raises(ValueError, match=f"quantizer lacks {key}, which"):
        building.make_autoencoder(recipes.check_recipe(config))


def test_arguments_that_a_class_cannot_take_are_explained(package):
    config = with_encoder("keras.layers:Conv2D", filters="x", kernel_size=3)
    with pytest.raises(ValueError, match="recipe's encoder: keras.layers:Conv"):
        building.make(config, "encoder")


@pytest.mark.parametrize(
    "name, options",
    [
        ("PixelSNAIL", dict(num_blocks=1, num_heads=2, residual_channels=4)),
        ("CodeTransformer", dict(num_heads=2, positions="learned")),
    ],
)
def test_priors_with_attention_are_made_of_a_section(name, options):
    config = small.recipe()
    config.prior = recipes.defaults("pictures").prior
    config.prior.update(
        name=name,
        event_shape=(4, 4),
        hidden_channels=8,
        num_layers=1,
        head_channels=8,
        **options,
    )
    prior = building.prior_of_codes(recipes.check_recipe(config))
    assert type(prior).__name__ == name
    assert {key: getattr(prior, key) for key in options} == options
    assert prior.sample(2, seed=0).shape == (2, 4, 4)
