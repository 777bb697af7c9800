"""Two levels: a second VQ-VAE over the code maps of a preset."""

from vqvae_tf.tasks.pictures import recipe as pictures
from vqvae_tf.tasks.task import Task
from vqvae_tf.tasks.two_levels import card, figures, recipe, training

TASK = Task(
    kind=recipe.KIND,
    plans=training.PLANS,
    stages=training.stages,
    measure=figures.measure,
    summary=card.summary,
    shown=card.shown,
    use_text=card.use_text,
    draw=card.draw,
    data_keys=pictures.DATA_KEYS,
)
