"""The masked Transformer: its bound, what it sees, parallel samples."""

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf

from support import densities_harness as harness
from support.densities_harness import CONDITIONAL, dependence
from vqvae_tf.densities.autoregressive.masked_code_transformer import (
    MaskedCodeTransformer,
)
from vqvae_tf.runtime.adam import Adam

GRID = (4, 6)


def small(num_embeddings=5, num_codebooks=1, scale=0.2, **options):
    keras.utils.set_random_seed(7)
    sizes = dict(
        event_shape=GRID,
        hidden_channels=16,
        num_layers=2,
        num_heads=2,
        head_channels=16,
        num_passes=4,
        bound_draws=2,
    )
    density = MaskedCodeTransformer(
        num_embeddings, num_codebooks=num_codebooks, **{**sizes, **options}
    )
    return harness.perturbed(density, scale)


# What it sees -----------------------------------------------------------------


@pytest.mark.parametrize("positions", ["rotary", "learned"])
def test_each_position_sees_all_known_codes_and_no_other(positions):
    density = small(positions=positions, scale=0.1)
    known = np.random.default_rng(0).integers(0, 2, [1, *GRID]).astype(bool)
    embedded = density.embed(np.zeros([1, *GRID, 1], np.int32))

    def function(embedded):
        features = density.features(embedded, None, None, None, known)
        return tf.reshape(features[..., 0], [-1])

    result = dependence(function, embedded)
    expected = np.broadcast_to(known.reshape(1, -1), result.shape)
    np.testing.assert_array_equal(result, expected)


@pytest.mark.parametrize("positions", ["rotary", "learned"])
def test_places_are_told_apart_where_all_is_hidden(positions):
    """Relative positions alone would make all of them alike."""
    density = small(positions=positions)
    logits = density.logits(np.zeros([1, *GRID], np.int32)).numpy()
    flat = logits.reshape(-1, 5)
    apart = np.abs(flat[:, None] - flat).max(-1) > 1e-3
    np.testing.assert_array_equal(apart, ~np.eye(len(flat), dtype=bool))


def test_codebooks_of_a_position_see_those_before_them():
    density = small(num_codebooks=3)
    codes = harness.random_codes(density, 2)
    before = density.logits(codes).numpy()
    codes[..., 1] = (codes[..., 1] + 1) % 5
    changed = np.abs(density.logits(codes) - before).max(axis=(0, 1, 2, 4))
    np.testing.assert_array_equal(changed > 1e-4, [False, False, True])


# The bound --------------------------------------------------------------------


def by_orders(density, codes):
    """The mean over orders of log p of a grid's codes, one by one."""
    flat = codes.reshape(-1)
    orders = list(itertools.permutations(range(len(flat))))
    terms = {}
    for hidden in itertools.product([False, True], repeat=len(flat)):
        known = ~np.array(hidden).reshape(1, *codes.shape)
        logits = density.logits(codes[None], known=known).numpy()
        logits = logits.reshape(len(flat), -1).astype(np.float64)
        normal = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
        terms[hidden] = normal[np.arange(len(flat)), flat]
    total = 0.0
    for order in orders:
        hidden = np.ones(len(flat), bool)
        for position in order:
            total += terms[tuple(hidden)][position]
            hidden[position] = False
    return total / len(orders)


def test_log_prob_estimates_the_mean_over_all_orders():
    """Of 27 grids of 3 codes, each with noise of its own."""
    density = small(3, event_shape=(1, 3), bound_draws=60, scale=0.3)
    every = np.array(list(itertools.product([0, 1, 2], repeat=3)), np.int32)
    every = every.reshape(-1, 1, 3)
    expected = [by_orders(density, codes) for codes in every]
    found = density.log_prob(every).numpy()
    np.testing.assert_allclose(found.mean(), np.mean(expected), rtol=0.02)
    assert np.corrcoef(found, expected)[0, 1] > 0.95


def test_an_example_has_one_value_wherever_it_is():
    density = small(num_codebooks=2)
    codes = harness.random_codes(density, 4)
    found = density.log_prob(codes).numpy()
    assert len(set(found.round(3))) == 4
    again = density.log_prob(codes[::-1]).numpy()[::-1]
    np.testing.assert_allclose(again, found, rtol=1e-5)
    alone = [density.log_prob(row[None])[0] for row in codes]
    np.testing.assert_allclose(alone, found, rtol=1e-5)


