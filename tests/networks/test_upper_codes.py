"""The context that codes of upper levels give to a lower one."""

import numpy as np
import pytest
import tensorflow as tf

from support.harness import assert_config_round_trip
from vqvae_tf import UpperCodes

SIZES = dict(embedding_dim=3, hidden_channels=8, num_residual_layers=1)


def make(**options):
    arguments = dict(
        levels=("top", "middle"), num_embeddings=[5, [4, 3]], factors=[4, 2]
    )
    network = UpperCodes(**{**arguments, **SIZES, **options})
    network.build()
    return network


def codes(seed=0, batch=2):
    rng = np.random.default_rng(seed)
    middle = rng.integers(0, [4, 3], [batch, 4, 6, 2])
    return {"top": rng.integers(0, 5, [batch, 2, 3]), "middle": middle}


def test_the_sum_over_levels():
    network, context = make(), codes()
    expected = 0.0
    rows = zip(
        codes().values(),
        network.embeddings,
        network.convolutions,
        network.residuals,
        network.upsamplings,
    )
    for own, embedding, conv, residuals, upsampling in rows:
        expected += upsampling(residuals(conv(embedding(own)))).numpy()
    found = network(context)
    assert list(found) == ["local"] and found["local"].shape == (2, 8, 12, 8)
    np.testing.assert_allclose(found["local"], expected, rtol=1e-5, atol=1e-6)


def test_a_class_is_passed_on():
    rows = tf.one_hot([1, 2], 4)
    found = make()({**codes(), "global": rows})
    np.testing.assert_array_equal(found["global"], rows)


def test_every_level_and_codebook_matters():
    network, context = make(), codes()
    before = network(context)["local"].numpy()
    for name, sizes in (("top", [5]), ("middle", [4, 3])):
        for g, size in enumerate(sizes):
            other = context[name].copy()
            part = other if len(sizes) == 1 else other[..., g]
            part[...] = (part + 1) % size
            after = network({**context, name: other})["local"].numpy()
            assert np.any(np.abs(after - before) > 1e-6)


def test_config_and_weights():
    network = make()
    copy = assert_config_round_trip(network)
    copy.set_weights(network.get_weights())
    np.testing.assert_array_equal(
        copy(codes())["local"], network(codes())["local"]
    )


def test_unknown_sizes():
    network = make()
    spec = {
        name: tf.TensorSpec([None] * value.ndim, tf.int32)
        for name, value in codes().items()
    }
    spec["middle"] = tf.TensorSpec([None, None, None, 2], tf.int32)
    graph = tf.function(network.call, input_signature=[spec])
    found = graph({k: tf.constant(v, tf.int32) for k, v in codes().items()})
    np.testing.assert_allclose(
        found["local"], network(codes())["local"], rtol=1e-5, atol=1e-6
    )
    assert list(network.context_signature()) == ["top", "middle"]


@pytest.mark.parametrize(
    "change, message",
    [
        (dict(top=None), 'an entry "top"'),
        (dict(top=np.zeros([2, 2], int)), r"\[batch, height, width\]"),
        (dict(middle=np.zeros([2, 4, 6], int)), r"\[batch, height, width, 2\]"),
        (dict(top=np.full([2, 2, 3], 5)), "0..4"),
    ],
)
def test_contexts_that_do_not_fit(change, message):
    with pytest.raises(ValueError, match=message):
        make()({**codes(), **change})


def test_grids_that_do_not_fit():
    context = {**codes(), "top": np.zeros([2, 2, 2], int)}
    with pytest.raises(
        tf.errors.InvalidArgumentError, match="middle and top do not lead"
    ):
        make()(context)


def test_lists_of_different_lengths():
    with pytest.raises(ValueError, match="an entry for each upper level"):
        make(factors=[2])
