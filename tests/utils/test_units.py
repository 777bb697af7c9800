import math

import numpy as np
import pytest
import tensorflow as tf

from vqvae_tf.utils.units import bits


def test_a_uniform_distribution_has_the_logarithm_of_its_levels():
    assert bits(3 * math.log(8), size=3) == pytest.approx(3.0)


@pytest.mark.parametrize("kind", [np.float32, np.float64, tf.constant])
def test_the_kind_of_numbers_stays(kind):
    nats = kind([1.0, -2.0])
    found = bits(nats, 2)
    assert type(found) is type(bits(nats)) and found.dtype == nats.dtype
    np.testing.assert_allclose(found, [0.5 / math.log(2), -1 / math.log(2)])


def test_where_no_dimension_counts_there_are_no_bits():
    sizes = tf.constant([0.0, 4.0])
    np.testing.assert_allclose(
        bits(tf.constant([-3.0, math.log(16)]), sizes), [0, 1]
    )
    np.testing.assert_allclose(bits(-1, sizes), [0, -0.25 / math.log(2)])