def test_absent_positions_are_never_shown_and_do_not_count():
    density = small(bound_draws=3)
    codes = harness.random_codes(density, 4)
    mask = np.random.default_rng(1).integers(0, 2, [4, *GRID])
    mask[3] = 0  # nothing is there
    found = density.log_prob(codes, mask=mask).numpy()
    other = np.where(mask, codes, 4 - codes)
    np.testing.assert_allclose(density.log_prob(other, mask=mask), found)
    assert np.all(found[:3] < 0) and found[3] == 0
    weight = mask.astype(np.float32)
    keras.utils.set_random_seed(1)
    loss, _, metrics = density.compute_losses(codes, None, weight, True)
    assert np.all(np.isfinite(loss)) and loss[3] == 0
    assert metrics["bits_per_dim"][3] == 0
    # An example of one position: it is always hidden.
    one = np.zeros([1, *GRID], np.float32)
    one[0, 2, 3] = 1
    logits = density.logits(codes[:1]).numpy()[0, 2, 3].astype(np.float64)
    expected = logits[codes[0, 2, 3]] - np.log(np.exp(logits).sum())
    np.testing.assert_allclose(
        density.log_prob(codes[:1], mask=one), [expected], rtol=1e-5
    )


def test_training_has_new_noise_and_dropout_at_each_step():
    density = small(dropout=0.5)
    codes = harness.random_codes(density, 4)
    losses = [density.compute_losses(codes, training=True)[0] for _ in "ab"]
    assert np.all(losses[0] != losses[1])
    bounds = [density.log_prob(codes, training=True) for _ in "ab"]
    assert np.all(bounds[0] != bounds[1])
    first, second = (density.logits(codes, training=True) for _ in "ab")
    assert np.any(first != second)


def test_the_bound_is_below_the_probability():
    """Probabilities that it bounds sum to at most 1."""
    density = small(2, event_shape=(1, 3), scale=0.3)
    every = np.array(list(itertools.product([0, 1], repeat=3)), np.int32)
    bounds = [by_orders(density, codes.reshape(1, 3)) for codes in every]
    assert 0.5 < np.exp(bounds).sum() < 1


def test_bits_of_training_steps_estimate_the_same_bound():
    density = small(3, event_shape=(2, 2), label_smoothing=0.3, scale=0.3)
    codes = np.array([[2, 0], [1, 1]], np.int32)
    many = np.repeat(codes[None], 20_000, axis=0)
    _, _, metrics = density.compute_losses(many, training=True)
    expected = -by_orders(density, codes) / 4 / np.log(2)
    np.testing.assert_allclose(
        np.mean(metrics["bits_per_dim"]), expected, rtol=0.02
    )


def test_the_loss_is_the_smoothed_cross_entropy_of_hidden_codes():
    """With one position, which is always hidden."""
    density = small([4, 2], 2, event_shape=(1, 1), label_smoothing=0.2)
    codes = np.array([[[[3, 1]]]], np.int32)
    loss, _, metrics = density.compute_losses(codes, training=True)
    logits = density.logits(codes).numpy()[0, 0, 0].astype(np.float64)
    expected, plain = 0.0, 0.0
    for code, row, size in ((3, logits[0], 4), (1, logits[1], 2)):
        log_p = row[:size] - np.log(np.exp(row[:size]).sum())
        plain -= log_p[code] / 2
        expected -= (0.8 * log_p[code] + 0.2 * log_p.mean()) / 2
    np.testing.assert_allclose(loss, [expected], rtol=1e-5)
    bits = metrics["bits_per_dim"]
    np.testing.assert_allclose(bits, [plain / np.log(2)], rtol=1e-5)


# Samples ----------------------------------------------------------------------


def test_one_pass_draws_each_code_by_itself():
    density = small(3, event_shape=(1, 2), num_passes=1)
    logits = density.logits(np.zeros([1, 1, 2], np.int32))
    expected = tf.nn.softmax(logits)[0, 0].numpy()
    drawn = density.sample(20_000, seed=0).numpy()[:, 0]
    for position in range(2):
        shares = np.bincount(drawn[:, position], minlength=3) / len(drawn)
        np.testing.assert_allclose(shares, expected[position], atol=0.015)


def test_as_many_passes_as_codes_reveal_one_at_a_time():
    """Greedily: the most certain code first, given those before it."""
    density = small(num_passes=6, event_shape=(2, 3), scale=0.3)
    found = density.sample(temperature=0.0).numpy()[0]
    codes, known = np.zeros([1, 2, 3], np.int32), np.zeros([1, 2, 3], bool)
    for left in [5, 4, 3, 2, 1, 0]:
        logits = density.logits(codes, known=known).numpy()[0]
        best = logits.argmax(-1)
        log_p = np.max(tf.nn.log_softmax(logits), axis=-1)
        log_p[known[0]] = np.inf
        codes[0] = np.where(known[0], codes[0], best)
        # The plan leaves floor(6 cos) hidden, but one fewer each time.
        again = np.argsort(log_p.reshape(-1), kind="stable")[:left]
        known = np.ones([6], bool)
        known[again] = False
        known = known.reshape(1, 2, 3)
    np.testing.assert_array_equal(found, codes[0])


