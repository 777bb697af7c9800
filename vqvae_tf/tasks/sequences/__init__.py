"""Sequences: TD-VAE, and models that it is compared with."""

from vqvae_tf.tasks.sequences import card, figures, recipe, training
from vqvae_tf.tasks.task import Task

TASK = Task.from_modules(
    recipe,
    training,
    figures,
    card,
    data_keys=("form", "source", "train_split", "eval_split", "length"),
)
