"""Dense layers inside other layers, which cannot be quantized by Keras."""

from typing import Any

import keras


class InnerDense(keras.layers.Dense):
    """A `keras.layers.Dense` that another layer creates.

    Example:

    >>> InnerDense(3)(keras.ops.ones([2, 4])).shape
    TensorShape([2, 3])
    """

    def quantize(
        self,
        mode: str | None = None,
        type_check: bool = True,
        config: Any = None,
    ) -> None:
        """Raises ValueError, since a saved model could not be loaded."""
        raise ValueError(
            f"{self.name} is a dense layer inside another layer of vqvae_tf, "
            "whose configuration does not record quantization: the model could "
            "be saved, but not loaded. Exclude it with filters=, or export the "
            f"model and quantize the export. Received: quantize({mode!r})."
        )


# Weight files name layers in lists by class; presets saved with
# `keras.layers.Dense` must still load.
InnerDense.__name__ = "Dense"