@pytest.mark.parametrize("num_codebooks", [1, 3])
def test_any_region_is_completed(num_codebooks):
    density = small(num_codebooks=num_codebooks)
    given = harness.random_codes(density, 2)
    keep = np.random.default_rng(0).integers(0, 2, [2, *GRID]).astype(bool)
    keep[1] = True  # nothing is left to draw
    drawn = density.sample(given=given, given_mask=keep, seed=1).numpy()
    np.testing.assert_array_equal(drawn[keep], given[keep])
    other = density.sample(given=given, given_mask=keep, seed=2).numpy()
    assert np.any(drawn[0] != other[0])
    free = density.sample(2, seed=1).numpy()
    nothing = np.zeros_like(keep)
    drawn = density.sample(given=given, given_mask=nothing, seed=1)
    np.testing.assert_array_equal(drawn, free)


def test_passes_can_be_changed_between_calls():
    density = small(num_passes=1)
    first = density.sample(2, seed=0)
    density.num_passes = 4
    second = density.sample(2, seed=0)
    assert np.any(first != second)
    expected = small(num_passes=4).sample(2, seed=0)
    np.testing.assert_array_equal(second, expected)


def test_samples_stay_in_each_codebook():
    density = small([4, 2], 2)
    codes = density.sample(16, seed=0, top_p=0.99).numpy()
    assert codes[..., 0].max() == 3 and codes[..., 1].max() == 1
    only = density.sample(2, seed=0, top_k=1)
    assert only.shape == (2, *GRID, 2)


def test_samples_do_not_depend_on_the_batch():
    density = small(**CONDITIONAL)
    context = harness.random_context(density, 3)
    three = density.sample(context=context, seed=3).numpy()
    first = {name: entry[:1] for name, entry in context.items()}
    one = density.sample(context=first, seed=3)
    np.testing.assert_array_equal(three[:1], one)


def test_learns_codes_that_are_a_function_of_the_class():
    keras.utils.set_random_seed(0)
    density = MaskedCodeTransformer(
        6,
        (3, 3),
        hidden_channels=32,
        num_layers=2,
        num_heads=2,
        head_channels=32,
        global_channels=3,
        num_passes=3,
        label_smoothing=0.0,
    )
    density.compile(Adam(3e-3))
    label = np.arange(96) % 3
    codes = (label[:, None, None] + np.arange(3)[:, None] + np.arange(3)) % 6
    context = {"global": np.eye(3, dtype=np.float32)[label]}
    batches = (codes.astype(np.int32), context)
    density.fit(*batches, batch_size=32, epochs=40, verbose=0)
    figures = density.evaluate(*batches, verbose=0, return_dict=True)
    assert figures["bits_per_dim"] < 0.6  # of log2 6 = 2.6
    drawn = density.sample(context=context, seed=0, temperature=0.5)
    assert np.mean(drawn == codes) > 0.95


# The interface ----------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [
        dict(num_codebooks=2, **CONDITIONAL),
        pytest.param(dict(positions="learned"), marks=pytest.mark.slow),
    ],
)
def test_harness(options):
    harness.check_contract(small, maskable=False, **options)


@pytest.mark.slow
def test_two_replicas_train_as_one_device():
    harness.check_replicas(small)


@pytest.mark.slow  # the causal Transformer's test shows what they share
def test_exported_sampler(tmp_path):
    density = small(num_codebooks=2, **CONDITIONAL)
    harness.check_exported_sampler(density, tmp_path, [(4, 4)])


@pytest.mark.parametrize(
    "options, message",
    [
        (dict(num_passes=0), "num_passes must be a positive"),
        (dict(confidence_noise=-1.0), "confidence_noise must be"),
        (dict(label_smoothing=1.0), "label_smoothing must be a rate"),
        (dict(bound_draws=0), "bound_draws must be a positive"),
        (dict(num_heads=3), "must be a multiple of num_heads"),
    ],
)
def test_errors(options, message):
    with pytest.raises(ValueError, match=message):
        small(**options)


@pytest.mark.parametrize("shape", [(2, 4, 1), (1, 6, 4), (3, 4, 6)])
@pytest.mark.parametrize("name", ["known", "mask"])
def test_masks_of_other_shapes_are_refused(name, shape):
    density = small()
    codes = np.zeros([2, *GRID], np.int32)
    method = density.logits if name == "known" else density.log_prob
    with pytest.raises(ValueError, match=name):
        method(codes, **{name: np.ones(shape, bool)})
    method(codes, **{name: np.ones([1, *GRID], bool)})
