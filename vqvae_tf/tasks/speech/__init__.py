"""Speech: codes, a WaveNet decoder, a fast decoder, and a prior."""

from vqvae_tf.tasks.speech import card, figures, recipe, training
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
)
