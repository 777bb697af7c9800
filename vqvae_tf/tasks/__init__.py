"""Tasks: what the package does with each kind of recipe.

To add a modality, add a folder here with its recipe, training, figures and
card, and list its task below.
"""

import keras
from ml_collections import ConfigDict

from vqvae_tf import recipes
from vqvae_tf.recipes import registry
from vqvae_tf.tasks import (
    classifier,
    levels,
    pictures,
    sequences,
    speech,
    two_levels,
    video,
)
from vqvae_tf.tasks.task import Task

TASKS: dict[str, Task] = {}


def register(task: Task) -> None:
    """Adds a task, so that its recipes can be trained, measured, published."""
    TASKS[task.kind.name] = task
    registry.register(task.kind)


for _task in (
    pictures,
    classifier,
    levels,
    two_levels,
    video,
    speech,
    sequences,
):
    register(_task.TASK)


def of(config: ConfigDict) -> Task:
    """Returns the task of a recipe."""
    return TASKS[recipes.kind(config)]


def of_description(description: dict) -> Task:
    """Returns a preset's task, from the `data` of its metadata.

    Raises:
        ValueError: if no task of its kind is registered.
    """
    # Older presets have no `kind`; their data are pictures.
    kind = description.get("kind", "pictures")
    if kind not in TASKS:
        raise ValueError(
            f"The preset's data must be of a kind that has a task: "
            f"{', '.join(TASKS)}. Received: {kind!r}. For a task of your own, "
            "import the module that registers it, and call "
            "vqvae_tf.tasks.measure."
        )
    return TASKS[kind]


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
        description: from `card.describe`, or the `data` of a preset's metadata.
        data_dir: directory of the data.
        progress: show progress bars.
        rows: a dict to which tasks that have them (`Task.has_rows`) add the
            bounds of each example in bits/dim, under the keys of their means.

    Returns:
        Figures by their keys (`evaluation.figures`), and `examples`, how many
        there were.
    """
    task = of_description(description)
    return task.measure(model, description, data_dir, progress, rows)
