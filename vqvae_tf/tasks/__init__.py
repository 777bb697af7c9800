"""Tasks: what the package does with each kind of recipe.

A new modality is a folder here, with its recipe, training, figures and card,
and a line in this file.
"""

import keras
from ml_collections import ConfigDict

from vqvae_tf import recipes
from vqvae_tf.recipes import registry
from vqvae_tf.tasks import pictures, speech, two_levels, video
from vqvae_tf.tasks.task import Task

TASKS: dict[str, Task] = {}


def register(task: Task) -> None:
    """Adds a task: its recipes are known, trained, published and measured."""
    TASKS[task.kind.name] = task
    registry.register(task.kind)


for _task in (pictures.TASK, two_levels.TASK, video.TASK, speech.TASK):
    register(_task)


def of(config: ConfigDict) -> Task:
    """Returns the task of a recipe."""
    return TASKS[recipes.kind(config)]


def of_description(description: dict) -> Task:
    """Returns the task of what metadata say of a preset's data.

    Older presets do not say; they are of pictures.
    """
    return TASKS[description.get("kind", "pictures")]


def measure(
    model: keras.Model,
    description: dict,
    data_dir: str | None = None,
    progress: bool = True,
    rows: dict | None = None,
) -> dict:
    """Measures a model on the held-out split of `description`.

    Args:
        model: what `run.train` returned, or a preset's model.
        description: from `card.describe`, or a preset's metadata: `data`.
        data_dir: where the data lies.
        progress: show progress bars.
        rows: a dict that gets the bounds of each picture, in bits/dim, by
            the names of their means; other tasks leave it empty.

    Returns:
        Figures by their keys (`evaluation.figures`), and `examples`.
    """
    task = of_description(description)
    return task.measure(model, description, data_dir, progress, rows)
