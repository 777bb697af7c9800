"""The figures of two-level models."""

import keras
import numpy as np

from vqvae_tf.encoding import arrays as encoding
from vqvae_tf.evaluation import two_levels as evaluation
from vqvae_tf.tasks.pictures.recipe import eval_batches


def measure(
    model: keras.Model,
    description: dict,
    data_dir: str | None = None,
    progress: bool = True,
    rows: dict | None = None,
) -> dict:
    """Measures a two-level model; see `tasks.measure`.

    Returns:
        The figures of `evaluation.evaluate`, and `global_usage`, the lowest
        usage of a global codebook over the training set.
    """
    training, held_out = (
        _frames(description, description[split], data_dir)
        for split in ("train_split", "eval_split")
    )
    figures = evaluation.evaluate(model, held_out, progress)
    codes = encoding.encode_array(model.autoencoder, training)
    usage = evaluation.usage(model.prior.autoencoder, codes)
    return {**figures, "global_usage": float(usage.min())}


def _frames(description, split, data_dir):
    batches = eval_batches(description, split, data_dir, 64)
    frames = [x.numpy()[weight.numpy() > 0] for x, _, weight in batches]
    return np.concatenate(frames)
