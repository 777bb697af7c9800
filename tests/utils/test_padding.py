"""Sequences in one array."""

import numpy as np

from vqvae_tf.utils.padding import pad


def test_length_is_a_multiple_and_shapes_and_types_stay():
    sequences = [np.ones([5, 2], np.int16), np.ones([1, 2], np.int16)]
    values, mask = pad(sequences, 4)
    assert values.shape == (2, 8, 2) and values.dtype == np.int16
    assert mask.shape == (2, 8) and mask.dtype == np.float32
    np.testing.assert_array_equal(values[..., 0], mask)
    np.testing.assert_array_equal(mask.sum(axis=1), [5, 1])
