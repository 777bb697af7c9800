"""Two levels: a second VQ-VAE over the code maps of a preset."""

from vqvae_tf.tasks.pictures import recipe as pictures
from vqvae_tf.tasks.task import Task
from vqvae_tf.tasks.two_levels import card, figures, recipe, training

TASK = Task.from_modules(
    recipe, training, figures, card, data_keys=pictures.DATA_KEYS
)
