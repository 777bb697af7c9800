"""The prior of hierarchical codes: a density for each level."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from support import levels
from support.harness import assert_config_round_trip, assert_weights_round_trip
from support.levels import D, K
from vqvae_tf import (
    CodeChain,
    ConditionalDensity,
    LatentGenerator,
    MaskedCodeTransformer,
    PixelCNN,
    UpperCodes,
    VectorQuantizerEMA,
)
from vqvae_tf.runtime import random

ROWS = {"global": np.eye(5, dtype=np.float32)[[1, 4, 1]]}


@pytest.fixture(scope="module")
def model():
    return levels.model(3)


@pytest.fixture(scope="module")
def chain(model):
    return levels.chain(model, num_classes=5)


@pytest.fixture(scope="module")
def codes(model):
    return levels.codes(model)


def test_log_prob_is_the_sum_over_levels(chain, codes):
    top, middle, bottom = chain.densities
    expected = {
        "top": top.log_prob(codes["top"], ROWS),
        "middle": middle.log_prob(
            codes["middle"], {"top": codes["top"], **ROWS}
        ),
        "bottom": bottom.log_prob(codes["bottom"], {**codes, **ROWS}),
    }
    found = chain.log_probs(codes, ROWS)
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, rtol=1e-6)
    total = sum(value.numpy() for value in expected.values())
    np.testing.assert_allclose(chain.log_prob(codes, ROWS), total, rtol=1e-6)
    spec = {k: tf.TensorSpec([None, *v.shape[1:]]) for k, v in codes.items()}
    assert list(spec) == list(chain.by_level())


@pytest.mark.parametrize("changed", ["top", "middle", "bottom"])
def test_levels_depend_on_those_above_alone(chain, codes, changed):
    names = list(codes)
    other = {**codes, changed: (codes[changed] + 1) % K}
    before, after = chain.log_probs(codes, ROWS), chain.log_probs(other, ROWS)
    for name in names[: names.index(changed)]:
        np.testing.assert_array_equal(before[name], after[name])
    for name in names[names.index(changed) :]:
        assert np.all(before[name].numpy() != after[name].numpy())


def test_samples(chain, model):
    drawn = chain.sample(3, ROWS, seed=1)
    for name, value in levels.codes(model).items():
        assert drawn[name].shape == value.shape
    for name, value in chain.sample(3, ROWS, seed=1).items():
        np.testing.assert_array_equal(value, drawn[name])
    graph = tf.function(
        lambda seed: chain.sample(3, ROWS, seed=seed), autograph=False
    )
    for name, value in graph(tf.constant(1)).items():
        np.testing.assert_array_equal(value, drawn[name])
    assert chain.sample(context=ROWS, seed=0)["top"].shape[0] == 3


def test_the_samples_of_a_level_are_of_its_density(chain, codes):
    """Given the codes above, a chain draws as the density itself does."""
    known = {k: np.ones(v.shape, bool) for k, v in codes.items()}
    del known["bottom"]
    given = {name: codes[name] for name in known}
    drawn = chain.sample(
        context=ROWS, given=given, given_mask=known, seed=4, temperature=0.5
    )
    for name, value in given.items():
        np.testing.assert_array_equal(drawn[name], value)
    expected = chain.by_level()["bottom"].sample(
        context={**given, **ROWS},
        seed=random.fold_in(random.make_seed(4), 2),
        temperature=0.5,
    )
    np.testing.assert_array_equal(drawn["bottom"], expected)


def test_completion(chain, codes):
    mask = {k: np.zeros(v.shape, bool) for k, v in codes.items()}
    for value in mask.values():
        value[:, : value.shape[1] // 2] = True
    drawn = chain.sample(context=ROWS, given=codes, given_mask=mask, seed=0)
    for name, value in drawn.items():
        kept = mask[name]
        np.testing.assert_array_equal(value.numpy()[kept], codes[name][kept])


def test_levels_are_fitted_one_by_one():
    """The bottom learns that it repeats the top."""
    model = levels.model()
    chain = levels.chain(model)
    top = np.random.default_rng(0).integers(0, K, [16, 2, 2]).astype(np.int32)
    codes = {"top": top, "bottom": top.repeat(2, 1).repeat(2, 2)}
    bottom = chain.by_level()["bottom"]
    bottom.compile(keras.optimizers.Adam(0.01))
    context = chain.context_of("bottom", codes)
    bottom.fit(codes["bottom"], context, epochs=40, verbose=0)
    own = bottom.log_prob(codes["bottom"], context).numpy().mean()
    other = {"top": codes["top"][::-1]}
    shuffled = bottom.log_prob(codes["bottom"], other).numpy().mean()
    assert own > -16 * np.log(K) / 2 and own > shuffled + 5
    with pytest.raises(RuntimeError, match="fitted and evaluated one by one"):
        chain.compile("sgd")
        chain.fit(codes, verbose=0)


def test_configs_and_weights(chain, model):
    copy = assert_config_round_trip(chain)
    copy.build()
    assert_weights_round_trip(chain, copy)
    frozen = levels.chain(model)
    frozen.densities[1].density.trainable = False
    copy = assert_config_round_trip(frozen)
    assert not copy.densities[1].density.trainable
    assert copy.densities[2].density.trainable


def test_bounds_make_a_bound():
    """A chain's log_prob is exact if that of every level is."""
    chain = levels.chain(levels.model())
    assert chain.exact_log_prob
    masked = MaskedCodeTransformer(K, (2, 2), hidden_channels=16, num_layers=1)
    assert not CodeChain([masked, *chain.densities[1:]]).exact_log_prob


