"""Encodes batches, and arrays in memory."""

import keras
import numpy as np
import tensorflow as tf
from absl import logging

from vqvae_tf import data
from vqvae_tf.models import CodeModel
from vqvae_tf.runtime import strategies
from vqvae_tf.runtime.precision import in_float32
from vqvae_tf.utils.progress import verbosity


def encode_batches(
    autoencoder: CodeModel, batches: tf.data.Dataset, steps: int
) -> tuple[np.ndarray | dict[str, np.ndarray], list]:
    """Encodes batches in float32, as the model will be used later.

    Args:
        autoencoder: a `VQVAE` or a `HierarchicalVQVAE`.
        batches: of x, or of (x, context, ...).
        steps: how many batches to take.

    Returns:
        Codes in the smallest integer type, or a dict of those of each level;
        and the list of contexts.
    """
    model = in_float32(autoencoder)
    encode = tf.function(
        lambda x: model.by_grid(model.codes_of(x)),
        reduce_retracing=True,
        autograph=False,
    )
    dtypes = {
        name: np.min_scalar_type(quantizer.num_embeddings - 1)
        for name, quantizer in model.quantizers().items()
    }
    progress = keras.utils.Progbar(
        steps, verbose=verbosity(strategies.is_chief())
    )
    logging.info("Encoding %d batches.", steps)
    codes, contexts = {name: [] for name in dtypes}, []
    for batch in batches.take(steps):
        pair = batch if isinstance(batch, tuple) else (batch,)
        x, context = (*pair, None)[:2]
        for name, found in encode(x).items():
            codes[name].append(found.numpy().astype(dtypes[name]))
        contexts.append(context)
        progress.add(1)
    found = {name: np.concatenate(parts) for name, parts in codes.items()}
    return model.as_codes(found), contexts


def encode_array(
    autoencoder: CodeModel, values: np.ndarray, batch_size: int = 64
) -> np.ndarray | dict[str, np.ndarray]:
    """Encodes an array in memory, in order."""
    batches = data.array_evaluation_batches(values, batch_size)
    codes, _ = encode_batches(autoencoder, batches, len(batches))
    return tf.nest.map_structure(lambda part: part[: len(values)], codes)
