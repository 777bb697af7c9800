"""A modality of one's own: recordings as pictures of their spectrograms.

The worked example of docs/design.md, which tests/tasks/test_new_task.py adds
to the package, trains, publishes and measures.
"""

from support.spectrogram_task import card, figures, recipe, training
from vqvae_tf.tasks.task import Task

TASK = Task.from_modules(recipe, training, figures, card)
