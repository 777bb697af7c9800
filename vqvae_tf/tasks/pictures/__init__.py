"""Pictures: autoencoders, and priors over their codes."""

from vqvae_tf.tasks.pictures import card, figures, recipe, training
from vqvae_tf.tasks.task import Task

TASK = Task.from_modules(
    recipe, training, figures, card, data_keys=recipe.DATA_KEYS, has_rows=True
)
