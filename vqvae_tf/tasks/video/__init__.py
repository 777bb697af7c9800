"""Video: a prior of the next frame given past frames and an action."""

from vqvae_tf.tasks.task import Task
from vqvae_tf.tasks.video import card, figures, recipe, training

TASK = Task(
    kind=recipe.KIND,
    plans=training.PLANS,
    stages=training.stages,
    measure=figures.measure,
    summary=card.summary,
    shown=card.shown,
    use_text=card.use_text,
    draw=card.draw,
)
