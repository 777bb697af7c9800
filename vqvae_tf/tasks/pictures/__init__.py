"""Pictures: autoencoders, and priors over their codes."""

from vqvae_tf.tasks.pictures import card, figures, recipe, training
from vqvae_tf.tasks.task import Task

TASK = Task(
    kind=recipe.KIND,
    plans=training.PLANS,
    stages=training.stages,
    measure=figures.measure,
    summary=card.summary,
    shown=card.shown,
    use_text=card.use_text,
    draw=card.draw,
    data_keys=recipe.DATA_KEYS,
    has_rows=True,
)
