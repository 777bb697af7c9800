"""Classifiers of pictures, in whose features samples are compared."""

from vqvae_tf.tasks.classifier import card, figures, recipe, training
from vqvae_tf.tasks.pictures import recipe as pictures
from vqvae_tf.tasks.task import Task

TASK = Task.from_modules(
    recipe, training, figures, card, data_keys=pictures.DATA_KEYS
)
