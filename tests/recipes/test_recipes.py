"""Recipes: what they may say, and what becomes of it."""

import pathlib

import keras
import numpy as np
import pytest
import tensorflow as tf

from support import small
from support.levels import LARGE
from vqvae_tf import recipes
from vqvae_tf.recipes import building
from vqvae_tf.zoo_path import zoo_dir

RECIPES = sorted((zoo_dir() / "recipes").glob("*.py"))


@pytest.mark.parametrize(
    "path",
    [
        pytest.param(
            path, id=path.stem, marks=[pytest.mark.slow] * (path.stem in LARGE)
        )
        for path in RECIPES
    ],
)
def test_recipes_of_the_zoo_build(path):
    config = recipes.load_recipe(path)
    assert config.name == path.stem
    assert config.card.summary
    prior = building.make_prior(config)
    if recipes.kind(config) == "video":
        network = prior.network
        assert prior.num_embeddings == network.num_embeddings
        assert prior.density.local_channels == network.hidden_channels
        return
    model = building.make_autoencoder(config)
    if prior is None:
        has_codes = recipes.kind(config) == "pictures"
        assert model.built
        assert not has_codes or config.bottleneck.name is not None
        return
    if recipes.kind(config) == "levels":
        model.check_prior(prior)
        for name, grid in prior.event_shape.items():
            assert grid[0] * model.downsamplings()[name] == model.event_shape[0]
        return
    if recipes.kind(config) == "speech":
        density = model.decoder.density
        assert density.local_upsampling == model.stride == 64
        assert density.global_channels == config.data.num_speakers
    else:
        sizes = model.event_shape[:2]
        grid = tuple(n // model.downsampling for n in sizes)
        assert prior.event_shape == grid
    assert prior.num_embeddings == model.quantizer.num_embeddings
    assert prior.num_codebooks == model.quantizer.num_codebooks


@pytest.mark.parametrize(
    "section, key",
    [
        ("encoder", "hidden_chanels"),
        ("quantizer", "num_embedings"),
        ("likelihood", "scales"),
        ("decoder", "depth"),
        ("prior", "layers"),
    ],
)
def test_unknown_keys_of_parts(section, key):
    config = small.recipe()
    config[section][key] = 3
    message = f"Unknown keys in the recipe's {section}: {key}"
    with pytest.raises(ValueError, match=message):
        recipes.check_recipe(config)


def test_unknown_key_of_data():
    config = small.recipe()
    config.data.image_sise = 3
    with pytest.raises(
        ValueError, match="image_sise. Known keys: .*image_size"
    ):
        recipes.check_recipe(config)


@pytest.mark.parametrize("section", ["training", "prior_training", "card"])
def test_unknown_keys_of_other_sections(section):
    config = small.recipe()
    config[section].step = 3
    with pytest.raises(ValueError, match=f"recipe's {section}: step. Known"):
        recipes.check_recipe(config)


@pytest.mark.parametrize("size", [None, 0])
def test_no_image_size(size):
    config = small.recipe()
    config.data.image_size = size
    with pytest.raises(ValueError, match=f"image_size .* Received: {size!r}"):
        recipes.check_recipe(config)


@pytest.mark.parametrize("channels", [None, 0, 2, 4])
def test_other_channels(channels):
    config = small.recipe()
    config.data.channels = channels
    message = f"channels must be 3 .* or 1 .* Received: {channels!r}"
    with pytest.raises(ValueError, match=message):
        recipes.check_recipe(config)


@pytest.mark.parametrize("likelihood", ["Gaussian", "Categorical"])
def test_autoencoder_of_grey_pictures(likelihood):
    config = small.recipe()
    config.data.channels = 1
    config.likelihood = recipes.defaults().likelihood
    config.likelihood.name = likelihood
    model = building.make_autoencoder(recipes.check_recipe(config))
    assert model.event_shape == (small.SIZE, small.SIZE, 1)
    grey = small.pictures(2)[..., :1]
    assert model.reconstruct(grey).shape == grey.shape
    local = model.quantizer.decode(model.encode(grey))
    assert model.decoder.log_prob(grey, {"local": local}).shape == (2,)


def test_unknown_pictures_of_a_card():
    config = small.recipe()
    config.card.samples = "cats"
    message = "samples .*digits.*Received: card.samples='cats'"
    with pytest.raises(ValueError, match=message):
        recipes.check_recipe(config)


def test_autoencoder_of_any_size():
    config = small.recipe()
    config.data.image_size = None
    model = building.make_autoencoder(config)
    assert model.encode(small.pictures(2, 24)).shape == (2, 6, 6)


def test_unknown_class():
    config = small.recipe()
    config.prior.name = "PixelRNN"
    with pytest.raises(ValueError, match="prior.name .* Received: 'PixelRNN'"):
        recipes.check_recipe(config)


def test_no_such_file():
    with pytest.raises(FileNotFoundError, match="no recipe at nowhere.py"):
        recipes.load_recipe("nowhere.py")
    with pytest.raises(FileNotFoundError, match="own: .*vqvae_cifar10, "):
        recipes.load_recipe("nowhere")


def test_built_in_recipes():
    config = recipes.load_recipe("vqvae_photo128")
    assert recipes.is_built_in(config)
    config.card.limits = "None."
    assert recipes.is_built_in(config)
    config.training.steps += 1
    assert not recipes.is_built_in(config)
    assert not recipes.is_built_in(small.recipe())


def test_no_get_config(tmp_path):
    path = pathlib.Path(tmp_path / "empty.py")
    path.write_text("x = 1\n")
    with pytest.raises(ValueError, match="defines no get_config"):
        recipes.load_recipe(path)


def test_learning_rate_warms_up_and_decays():
    training = small.recipe().training
    training.update(
        steps=100,
        warmup_steps=10,
        learning_rate=1e-2,
        final_learning_rate=1e-4,
    )
    schedule = building.make_optimizer(training)._learning_rate
    rates = [float(schedule(step)) for step in (0, 5, 10, 55, 100)]
    expected = [0, 5e-3, 1e-2, (1e-2 + 1e-4) / 2, 1e-4]
    np.testing.assert_allclose(rates, expected, rtol=1e-5)


def test_kernels_decay_apart_from_the_gradient():
    """Loshchilov and Hutter 2019, arXiv:1711.05101, algorithm 2."""
    training = small.recipe().training
    training.update(
        steps=100, warmup_steps=0, learning_rate=0.1, weight_decay=0.5
    )
    names = "kernel", "depthwise_kernel", "bias", "embeddings", "log_scale"
    weights = [keras.Variable([2.0, -4.0], name=name) for name in names]
    optimizer = building.make_optimizer(training)
    # No gradient, then Adam's first step, of the rate, beside the decay.
    optimizer.apply([tf.zeros(2)] * 5, weights)
    for weight in weights[:2]:
        np.testing.assert_allclose(weight, [1.9, -3.8], rtol=1e-5)
    for weight in weights[2:]:
        np.testing.assert_array_equal(weight, [2.0, -4.0])
    optimizer = building.make_optimizer(training)
    optimizer.apply([tf.constant([3.0, -3.0])], weights[:1])
    decayed = np.array([1.9, -3.8]) * (1 - 0.5 * 0.1)
    np.testing.assert_allclose(weights[0], decayed - [0.1, -0.1], rtol=1e-5)


def test_speech_of_two_codebooks():
    config = recipes.read_recipe(recipes.find_recipe("vqvae_speech8k"))
    config.quantizer.num_codebooks = 2
    config.encoder.output_channels *= 2
    model = building.make_autoencoder(recipes.check_recipe(config))
    codes = model.encode(np.zeros([1, 128], np.float32))
    assert codes.shape == (1, 2, 2)
    bits = model.decoder.log_prob(
        np.zeros([1, 128], np.float32),
        {
            "local": model.quantizer.decode(codes),
            "global": np.eye(5, dtype=np.float32)[:1],
        },
    )
    assert np.all(np.isfinite(bits))


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"data.window": None}, "data.window, a positive integer.*None"),
        ({"data.num_speakers": 0}, "data.num_speakers"),
        ({"data.num_classes": 10}, "Unknown keys in .*data: num_classes"),
        ({"data.max_recordings": 0}, "data.max_recordings"),
        (
            {"decoder.name": "Decoder"},
            "decoder.name=\"WaveNet\".*Received: decoder.name='Decoder'",
        ),
    ],
)
def test_bad_recipes_of_speech(changes, message):
    config = recipes.read_recipe(recipes.find_recipe("vqvae_speech8k"))
    if "decoder.name" in changes:
        config.decoder = recipes.defaults("pictures").decoder
    config.update_from_flattened_dict(changes)
    with pytest.raises(ValueError, match=message):
        recipes.check_recipe(config)


