"""Figures of a second stage, from the definitions."""

import math

import keras
import numpy as np
import pytest

from support import small
from vqvae_tf.evaluation import (
    statistics,
    two_levels as code_evaluation,
)

LN2 = math.log(2)


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(0)
    return small.two_levels()


@pytest.fixture(scope="module")
def above(model):
    return model.prior.autoencoder


def code_maps(count):
    rng = np.random.default_rng(0)
    return rng.integers(0, 8, [count, 4, 4], dtype=np.int32)


def some_latents(count):
    rng = np.random.default_rng(1)
    return rng.integers(0, 8, [count, 1, 1, 3], dtype=np.int32)


def bits_by_hand(above, codes, latents):
    local = above.quantizer.decode(latents)
    log_prob = above.decoder.log_prob(codes, {"local": local})
    return -log_prob.numpy().astype(np.float64) / LN2


def test_map_bits(above):
    # More than the 64 of a batch.
    codes, latents = code_maps(70), some_latents(70)
    received = code_evaluation.MapBits(above)(codes, latents)
    assert received.shape == (70,) and received.dtype == np.float64
    expected = bits_by_hand(above, codes, latents)
    np.testing.assert_allclose(received, expected, rtol=1e-5)
    assert np.all(received > 0)


def test_infonce_is_that_of_the_full_matrix():
    above = small.two_levels().prior.autoencoder
    # So that latents make a difference.
    table = above.quantizer.embeddings
    table.assign(20 * table)
    rng = np.random.default_rng(0)
    for v in above.decoder.trainable_variables:
        v.assign(v + 0.3 * rng.normal(size=v.shape))
    n = 18
    latents = some_latents(n)
    local = above.quantizer.decode(latents)
    codes = above.decoder.sample(context={"local": local}, seed=0).numpy()
    i, j = np.indices([n, n]).reshape(2, -1)
    log_p = -LN2 * bits_by_hand(above, codes[i], latents[j]).reshape(n, n)

    def bound(part, t):
        part = part / t
        mean = np.logaddexp.reduce(part, axis=1) - np.log(len(part))
        return np.mean(np.diag(part) - mean) / LN2

    odd, even = log_p[1::2, 1::2], log_p[::2, ::2]
    powers = [2.0**k for k in range(10)]
    of_odd, of_even = (
        powers[np.argmax([bound(part, t) for t in powers])]
        for part in (odd, even)
    )
    expected = (bound(odd, of_even) + bound(even, of_odd)) / 2
    bits = code_evaluation.MapBits(above)
    received = code_evaluation.infonce(bits, codes, latents, progress=False)
    np.testing.assert_allclose(received, expected, rtol=1e-4)
    assert 0.05 < received < math.log2(n / 2)
    # A decoder that ignores its latents knows nothing of them.
    table.assign(0 * table)
    received = code_evaluation.infonce(bits, codes, latents, progress=False)
    assert abs(received) < 1e-4


def test_infonce_of_latents_that_say_all():
    """log2 of half of n, where each map is surely given its own latents."""

    def bits(codes, latents):
        return 1000.0 * (codes[:, 0, 0] != latents[:, 0, 0, 0])

    codes = np.arange(16).reshape(16, 1, 1)
    own = codes[..., None]
    received = code_evaluation.infonce(bits, codes, own, progress=False)
    assert received == pytest.approx(3)
    other = np.roll(own, 2, axis=0)
    # The higher the temperature, the less it matters to be wrong.
    wrong = code_evaluation.infonce(bits, codes, other, progress=False)
    score = -1000 * LN2 / 512
    expected = score - np.log((1 + 7 * np.exp(score)) / 8)
    assert wrong == pytest.approx(expected / LN2)


def test_usage(above):
    codes = code_maps(40)
    latents = above.encode(codes).numpy()
    expected = [len(set(latents[:, 0, 0, g])) / 8 for g in range(3)]
    received = code_evaluation.usage(above, codes)
    np.testing.assert_array_equal(received, expected)
    assert 1 / 8 < received.mean() < 1  # neither collapsed nor trivial
    one = code_evaluation.usage(above, codes[:1])
    np.testing.assert_array_equal(one, [1 / 8] * 3)


def test_evaluate(model, above):
    frames = small.pictures(8)
    figures = code_evaluation.evaluate(model, frames, progress=False)
    codes = model.encode(frames).numpy()
    latents = above.encode(codes).numpy()
    given = bits_by_hand(above, codes, latents).mean()
    prior = -model.prior.prior.log_prob(latents).numpy().mean() / LN2
    # Each with the latents of the frame 4 later (or, of 8, earlier).
    swapped = bits_by_hand(above, codes, latents[[4, 5, 6, 7, 0, 1, 2, 3]])
    bits = code_evaluation.MapBits(above)
    drawn = above.decoder.sample(
        context={"local": above.quantizer.decode(latents)}, seed=0
    )
    error = model.decode(drawn).numpy().astype(float) - frames
    expected = {
        "examples": 8,
        "map_bits": given,
        "map_bits_swapped": swapped.mean(),
        "global_prior_bits": prior,
        "two_level_bits": given + prior,
        "infonce_bits": code_evaluation.infonce(bits, codes, latents, False),
        "global_psnr": statistics.psnr(np.mean(error**2)),
    }
    assert set(figures) == set(expected)
    for name, value in expected.items():
        assert figures[name] == pytest.approx(value, rel=1e-4), name
    both = -model.prior.log_prob(codes).numpy().mean() / LN2
    assert figures["two_level_bits"] == pytest.approx(both, rel=1e-5)
