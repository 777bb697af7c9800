"""The dense layers inside of others, which stay in floating point."""

import keras


class InnerDense(keras.layers.Dense):
    """`keras.layers.Dense` as part of a layer, whose config has no word of it.

    Example:

    >>> InnerDense(3)(keras.ops.ones([2, 4])).shape
    TensorShape([2, 3])
    """

    def quantize(self, mode=None, type_check=True, config=None):
        """Raises ValueError: what is saved could not be loaded again."""
        raise ValueError(
            f"{self.name} is a dense layer inside of another layer of "
            "vqvae_tf, whose configuration does not keep that it was "
            "quantized: the model could be saved, and not be loaded. Leave it "
            "out by filters=, or export the model, and quantize that. "
            f"Received: quantize({mode!r})."
        )


# In files of weights Keras calls what is in a list by the name of its class;
# that of presets that were saved before must stay.
InnerDense.__name__ = "Dense"
