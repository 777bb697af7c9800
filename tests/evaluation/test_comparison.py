"""Intervals of differences, by example and by run."""

import math

import numpy as np
import pytest

from support import small
from vqvae_tf import data
from vqvae_tf.evaluation import (
    autoencoders as family_evaluation,
    comparison,
    pictures as evaluation,
)


# Two-sided 95 % quantiles from a printed table of Student's t.
@pytest.mark.parametrize(
    "runs, quantile", [(2, 12.706), (5, 2.776), (9, 2.306)]
)
def test_runs_have_the_interval_of_students_t(runs, quantile):
    values = np.arange(runs) ** 2.0
    found = comparison.of_runs(values)
    assert found.mean == pytest.approx(values.mean())
    expected = quantile * values.std(ddof=1) / math.sqrt(runs)
    assert found.half == pytest.approx(expected, rel=1e-3)


def test_one_run_has_no_interval():
    with pytest.raises(ValueError, match="two or more runs. Received: 1."):
        comparison.of_runs([1.0])


def test_runs_are_compared_in_pairs():
    figures = [{"mse": 1.0, "mig": 0.5}, {"mse": 3.0}, {"mse": 8.0}]
    others = [{"mse": 0.0}, {"mse": 2.5}, {"mse": 6.5}]
    assert comparison.by_run(figures) == {
        "mse": comparison.of_runs([1.0, 3.0, 8.0])
    }
    assert comparison.by_run(figures, others) == {
        "mse": comparison.of_runs([1.0, 0.5, 1.5])
    }
    with pytest.raises(ValueError):
        comparison.by_run(figures, others[:2])


def test_bounds_of_each_example_have_the_means_of_the_figures():
    batches = data.array_evaluation_batches(small.pictures(7), 4)
    rows, model = {}, small.generator()
    figures = evaluation.evaluate(model, batches, progress=False, rows=rows)
    found = {name: bits.mean() for name, bits in rows.items()}
    assert set(found) == {"bits_per_dim_uniform", "bits_per_dim"}
    assert found == pytest.approx({name: figures[name] for name in found})
    each = model.bits_per_dim(small.pictures(7))["total"].numpy()
    np.testing.assert_allclose(rows["bits_per_dim"], each, rtol=1e-5)
    uniform = {}
    evaluation.evaluate(
        model.autoencoder, batches, progress=False, rows=uniform
    )
    np.testing.assert_allclose(
        uniform["bits_per_dim_uniform"], rows["bits_per_dim_uniform"], rtol=1e-5
    )
    assert set(uniform) == {"bits_per_dim_uniform"}


def test_bounds_of_draws_have_the_means_of_the_figures():
    batches = data.array_evaluation_batches(small.pictures(7), 4)
    rows = {}
    figures = family_evaluation.evaluate(
        small.vae(), batches, 5, progress=False, rows=rows
    )
    assert set(rows) == {"bits_per_dim", "bits_per_dim_S"}
    for name, bits in rows.items():
        assert bits.shape == (7,)
        assert bits.mean() == pytest.approx(figures[name])
        half = 1.96 * bits.std(ddof=1) / math.sqrt(7)
        assert figures[f"{name}_error"] == pytest.approx(half)


def test_examples_are_compared_one_by_one():
    rows = {"a": np.array([1.0, 2.0, 6.0]), "b": np.array([0.0, 0.0, 3.0])}
    found = comparison.by_example(rows, {"c": np.array([1.0, 1.0, 1.0])})
    assert found["a", "c"].mean == pytest.approx(2.0)
    half = 1.96 * np.std([0.0, 1.0, 5.0], ddof=1) / math.sqrt(3)
    assert found["a", "c"].half == pytest.approx(half)
    assert found["b", "c"].mean == pytest.approx(0.0)
    with pytest.raises(ValueError, match="same examples. Received: 3 and 2"):
        comparison.by_example(rows, {"c": np.ones(2)})
