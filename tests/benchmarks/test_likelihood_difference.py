"""Differences of bounds, picture by picture."""

import math
import pathlib
import sys

import numpy as np
import pytest
import small
import tensorflow as tf

from vqvae_tf import evaluation, family_evaluation

sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "benchmarks"))

import likelihood_difference as difference  # noqa: E402


def batches(count=5, size=4):
    """The last batch is padded."""
    x = np.concatenate([small.pictures(count)] * 2)[: 2 * size]
    weight = (np.arange(2 * size) < count).astype(np.float32)
    data = tf.data.Dataset.from_tensor_slices((x, {}, weight))
    return data.batch(size)


def test_bounds_of_codes_are_those_of_the_evaluation():
    model = small.generator()
    found = difference.measure(difference.bounds_of(model, "a"), batches())
    figures = evaluation.evaluate(model, batches(), progress=False)
    assert {title: len(bits) for title, bits in found.items()} == {
        "a, uniform prior": 5,
        "a, learned prior": 5,
    }
    for title, name in (
        ("uniform", "bits_per_dim_uniform"),
        ("learned", "bits_per_dim"),
    ):
        mean = found[f"a, {title} prior"].mean()
        assert mean == pytest.approx(figures[name], rel=1e-5)
    half = evaluation.half_interval(found["a, learned prior"])
    assert half == pytest.approx(figures["bits_per_dim_error"], rel=1e-4)


def test_bounds_of_draws(capsys):
    first, second = small.autoencoder(), small.vae()
    functions = {
        **difference.bounds_of(first, "a"),
        **difference.bounds_of(second, "b", samples=7),
    }
    found = difference.measure(functions, batches())
    figures = family_evaluation.evaluate(second, batches(), 50, progress=False)
    low, high = figures["bits_per_dim_S"], figures["bits_per_dim"]
    assert low - 0.05 < found["b, S=7"].mean() < high + 0.05
    difference.report(found, {"b, S=7"})
    lines = capsys.readouterr().out.splitlines()
    gap = found["a, uniform prior"] - found["b, S=7"]
    half = 1.96 * gap.std(ddof=1) / math.sqrt(5)
    expected = f"a, uniform prior - b, S=7: {gap.mean():+.4f} +- {half:.4f}"
    assert lines[2:] == [expected]
