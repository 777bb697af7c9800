"""Encodes batches, and arrays in memory."""

import keras
import numpy as np
import tensorflow as tf
from absl import logging

from vqvae_tf import data
from vqvae_tf.runtime import strategies
from vqvae_tf.runtime.precision import in_float32
from vqvae_tf.utils.progress import verbosity


def encode_batches(
    autoencoder: keras.Model, batches: tf.data.Dataset, steps: int
) -> tuple[np.ndarray, list]:
    """Encodes batches in float32, as the model will be used later.

    Args:
        autoencoder: a `VQVAE`.
        batches: of x, or of (x, context, ...).
        steps: how many batches to take.

    Returns:
        Codes in the smallest integer type, and the list of contexts.
    """
    model = in_float32(autoencoder)
    encode = tf.function(
        lambda x: model.quantizer.encode(model.latents(x)),
        reduce_retracing=True,
        autograph=False,
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


def encode_array(
    autoencoder: keras.Model, values: np.ndarray, batch_size: int = 64
) -> np.ndarray:
    """Encodes an array in memory, in order."""
    batches = data.array_evaluation_batches(values, batch_size)
    codes, _ = encode_batches(autoencoder, batches, len(batches))
    return codes[: len(values)]
