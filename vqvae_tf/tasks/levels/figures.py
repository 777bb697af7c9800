"""The figures of hierarchical models."""

import keras

from vqvae_tf.evaluation import levels
from vqvae_tf.tasks.pictures import figures as pictures
from vqvae_tf.tasks.pictures.recipe import eval_batches


def measure(
    model: keras.Model,
    description: dict,
    data_dir: str | None = None,
    progress: bool = True,
    rows: dict | None = None,
) -> dict:
    """Measures a hierarchical model; see `tasks.measure`.

    Returns:
        The figures of models of pictures, and those of
        `evaluation.levels.evaluate`.
    """
    found = pictures.measure(model, description, data_dir, progress, rows)
    batches = eval_batches(description, description["eval_split"], data_dir)
    return {**found, **levels.evaluate(model, batches, progress)}
