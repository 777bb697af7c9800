"""Recipes with any quantizer: its prior, its summary, its preset."""

import numpy as np
import pytest

from support import small
from vqvae_tf import LatentGenerator, recipes, tasks
from vqvae_tf.quantizers import (
    BSQ,
    FSQ,
    LFQ,
    GroupedQuantizer,
    Orthogonality,
    RandomProjectionQuantizer,
    ResidualQuantizer,
    SimVQ,
    VectorQuantizer,
    VectorQuantizerEMA,
)
from vqvae_tf.recipes import building
from vqvae_tf.tasks import run

_EMA = dict(name="VectorQuantizerEMA", num_embeddings=8, embedding_dim=4)
# Of each its class, its options in a recipe, its channels, K and G.
QUANTIZERS = [
    (FSQ, dict(levels=(4, 3, 3)), 3, 36, 1),
    (LFQ, dict(num_bits=5), 5, 32, 1),
    (BSQ, dict(num_bits=5), 5, 32, 1),
    (SimVQ, dict(num_embeddings=8, embedding_dim=4), 4, 8, 1),
    (
        RandomProjectionQuantizer,
        dict(num_embeddings=8, channels=5, num_codebooks=2),
        5,
        8,
        2,
    ),
    (
        VectorQuantizerEMA,
        dict(
            num_embeddings=8,
            embedding_dim=4,
            accumulation_steps=2,
            restart_below=0.5,
        ),
        4,
        8,
        1,
    ),
    (ResidualQuantizer, dict(stages=_EMA, num_quantizers=3), 4, 8, 3),
    (
        ResidualQuantizer,
        dict(stages=_EMA, num_quantizers=3, shared=True),
        4,
        8,
        3,
    ),
    (
        GroupedQuantizer,
        dict(
            quantizers=dict(
                name="ResidualQuantizer", stages=_EMA, num_quantizers=2
            ),
            num_groups=2,
        ),
        8,
        8,
        4,
    ),
]


def recipe(cls, options, channels):
    config = small.recipe()
    config.quantizer = recipes.defaults().quantizer
    config.quantizer.update(name=cls.__name__, **options)
    config.encoder.output_channels = channels
    return recipes.check_recipe(config)


@pytest.mark.parametrize("cls, options, channels, values, codes", QUANTIZERS)
def test_models_priors_and_presets(
    cls, options, channels, values, codes, tmp_path
):
    config = recipe(cls, options, channels)
    autoencoder = building.make_autoencoder(config)
    assert type(autoencoder.quantizer) is cls
    prior = building.make_prior(config)
    assert (prior.num_embeddings, prior.num_codebooks) == (values, codes)
    assert f"K={values} codes" in tasks.of(config).summary(config, True)
    generator = LatentGenerator(autoencoder, prior)
    generator.build()
    generator.save_to_preset(tmp_path / "preset")
    loaded = LatentGenerator.from_preset(tmp_path / "preset")
    x = small.pictures(2)
    np.testing.assert_array_equal(
        loaded.autoencoder.encode(x), autoencoder.encode(x)
    )
    np.testing.assert_array_equal(
        loaded.sample(1, seed=0), generator.sample(1, seed=0)
    )


def test_stages_are_made_of_a_section():
    options = dict(stages=_EMA, num_quantizers=3)
    config = recipe(ResidualQuantizer, options, 4)
    for _ in range(2):  # the recipe itself is not changed
        quantizer = building.make(config, "quantizer")
        assert len(quantizer.stages) == 3
        assert type(quantizer.stages[2]) is VectorQuantizerEMA
    assert recipes.to_json(config) == recipes.to_json(config)


def test_options_that_are_objects_are_sections():
    options = dict(
        num_embeddings=8,
        embedding_dim=4,
        initialization=dict(name="KMeans", iterations=3),
        regularizers=[
            dict(name="Diversity", weight=0.2),
            dict(name="Orthogonality"),
        ],
        sampling=dict(name="GumbelSoftmax", relaxation=0.5),
    )
    config = recipe(VectorQuantizer, options, 4)
    assert recipes.to_json(recipes.check_recipe(config)) == recipes.to_json(
        config
    )
    quantizer = building.make_autoencoder(config).quantizer
    assert quantizer.initialization.iterations == 3
    diversity, orthogonality = quantizer.regularizers
    assert (diversity.weight, orthogonality.weight) == (0.2, 10.0)
    assert type(orthogonality) is Orthogonality
    assert quantizer.sampling.relaxation == 0.5


def test_that_stages_are_shared_is_true_or_false():
    options = dict(stages=_EMA, num_quantizers=3, shared="yes")
    message = "quantizer.shared must be True or False. Received: .*'yes'"
    with pytest.raises(ValueError, match=message):
        recipe(ResidualQuantizer, options, 4)


def test_a_stage_that_cannot_be_made():
    config = small.recipe()
    config.quantizer = recipes.defaults().quantizer
    config.quantizer.update(
        name="ResidualQuantizer", stages=dict(name="LFQ"), num_quantizers=2
    )
    with pytest.raises(ValueError, match="lacks num_bits, which LFQ needs"):
        building.make(config, "quantizer")


def test_a_list_of_stages_of_several_sizes_is_trained(tmp_path):
    """With its prior, from data to a preset and a card."""
    small.write_data(tmp_path)
    stages = [dict(_EMA, num_embeddings=size) for size in (8, 4, 6)]
    config = recipe(ResidualQuantizer, dict(stages=stages), 4)
    assert recipes.to_json(recipes.check_recipe(config)) == recipes.to_json(
        config
    )
    work = tmp_path / "work"
    model = run.train(config, work, str(tmp_path))
    assert model.autoencoder.quantizer.num_codes == (8, 4, 6)
    assert model.prior.num_codes == (8, 4, 6)
    with np.load(work / "codes.npz") as arrays:
        codes = arrays["codes"]
    assert codes.shape == (8, 4, 4, 3) and np.all(codes < (8, 4, 6))
    assert model.sample(2, seed=0).shape == (2, small.SIZE, small.SIZE, 3)
    assert "K=8, 4 and 6 codes" in tasks.of(config).summary(config, True)
    # The same recipe continues, and one of other sizes is refused.
    again = run.train(config, work, str(tmp_path))
    for a, b in zip(model.weights, again.weights, strict=True):
        np.testing.assert_array_equal(a, b)
    config.quantizer.stages = [
        dict(stage, num_embeddings=8) for stage in stages
    ]
    with pytest.raises(ValueError, match="quantizer"):
        run.train(config, work, str(tmp_path))


def test_an_item_of_a_list_that_cannot_be_made():
    config = small.recipe()
    config.quantizer = recipes.defaults().quantizer
    config.quantizer.update(name="ResidualQuantizer", stages=[dict(name="LFQ")])
    with pytest.raises(ValueError, match="lacks num_bits, which LFQ needs"):
        building.make(config, "quantizer")
