"""Dense layers inside other layers, which stay in floating point."""

import keras


class InnerDense(keras.layers.Dense):
    """`keras.layers.Dense` as part of a layer, whose config does not list it.

    Example:

    >>> InnerDense(3)(keras.ops.ones([2, 4])).shape
    TensorShape([2, 3])
    """

    def quantize(self, mode=None, type_check=True, config=None):
        """Raises ValueError: the saved model could not be loaded."""
        raise ValueError(
            f"{self.name} is a dense layer inside of another layer of "
            "vqvae_tf, whose configuration does not record that it was "
            "quantized: the model could be saved, but not loaded. Exclude it "
            "by filters=, or export the model, and quantize that. "
            f"Received: quantize({mode!r})."
        )


# Keras names layers in lists by their class in weight files; presets saved with
# `keras.layers.Dense` must still load.
InnerDense.__name__ = "Dense"
