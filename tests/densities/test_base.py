"""What every density inherits."""

import numpy as np
import pytest
import tensorflow as tf

from vqvae_tf.densities import DensityModel
from vqvae_tf.densities.base import event_size


class Uniform(DensityModel):
    """Codes in 0..K-1, all alike; context "factor" multiplies log p."""

    def call(self, value, context=None, mask=None, training=False):
        factor = context["factor"] if context else 1.0
        size = tf.cast(tf.size(value[0]), tf.float32)
        batch = tf.shape(value)[0]
        return -tf.fill([batch], size * np.float32(np.log(8.0))) * factor


@pytest.mark.parametrize("shape, size", [([5, 2, 3], 6), ([5], 1), ([1, 7], 7)])
def test_event_size(shape, size):
    assert event_size(tf.zeros(shape)) == size
    assert event_size(tf.zeros(shape)).dtype == tf.float32


def test_log_prob_is_the_call():
    density = Uniform()
    value = np.zeros([2, 4], np.int32)
    expected = density(value, context={"factor": 2.0})
    received = density.log_prob(value, {"factor": 2.0})
    np.testing.assert_array_equal(received, expected)


def test_metrics_are_nats_and_bits_per_dimension():
    density = Uniform()
    density.compile("sgd")
    value = np.zeros([5, 4, 2], np.int32)
    factor = np.arange(5, dtype=np.float32)
    weight = np.array([1, 1, 0, 0, 2.0])
    logs = density.evaluate(value, verbose=0, return_dict=True)
    assert set(logs) == {"loss", "bits_per_dim"}
    np.testing.assert_allclose(logs["bits_per_dim"], 3.0, rtol=1e-6)
    np.testing.assert_allclose(logs["loss"], np.log(8.0), rtol=1e-6)
    logs = density.evaluate(
        value,
        {"factor": factor},
        batch_size=2,
        sample_weight=weight,
        verbose=0,
        return_dict=True,
    )
    expected = 3.0 * np.average(factor, weights=weight)
    np.testing.assert_allclose(logs["bits_per_dim"], expected, rtol=1e-6)


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: DensityModel()(tf.zeros([2, 3])), "call"),
        (lambda: DensityModel().log_prob(tf.zeros([2, 3])), "call"),
        (lambda: DensityModel().sample(2), "sample"),
        (lambda: DensityModel().mode(), "mode"),
    ],
)
def test_what_a_subclass_must_implement(call, message):
    with pytest.raises(NotImplementedError, match=f"must implement {message}"):
        call()
