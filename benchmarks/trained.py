"""What the benchmarks that train many recipes share."""

import json
import pathlib

from vqvae_tf import recipes
from vqvae_tf.tasks import publish as publishing, run as training
from vqvae_tf.utils.files import write_atomically
from vqvae_tf.utils.paths import expand


def make_recipe(name, changes):
    """Returns a recipe of the zoo with a few keys changed.

    Args:
        name: of the recipe.
        changes: (key, value) pairs; a dict takes the place of a section.
    """
    config = recipes.read_recipe(recipes.find_recipe(name))
    for key, value in changes:
        if isinstance(value, dict):
            config[key] = type(config[key])(value)
        else:
            config.update_from_flattened_dict({key: value})
    return recipes.check_recipe(config)


def train(config, folder, data_dir, stage="all"):
    """Makes `folder/preset`, if it is not there; goes on with a killed run."""
    if (folder / "preset").exists():
        return
    model = training.train(config, folder, data_dir, stage)
    publishing.publish(config, model, folder / "preset", data_dir)


def read(path):
    """Returns the figures in a JSON file, none if there is no file."""
    path = expand(path)
    return json.loads(path.read_text()) if path.exists() else {}


def add(path, name, figures):
    """Adds figures under a name to a JSON file, which others may add to."""
    with write_atomically(path) as temporary:
        text = json.dumps(
            {**read(path), name: figures}, indent=1, sort_keys=True
        )
        pathlib.Path(temporary).write_text(text + "\n")
