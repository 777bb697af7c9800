"""Arrays that a run computes once and keeps in a file."""

import pathlib
from collections.abc import Callable

import keras
import numpy as np

from vqvae_tf.runtime import strategies
from vqvae_tf.runtime.precision import in_float32
from vqvae_tf.utils.files import remove_leftovers, save_npz
from vqvae_tf.utils.npz_files import read_npz


def once(
    path: pathlib.Path,
    autoencoder: keras.Model,
    encode: Callable[[keras.Model], dict],
) -> dict[str, np.ndarray]:
    """Returns the arrays of an npz file, which is made if it does not exist.

    Of several workers, the chief makes it while the others wait.

    Args:
        path: the file.
        autoencoder: a `VQVAE`.
        encode: a function of a float32 copy of it that returns the arrays.
    """
    # On all workers, since all must create the copy's variables.
    autoencoder = in_float32(autoencoder)
    if strategies.is_chief() and not path.exists():
        remove_leftovers(path)
        save_npz(path, **encode(autoencoder))
    strategies.wait_for_all()
    return read_npz(
        path, "the encoded training set (remove it to encode it again)"
    )
