"""Check that the weights of a model are finite."""

import keras
import numpy as np


def check_weights(model: keras.Model, action: str) -> None:
    """Raises ValueError if a model has weights that are NaN or infinite.

    Args:
        model: a built model.
        action: what then cannot be done with it, for the message: "saved".

    Example:

    >>> check_weights(generator, "saved")
    """
    for variable in model.weights:
        values = keras.ops.convert_to_numpy(variable.value)
        # All others are floats; NumPy does not count bfloat16 among them.
        if values.dtype.kind in "biu" or np.isfinite(values).all():
            continue
        wrong = np.count_nonzero(~np.isfinite(values))
        raise ValueError(
            "A model whose weights are not all finite is useless and cannot be "
            f"{action}. Received: {variable.path} with {wrong:,} of "
            f"{values.size:,} values NaN or infinite. Its training diverged: "
            "use an earlier checkpoint, or train again with a smaller learning "
            "rate."
        )
