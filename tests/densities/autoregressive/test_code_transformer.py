"""The Transformer over codes: causality, log_prob, sampling, saving."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from support import densities_harness as harness
from support.densities_harness import CONDITIONAL
from support.naive_sampling import NaiveSampler
from vqvae_tf.densities.autoregressive.code_transformer import CodeTransformer

GRID = (4, 6)
POSITIONS = ["rotary", "learned"]


def small(num_embeddings=5, num_codebooks=1, scale=0.2, **options):
    keras.utils.set_random_seed(7)
    sizes = dict(
        event_shape=GRID,
        hidden_channels=16,
        num_layers=2,
        num_heads=2,
        head_channels=16,
    )
    density = CodeTransformer(
        num_embeddings, num_codebooks=num_codebooks, **{**sizes, **options}
    )
    return harness.perturbed(density, scale)


@pytest.mark.parametrize("positions", POSITIONS)
@pytest.mark.parametrize("num_codebooks", [1, 3])
def test_sees_exactly_the_past(num_codebooks, positions):
    harness.check_sees_all_of_the_past(
        small(num_codebooks=num_codebooks, positions=positions)
    )


@pytest.mark.parametrize(
    "num_codebooks, positions, jit_compile",
    [(1, "rotary", True), (3, "rotary", False), (1, "learned", False)],
)
def test_cached_logits_equal_naive_ones(num_codebooks, positions, jit_compile):
    density = small(
        num_codebooks=num_codebooks, positions=positions, **CONDITIONAL
    )
    # The learned places of a smaller grid are those of the first rows.
    grid = GRID if num_codebooks == 1 else (6, 10)
    harness.check_cached_equals_naive(density, grid, jit_compile)


@pytest.mark.parametrize(
    "num_embeddings, num_codebooks, grid", [(3, 1, (2, 2)), (2, 2, (1, 3))]
)
def test_probabilities_sum_to_one(num_embeddings, num_codebooks, grid):
    density = small(num_embeddings, num_codebooks, global_channels=2)
    harness.check_probabilities_sum_to_one(density, grid)


def test_codebooks_of_different_sizes():
    density = small([4, 2], 2)
    codes = density.sample(8, seed=0).numpy()
    assert codes[..., 0].max() == 3 and codes[..., 1].max() == 1
    logits = density.logits(codes).numpy()
    assert np.all(logits[..., 1, 2:] == -1e38)


def test_samples_equal_those_of_a_forward_pass_each():
    density = small(6, 2, **CONDITIONAL)
    harness.check_sampling(density, NaiveSampler)


@pytest.mark.parametrize(
    "options",
    [
        dict(num_codebooks=2, **CONDITIONAL),
        pytest.param(dict(positions="learned"), marks=pytest.mark.slow),
    ],
)
def test_harness(options):
    harness.check_contract(small, **options)


@pytest.mark.slow
def test_two_replicas_train_as_one_device():
    harness.check_replicas(small)


def test_exported_sampler(tmp_path):
    density = small(num_codebooks=2, **CONDITIONAL)
    harness.check_exported_sampler(density, tmp_path)


def test_learned_positions_are_of_the_grid_or_of_smaller_ones():
    density = small(positions="learned")
    assert density.sample(event_shape=(3, 2)).shape == (1, 3, 2)
    with pytest.raises(
        (ValueError, tf.errors.InvalidArgumentError), match="Learned positions"
    ):
        density.log_prob(np.zeros([1, 5, 6], np.int32))


def test_a_share_of_the_codes_is_random_in_training():
    density = small(code_corruption=0.3)
    size = density.num_embeddings
    codes = np.zeros([50, 20, 20, 1], np.int32)
    seen = density._corrupted(tf.constant(codes)).numpy()
    counts = np.bincount(seen.ravel(), minlength=size) / seen.size
    # One of the random codes is the right one.
    expected = np.full(size, 0.3 / size)
    expected[0] += 0.7
    assert np.abs(counts - expected).max() < 4 * (0.25 / seen.size) ** 0.5
    # The likelihood is still that of the codes themselves.
    x = np.zeros([2, *density.event_shape], np.int32)
    plain = small()
    plain.set_weights(density.get_weights()[: len(plain.weights)])
    np.testing.assert_array_equal(density.log_prob(x), plain.log_prob(x))
    density.compile("sgd")
    assert np.isfinite(density.fit(x, verbose=0).history["loss"][0])
    with pytest.raises(ValueError, match="code_corruption"):
        small(code_corruption=1.0)


@pytest.mark.parametrize(
    "options, message",
    [
        (dict(positions="sine"), "positions must be one of rotary, learned"),
        (dict(num_heads=3), "must be a multiple of num_heads"),
        (dict(hidden_channels=12), "of four times num_heads"),
        (dict(num_layers=0), "num_layers must be a positive"),
        (dict(mlp_channels=-1), "mlp_channels must be a positive"),
        (dict(local_upsampling=2), "local_upsampling needs local_channels"),
    ],
)
def test_errors(options, message):
    with pytest.raises(ValueError, match=message):
        small(**options)