# With an autoencoder ----------------------------------------------------------


def test_bits_of_a_generator():
    """Those of data given codes, and those of the codes' levels."""
    model = levels.model()
    generator = LatentGenerator(model, levels.chain(model))
    x = levels.pictures()
    codes = model.encode(x)
    found = generator.bits_per_dim(x)
    scale = np.log(2) * x[0].size
    np.testing.assert_allclose(
        found["prior"], -generator.prior.log_prob(codes) / scale, rtol=1e-5
    )
    log_px = model.decoder.log_prob(x, {"local": model.local_of(codes)})
    np.testing.assert_allclose(
        found["reconstruction"], -log_px / scale, rtol=1e-5
    )
    generator.compile()
    logs = generator.evaluate(x, verbose=0, return_dict=True)
    np.testing.assert_allclose(
        logs["bits_per_dim"], np.mean(found["total"]), rtol=1e-5
    )


def test_samples_and_completions_of_a_generator():
    model = levels.model()
    generator = LatentGenerator(model, levels.chain(model))
    codes = generator.prior.sample(
        2, seed=tf.constant([0, 0])
    )  # any seed: only the shapes are compared
    assert generator.sample(2, seed=0).shape == generator.decode(codes).shape
    x = levels.pictures()
    mask = np.zeros(x.shape[:3], bool)
    mask[:, :8] = True
    drawn = generator.sample(given=x, given_mask=mask, seed=0)
    np.testing.assert_array_equal(drawn[:, :8], x[:, :8])
    known = model.known_codes(tf.constant(mask))
    # 2x2 and 4x4 codes: the upper rows are those of known data.
    assert np.all(known["top"][:, :1]) and not np.any(known["top"][:, 1:])
    assert np.all(known["bottom"][:, :2]) and not np.any(known["bottom"][:, 2:])


def test_a_generator_needs_a_chain_of_its_codes():
    model = levels.model()
    with pytest.raises(ValueError, match="must be a CodeChain.*top, bottom"):
        LatentGenerator(model, levels.chain(model).densities[0])
    with pytest.raises(ValueError, match="with 3 levels"):
        LatentGenerator(model, levels.chain(levels.model(3)))
    other = [VectorQuantizerEMA(K, D), VectorQuantizerEMA(K + 1, D)]
    chain = levels.chain(levels.model(quantizers=other))
    with pytest.raises(ValueError, match="The prior of bottom .*=8. Received"):
        LatentGenerator(model, chain)


# Bad input --------------------------------------------------------------------


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda codes: codes["top"], "a dict by level"),
        (lambda codes: {"top": codes["top"]}, "no middle, bottom"),
        (lambda codes: {**codes, "base": codes["top"]}, "levels top, .*base"),
        (lambda codes: {**codes, "middle": codes["middle"] + K}, "Codes must"),
    ],
)
def test_codes_that_do_not_fit(chain, codes, change, message):
    with pytest.raises(ValueError, match=message):
        chain.log_prob(change(codes), ROWS)


def test_masks_by_level(chain, codes):
    mask = {k: np.ones(v.shape, np.float32) for k, v in codes.items()}
    mask["bottom"][:, 2:] = 0
    found = chain.log_probs(codes, ROWS, mask)
    whole = chain.log_probs(codes, ROWS)
    np.testing.assert_array_equal(found["top"], whole["top"])
    own = chain.by_level()["bottom"]
    context = {**codes, **ROWS}
    expected = own.log_prob(codes["bottom"], context, mask["bottom"])
    np.testing.assert_array_equal(found["bottom"], expected)
    assert np.all(found["bottom"].numpy() > whole["bottom"].numpy())


def test_grids_are_given_by_level(chain):
    with pytest.raises(ValueError, match="event_shape must be a dict by level"):
        chain.sample(1, event_shape=(2, 2))


def test_contexts_of_other_codes():
    model = levels.model()
    chain = levels.chain(model)
    network = UpperCodes(("top",), [K + 1], [2], hidden_channels=levels.HIDDEN)
    bottom = ConditionalDensity(network, chain.densities[1].density)
    with pytest.raises(ValueError, match=r"must have num_embeddings=\[8\]"):
        LatentGenerator(model, CodeChain([chain.densities[0], bottom]))


def test_classes_of_all_levels_are_the_same():
    densities = [
        PixelCNN(K, (2, 2), hidden_channels=8, num_layers=1, global_channels=n)
        for n in (3, 4)
    ]
    with pytest.raises(ValueError, match=r"the same classes.*\[3, 4\]"):
        CodeChain(densities)


def test_densities_that_do_not_fit():
    density = PixelCNN(K, (2, 2), hidden_channels=8, num_layers=1)
    with pytest.raises(ValueError, match="two or more densities.*Received: 1"):
        CodeChain([density])
    with pytest.raises(ValueError, match="must be a density of codes"):
        CodeChain([density, levels.encoder(1)])
