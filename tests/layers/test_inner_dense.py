"""int8 is refused where it could not be loaded again."""

import keras
import numpy as np
import pytest

from vqvae_tf.networks import DenseDecoder, DenseEncoder


@pytest.mark.filterwarnings(
    # Keras says so of each layer that it leaves as it is.
    "ignore:.*does not have a `quantize` method:UserWarning"
)
def test_a_users_model_says_which_part_cannot_be_int8(tmp_path):
    inputs = keras.Input((4, 4, 1))
    x = DenseDecoder(1, 4, (3,))(DenseEncoder(2, 4, (3,))(inputs))
    outputs = keras.layers.Dense(5, name="own")(keras.layers.Flatten()(x))
    model = keras.Model(inputs, outputs)
    x = np.random.default_rng(0).normal(size=[2, 4, 4, 1])
    with pytest.raises(
        ValueError, match="a dense layer .* with filters=.*int8"
    ):
        model.quantize("int8", filters=lambda layer: layer.name != "own")
    model.quantize("int8", filters="^own$")
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert loaded.get_layer("own").quantization_mode == "int8"
    np.testing.assert_array_equal(loaded(x), model(x))
