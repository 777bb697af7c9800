"""The training set as codes, encoded once and kept in a file."""

import keras
import numpy as np
import tensorflow as tf
from absl import logging

from vqvae_tf import data
from vqvae_tf.runtime import strategies
from vqvae_tf.runtime.precision import in_float32
from vqvae_tf.utils.files import remove_leftovers, save_npz
from vqvae_tf.utils.npz_files import read_npz
from vqvae_tf.utils.progress import verbosity


def once(path, autoencoder, encode) -> dict:
    """Returns the arrays of an npz file, which is made if need be.

    Of several workers, the chief makes it, and the others wait.

    Args:
        path: the file.
        autoencoder: a `VQVAE`.
        encode: a function of a float32 copy of it that returns the arrays.
    """
    # On all workers: each must make the variables of the copy.
    autoencoder = in_float32(autoencoder)
    if strategies.is_chief() and not path.exists():
        remove_leftovers(path)
        save_npz(path, **encode(autoencoder))
    strategies.wait_for_all()
    return read_npz(
        path, "the encoded training set (remove it, and it is made again)"
    )


def encode_batches(autoencoder, batches, steps) -> tuple[np.ndarray, list]:
    """Encodes batches by the float32 model, as codes will be made in use.

    Args:
        autoencoder: a `VQVAE`.
        batches: of x, or of (x, context, ...).
        steps: how many to take.

    Returns:
        Codes in the smallest integer type, and the list of contexts.
    """
    model = in_float32(autoencoder)
    encode = tf.function(
        lambda x: model.quantizer.encode(model.latents(x)),
        reduce_retracing=True,
    )
    dtype = np.min_scalar_type(model.quantizer.num_embeddings - 1)
    progress = keras.utils.Progbar(
        steps, verbose=verbosity(strategies.is_chief())
    )
    logging.info("Encoding %d batches.", steps)
    codes, contexts = [], []
    for batch in batches.take(steps):
        pair = batch if isinstance(batch, tuple) else (batch,)
        x, context = (*pair, None)[:2]
        codes.append(encode(x).numpy().astype(dtype))
        contexts.append(context)
        progress.add(1)
    return np.concatenate(codes), contexts


def encode_array(autoencoder, values, batch_size=64) -> np.ndarray:
    """Encodes an array in memory, in order."""
    batches = data.array_evaluation_batches(values, batch_size)
    codes, _ = encode_batches(autoencoder, batches, len(batches))
    return codes[: len(values)]
