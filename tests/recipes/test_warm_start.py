"""Training from the weights of a preset."""

import numpy as np
import pytest

from support import small
from vqvae_tf import recipes
from vqvae_tf.models import LatentGenerator
from vqvae_tf.recipes import building
from vqvae_tf.tasks import card as cards


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A generator with weights that no other has, and its preset."""
    config = small.recipe()
    parts = building.make_autoencoder(config), building.make_prior(config)
    model = LatentGenerator(*parts)
    rng = np.random.default_rng(5)
    for part in parts:
        shapes = [w.shape for w in part.get_weights()]
        part.set_weights([rng.normal(size=shape) for shape in shapes])
    folder = tmp_path_factory.mktemp("zoo") / "preset"
    model.save_to_preset(folder)
    return model, folder


def changed(folder, **values):
    config = small.recipe()
    config.start = str(folder)
    for key, value in values.items():
        config[key].update(value)
    return recipes.check_recipe(config)


def taken(part, source):
    pairs = zip(part.get_weights(), source.get_weights(), strict=True)
    return [np.array_equal(*pair) for pair in pairs]


def test_both_stages_start_where_the_preset_ended(model):
    model, folder = model
    config = changed(folder)
    found = building.make_autoencoder(config)
    assert all(taken(found, model.autoencoder))
    assert all(taken(building.make_prior(config), model.prior))
    fresh = building.make_autoencoder(small.recipe())
    assert not all(taken(fresh, model.autoencoder))
    text = cards.card(config, {"examples": 1}, "6 steps")
    assert f"from the weights of {folder}" in text


def test_what_has_another_shape_starts_anew(model):
    model, folder = model
    config = changed(folder, likelihood={"name": "Categorical"})
    found = building.make_autoencoder(config)
    assert all(taken(found.encoder, model.autoencoder.encoder))
    assert all(taken(found.quantizer, model.autoencoder.quantizer))
    kept = taken(found.decoder.network, model.autoencoder.decoder.network)
    assert any(kept) and not all(kept)


def test_a_preset_of_one_stage_leaves_the_prior(model, tmp_path):
    model, _ = model
    model.autoencoder.save_to_preset(tmp_path / "preset")
    config = changed(tmp_path / "preset")
    assert all(taken(building.make_autoencoder(config), model.autoencoder))
    assert not all(taken(building.make_prior(config), model.prior))


def test_a_preset_of_which_nothing_fits_is_refused(model):
    narrow = {"hidden_channels": 4, "residual_channels": 4}
    config = changed(
        model[1],
        encoder={**narrow, "output_channels": 2},
        decoder=narrow,
        quantizer={"num_embeddings": 4, "embedding_dim": 2},
        likelihood={"name": "Categorical"},
    )
    with pytest.raises(ValueError, match="preset's autoencoder has the shape"):
        building.make_autoencoder(config)
