"""Whether the numbers of a model are numbers."""

import keras
import numpy as np


def check_weights(model: keras.Model, action: str):
    """Raises ValueError if a model has weights that are NaN or infinite.

    Args:
        model: a built Keras model.
        action: what cannot be done with it, for the message: "saved".

    Example:

    >>> check_weights(generator, "saved")
    """
    for variable in model.weights:
        values = keras.ops.convert_to_numpy(variable.value)
        # Everything else is floats: numpy does not count bfloat16 as one.
        if values.dtype.kind in "biu" or np.isfinite(values).all():
            continue
        wrong = np.count_nonzero(~np.isfinite(values))
        raise ValueError(
            "A model whose weights are not all finite computes nothing and "
            f"cannot be {action}. Received: {variable.path} with {wrong:,} "
            f"of {values.size:,} values NaN or infinite. Its training has "
            "failed: take an earlier checkpoint, or train again with a smaller "
            "learning rate."
        )