@pytest.mark.parametrize(
    "section, name",
    [
        ("adversary", "LabelAdversary"),
        ("auxiliary", "SpectralDecoder"),
        ("fast_decoder", "SpectralDecoder"),
    ],
)
def test_helpers_are_of_speech(section, name):
    config = small.recipe()
    config[section].update(name=name)
    message = f"of kind speech.*Received: {section}.name='{name}'"
    with pytest.raises(ValueError, match=message):
        recipes.check_recipe(config)


def test_training_of_codes_first_is_of_speech():
    config = small.recipe()
    config.code_training.steps = 3
    with pytest.raises(ValueError, match="code_training.steps=3"):
        recipes.check_recipe(config)


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"data.window": 66}, "multiple of the encoder's stride, 4. Rec.*=66"),
        ({"prior.global_channels": 2}, "not conditioned on .*Received: 2"),
        (
            {"adversary": {"name": "SpectralDecoder", "channels": 4}},
            "adversary.name must be LabelAdversary or None. Received: Spec",
        ),
        ({"adversary.num_classes": 2}, "adversary.num_classes follows"),
        ({"auxiliary.hop": 4}, "auxiliary.hop follows .* Received: .*hop=4"),
        ({"fast_decoder.hop": 4}, "fast_decoder.hop follows .* Rec.*hop=4"),
        ({"auxiliary": {"name": None}}, "code_training.steps=5 without one"),
    ],
)
def test_sections_of_speech_that_do_not_fit(changes, message):
    config = small.speech_recipe()
    recipes.check_recipe(config)
    with config.unlocked():
        config.update_from_flattened_dict(changes)
    with pytest.raises(ValueError, match=message):
        recipes.check_recipe(config)


def test_the_auxiliary_decoder_s_window_can_be_chosen():
    config = small.speech_recipe()
    assert building.make_autoencoder(config).auxiliary.mels.window == 256
    config.auxiliary.window = 128
    assert building.make_autoencoder(config).auxiliary.mels.window == 128
