"""The first variable that is not finite is named."""

import keras
import numpy as np
import pytest

from vqvae_tf.utils.finite import check_weights


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_weights_that_are_not_finite_are_found(dtype, value):
    layer = keras.layers.Dense(2, dtype=keras.DTypePolicy(dtype))
    layer.build((None, 3))
    check_weights(layer, "saved")
    layer.bias.assign([0, value])
    message = f"be saved. Received: {layer.bias.path} with 1 of 2 values"
    with pytest.raises(ValueError, match=message):
        check_weights(layer, "saved")


def test_whole_numbers_are_finite():
    layer = keras.layers.Layer()
    layer.add_weight(shape=(2,), dtype="int32", name="count")
    layer.add_weight(shape=(2,), dtype="bool", initializer="zeros")
    check_weights(layer, "saved")
