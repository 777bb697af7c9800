"""Batches and ranks that do not fit are refused, never broadcast."""

import numpy as np
import pytest
import tensorflow as tf

import vqvae_tf as vq
from support import small


def density(likelihood=None):
    likelihood = likelihood or vq.Gaussian()
    likelihood.build(None)
    network = vq.Decoder(likelihood.num_parameters(3), hidden_channels=4)
    return vq.FactorizedDensity(network, likelihood)


@pytest.mark.parametrize("shape", [(), (2,), (5, 2, 2, 4)])
def test_a_local_context_of_another_rank_or_batch_is_refused(shape):
    values = np.zeros([2, 8, 8, 3], np.uint8)
    with pytest.raises(ValueError, match="local.*(batch|shape)"):
        density().log_prob(values, {"local": np.zeros(shape, np.float32)})


def test_values_without_axes_are_refused():
    local = np.zeros([2, 2, 2, 4], np.float32)
    with pytest.raises(ValueError, match="Received: (values of|x is)"):
        density().log_prob(np.float32(3), {"local": local})


def test_one_context_serves_all_values():
    values = small.pictures(2, 8)
    local = tf.ones([1, 2, 2, 4])
    found = density().log_prob(values, {"local": local})
    assert found.shape == [2] and np.all(np.isfinite(found))


@pytest.mark.parametrize("shape", [(), (2, 0, 4), (2, 4, 4, 2)])
def test_codes_without_positions_are_refused(shape):
    with pytest.raises(ValueError, match="Codes must have shape|x is"):
        small.prior().log_prob(np.zeros(shape, np.int32))


def test_a_class_for_other_codes_is_refused():
    prior = small.prior(global_channels=3)
    codes = np.zeros([2, 4, 4], np.int32)
    with pytest.raises(ValueError, match='context."global".* batch of 1 or'):
        prior.log_prob(codes, {"global": tf.one_hot([0, 1, 2], 3)})
    assert prior.log_prob(codes, {"global": tf.one_hot([0], 3)}).shape == [2]


def test_a_mask_for_other_given_codes_is_refused():
    given = np.zeros([3, 4, 4], np.int32)
    mask = np.ones([2, 4, 4], bool)
    with pytest.raises(ValueError, match="given_mask must have a batch"):
        small.prior().sample(given=given, given_mask=mask, seed=0)


def test_outputs_far_from_the_data_are_not_nan():
    likelihood = vq.Gaussian(scale=3.0)
    values = tf.constant([[[[0.0], [7.0], [255.0]]]])
    for far in (1e20, -1e20, 1e30):
        outputs = tf.fill(values.shape, far)
        with tf.GradientTape() as tape:
            tape.watch(outputs)
            nats = likelihood.log_prob(outputs, values)
        assert np.all(np.isfinite(nats)), far
        assert np.all(np.isfinite(tape.gradient(nats, outputs))), far


def test_a_mixture_has_a_mean_in_three_dimensions():
    likelihood = vq.DiscretizedLogisticMixture(2)
    outputs = tf.random.stateless_normal([1, 2, 3, 4, 6], [0, 1])
    flat = tf.reshape(outputs, [1, 6, 4, 6])
    np.testing.assert_array_equal(
        tf.reshape(likelihood.mode(outputs), [-1]),
        tf.reshape(likelihood.mode(flat), [-1]),
    )


@pytest.mark.parametrize("likelihood", ["mixture", "predicted"])
def test_scales_beyond_float32_are_not_nan(likelihood):
    likelihood = {
        "mixture": vq.DiscretizedLogisticMixture(1),
        "predicted": vq.Gaussian(scale="predicted"),
    }[likelihood]
    each = likelihood.num_parameters(1)
    outputs = tf.fill([1, 2, 2, each], 253.0)
    values = tf.constant([0.0, 7.0, 128.0, 255.0], shape=[1, 2, 2, 1])
    assert not np.any(np.isnan(likelihood.log_prob(outputs, values)))


def test_samples_for_nobody_are_refused():
    prior = small.prior(global_channels=3)
    with pytest.raises(ValueError, match="0 rows"):
        prior.sample(context={"global": np.zeros([0, 3], np.float32)})


def test_codes_of_an_empty_grid_are_refused():
    with pytest.raises(ValueError, match="Codes must have shape"):
        small.autoencoder().decode(np.zeros([2, 4, 0], np.int32))


def test_samples_without_their_class_say_so_in_one_line():
    prior = small.prior(global_channels=3)
    with pytest.raises(ValueError) as raised:
        prior.sample(2)
    assert str(raised.value).startswith("The density expects a context")


def test_a_mask_in_the_place_of_codes_is_refused():
    mask = np.ones([2, 4, 4], bool)
    with pytest.raises(ValueError, match="Codes must be integers"):
        small.prior().sample(given=mask, given_mask=mask, seed=0)
