"""TD-VAE where all distributions are linear and normal, so all is known."""

import numpy as np
import pytest
import tensorflow as tf

from support.sequences import Kalman, log_normal, set_linear

KALMAN = Kalman()


@pytest.fixture(scope="module")
def x():
    return np.random.default_rng(0).normal(size=[5, 4]).astype(np.float32)


def wrong(model):
    """Gives the smoothing distribution another mean and variance."""
    set_linear(model.smoothing, [0.5, 0.3, 0.1], 0.3)
    return model


def test_beliefs_are_the_filters_means(x):
    found = KALMAN.model().belief(x[..., None])
    np.testing.assert_allclose(found[..., 0], KALMAN.means(x), atol=2e-5)


@pytest.mark.parametrize("change", [lambda m: m, wrong])
def test_terms_of_the_objective(change, x):
    model = change(KALMAN.model())
    x = x[:, :2]  # one pair of times
    _, _, metrics = model.compute_losses(x[..., None])
    noise = model.rows_noise(5, 5)
    eps2, eps1 = tf.math.ndtri(noise[:, 3:]).numpy().T
    b1, b2 = KALMAN.means(x).T
    z2 = b2 + np.sqrt(KALMAN.p) * eps2
    if change is wrong:
        mean, variance = 0.5 * b1 + 0.3 * b2 + 0.1 * z2, 0.3
    else:
        of_b1, of_z2, variance = KALMAN.smoothing()
        mean = of_b1 * b1 + of_z2 * z2
    z1 = mean + np.sqrt(variance) * eps1
    ratio = variance / KALMAN.p
    expected = {
        "log_px": log_normal(x[:, 1], z2, KALMAN.r**2),
        "smoothing_kl": 0.5
        * (ratio - 1 - np.log(ratio) + (mean - b1) ** 2 / KALMAN.p),
        "log_belief": log_normal(z2, b2, KALMAN.p),
        "log_transition": log_normal(z2, KALMAN.a * z1, KALMAN.s**2),
    }
    for name, value in expected.items():
        np.testing.assert_allclose(
            metrics[name], value, atol=2e-4, err_msg=name
        )


def test_exact_parts_have_a_tight_bound(x):
    """Importance weights do not vary: each is the probability."""
    exact = KALMAN.log_prob_of_last(x)
    found = KALMAN.model().log_weights(x[..., None], 1, 7, seed=3)
    np.testing.assert_allclose(found, np.tile(exact, [7, 1]), atol=1e-3)


def test_objective_is_the_log_probability_of_exact_parts_and_less_of_others(x):
    exact = KALMAN.log_prob_of_last(x[:, :2])
    many = np.repeat(x[:, :2, None], 4000, axis=0)
    for change in (lambda m: m, wrong):
        model = change(KALMAN.model(num_pairs=5))
        found = model.compute_losses(many)[2]["objective"].numpy()
        found = found.reshape(5, -1)
        error = found.std(axis=1) / np.sqrt(found.shape[1])
        if change is wrong:
            assert np.all(found.mean(axis=1) < exact - 0.05)
        else:
            np.testing.assert_array_less(
                np.abs(found.mean(axis=1) - exact), 5 * error
            )


def test_bound_is_below_and_tightens(x):
    exact = KALMAN.log_prob_of_last(x)
    model = wrong(KALMAN.model())
    many = np.repeat(x[..., None], 500, axis=0)
    for proposal in ("smoothing", "belief"):
        one, few = (
            model.log_prob(many, 1, n, proposal=proposal).numpy()
            for n in (1, 8)
        )
        one, few = (v.reshape(5, -1).mean(axis=1) for v in (one, few))
        last = model.log_prob(x[..., None], 1, 50_000, proposal=proposal)
        assert np.all(one < few), proposal
        assert np.all(few < exact + 0.02), proposal
        np.testing.assert_allclose(last, exact, atol=0.03, err_msg=proposal)


def test_rollouts_have_the_moments_of_the_process(x):
    """Mean a^d b_T, and the variance of d steps from P."""
    model = KALMAN.model()
    z = model.rollout_context(
        x[:1, :, None], 3, num_futures=20_000, seed=0
    ).numpy()[..., 0]
    mean, variance = KALMAN.means(x[:1])[0, -1], KALMAN.p
    for step in range(3):
        mean *= KALMAN.a
        variance = KALMAN.a**2 * variance + KALMAN.s**2
        np.testing.assert_allclose(z[:, step].mean(), mean, atol=0.02)
        np.testing.assert_allclose(z[:, step].var(), variance, rtol=0.04)
