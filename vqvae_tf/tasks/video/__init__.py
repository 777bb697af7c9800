"""Video: a prior of the next frame given past frames and an action."""

from vqvae_tf.tasks.task import Task
from vqvae_tf.tasks.video import card, figures, recipe, training

TASK = Task.from_modules(recipe, training, figures, card)
