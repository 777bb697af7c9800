"""Levels: VQ-VAE-2, a hierarchical VQ-VAE and a prior of each level."""

from vqvae_tf.tasks.levels import card, figures, recipe, training
from vqvae_tf.tasks.pictures import recipe as pictures
from vqvae_tf.tasks.task import Task

TASK = Task.from_modules(
    recipe, training, figures, card, data_keys=pictures.DATA_KEYS, has_rows=True
)
