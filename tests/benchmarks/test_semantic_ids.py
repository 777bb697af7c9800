"""Semantic IDs: the figures by hand, and a run of toy size."""

import json
import pathlib
import sys
import types

import numpy as np
import pytest
import tensorflow as tf

from support import small
from vqvae_tf.data.pictures.source import ArrayImages

sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "benchmarks"))

import semantic_ids  # noqa: E402


def test_collisions_count_every_item_of_an_id():
    ids = np.array([[0, 1], [0, 2], [0, 1], [3, 1], [0, 1]])
    assert semantic_ids.collision_rate(ids) == pytest.approx(3 / 5)
    assert semantic_ids.collision_rate(ids[:, :1]) == pytest.approx(4 / 5)
    assert semantic_ids.collision_rate(np.array([[1], [2]])) == 0


def test_classes_are_compared_in_pairs_of_one_id():
    ids = np.array([[0], [0], [0], [1], [1], [2]])
    labels = np.array([5, 5, 6, 7, 7, 7])
    # 0: one pair of three; 1: the only one.
    assert semantic_ids.same_class(ids, labels) == (2 / 4, 4)
    assert semantic_ids.same_class(ids[2:4], labels[2:4]) == (0.0, 0)


def test_vectors_are_means_over_parts_of_a_picture():
    latents = np.arange(16.0).reshape(1, 4, 4, 1)
    expected = [[2.5, 4.5, 10.5, 12.5]]
    np.testing.assert_array_equal(semantic_ids.pooled(latents), expected)
    with pytest.raises(ValueError, match="4x4 do not divide into 3x3"):
        semantic_ids.pooled(latents, side=3)


def test_vectors_come_in_order_without_padding():
    model, labels = small.autoencoder(), np.array([0, 1, 1])
    pictures = small.pictures(3)
    vectors, found = semantic_ids.vectors_of(
        model, ArrayImages("noise", pictures, labels, ["a", "b"])
    )
    np.testing.assert_array_equal(found, labels)
    expected = semantic_ids.pooled(model.latents(pictures).numpy())
    np.testing.assert_allclose(vectors, expected, 1e-4, 1e-5)


def test_an_id_needs_levels():
    with pytest.raises(ValueError, match="2 levels or more. Received: 1"):
        semantic_ids.quantizer_with(1, 8, 4, seed=0)


def test_a_run_trains_every_level():
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=[512, 6]).astype(np.float32)
    labels = rng.integers(0, 2, 256)
    options = dict(levels=3, codes=8, channels=4, hidden="16", split="test")
    arguments = types.SimpleNamespace(batch=64, epochs=15, **options)
    found = semantic_ids.run(arguments, 0, vectors[256:], vectors[:256], labels)
    levels = found["levels"]
    assert [level["levels"] for level in levels] == [1, 2, 3]
    for one, next_one in zip(levels, levels[1:]):
        assert next_one["mse_over_variance"] < one["mse_over_variance"]
        assert next_one["collision_rate"] <= one["collision_rate"]
    for level in levels:
        assert level["usage"] > 0.5 and level["perplexity"] > 2
        assert level["commitment_gradient"] > 0
    text = semantic_ids.table([found, found])
    assert len(text.splitlines()) == 2 + len(levels)
    json.dumps(found)


def test_each_gradient_is_of_one_level():
    quantizer = semantic_ids.quantizer_with(2, 4, 3, seed=0)
    z = tf.random.stateless_normal([10, 3], [0, 1])
    quantizer(z, training=True)
    norms = semantic_ids.commitment_gradients(quantizer, z)
    codes = quantizer.encode(z)
    for level, norm in enumerate(norms):
        left = z - quantizer.decode(codes[:, : level + 1])
        expected = 2 * 0.25 * np.linalg.norm(left) / np.size(z)
        assert norm == pytest.approx(expected, rel=1e-4)
    assert [s.commitment_cost for s in quantizer.stages] == [0.25, 0.25]


def test_the_page_has_the_table_of_the_file():
    runs = json.loads(semantic_ids.FILE.read_text())
    page = semantic_ids.FILE.with_suffix(".md").read_text()
    assert all(run["split"] == "test" for run in runs)
    assert semantic_ids.table(runs) in page
