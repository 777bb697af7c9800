"""Training a recipe, of whatever kind, in a work directory.

A run can be killed at any moment; the same command goes on from the last
checkpoint:

    WORKDIR/recipe.json        the recipe that is being trained
    WORKDIR/autoencoder/       checkpoints of stage 1
    WORKDIR/*codes.npz         the training set, encoded once
    WORKDIR/prior/             checkpoints of stage 2
    WORKDIR/logs/              TensorBoard: losses, usage, pictures
    WORKDIR/preset/            the result, as a preset
"""

import functools
import json
import pathlib

import keras

from vqvae_tf import recipes, systems
from vqvae_tf.files import write_atomically


def train(config, workdir, data_dir=None, stage="all"):
    """Trains a recipe, or goes on with it, and saves a preset.

    Args:
        config: a recipe, from `recipes.load_recipe`.
        workdir: the run's directory; a run in it is continued.
        data_dir: where the data lies, or None for TFDS_DATA_DIR.
        stage: "all", or "autoencoder" to stop before the prior (not of video).

    Returns:
        The trained `VQVAE`, a `LatentGenerator` where there is a prior, or a
        `VideoGenerator`.

    Raises:
        ValueError: if workdir holds a run of another recipe.
    """
    workdir = pathlib.Path(workdir)
    recipes.check_recipe(config)
    _compare_recipe(config, workdir)
    keras.config.set_dtype_policy(config.dtype_policy)
    keras.utils.set_random_seed(config.seed)
    # Called when all is open: a run that could not start leaves the directory
    # to others.
    start = functools.partial(_note_recipe, config, workdir)
    system = systems.BY_KIND[recipes.kind(config)]
    return system.train(config, workdir, data_dir, stage, start)


# The run's directory --------------------------------------------------------


def _compare_recipe(config, workdir):
    """Raises ValueError if the directory holds a run of another recipe."""
    path = workdir / "recipe.json"
    if not path.exists():
        return
    old, new = json.loads(path.read_text()), json.loads(recipes.to_json(config))
    if old != new:
        raise ValueError(
            f"{workdir} holds a run of another recipe; they differ in "
            f"{', '.join(_differences(old, new))}. Go on with the old recipe, "
            "or choose another --workdir."
        )


def _note_recipe(config, workdir):
    path = workdir / "recipe.json"
    if not path.exists():
        with write_atomically(path) as temporary:
            pathlib.Path(temporary).write_text(recipes.to_json(config))


def _differences(old, new, prefix=""):
    names = []
    for key in sorted({*old, *new}):
        a, b = old.get(key), new.get(key)
        if isinstance(a, dict) and isinstance(b, dict):
            names += _differences(a, b, f"{prefix}{key}.")
        elif a != b:
            names.append(f"{prefix}{key} ({a!r}, now {b!r})")
    return names
