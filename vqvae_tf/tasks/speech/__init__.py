"""Speech: codes, a WaveNet decoder, a fast decoder, and a prior."""

from vqvae_tf.tasks.speech import card, figures, recipe, training
from vqvae_tf.tasks.task import Task

TASK = Task.from_modules(recipe, training, figures, card)
