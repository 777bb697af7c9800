"""The same model in another precision."""

import keras
import numpy as np
import pytest

from support import small
from vqvae_tf.runtime.precision import in_float32


@pytest.mark.parametrize("make", [small.autoencoder, small.generator])
def test_in_float32_keeps_weights(make):
    keras.config.set_dtype_policy("mixed_bfloat16")
    model = make()
    copy = in_float32(model)
    assert all(x.compute_dtype == "float32" for x in copy._flatten_layers())
    assert keras.config.dtype_policy().name == "mixed_bfloat16"
    assert len(model.get_weights()) > 5
    for a, b in zip(model.get_weights(), copy.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_model_in_float32_is_itself():
    model = small.autoencoder()
    assert in_float32(model) is model
