"""From a trained recipe to a preset: measure, draw, write the card."""

import math
import pathlib

import keras
from ml_collections import ConfigDict

from vqvae_tf import presets, recipes, tasks
from vqvae_tf.data.decoding import RESIZE_FILTER
from vqvae_tf.models import LatentGenerator
from vqvae_tf.models.feature_networks import identity
from vqvae_tf.runtime.precision import in_float32
from vqvae_tf.tasks import card as cards
from vqvae_tf.training.divergence import NotFinite
from vqvae_tf.training.stages import steps_text


def publish(
    config: ConfigDict,
    model: keras.Model,
    folder: str | pathlib.Path,
    data_dir: str | None = None,
    command: str | None = None,
) -> str:
    """Writes a trained model as a preset, with figures, card and pictures.

    Args:
        config: its recipe.
        model: what `tasks.run.train` returned.
        folder: the preset's folder.
        data_dir: directory of the data.
        command: the command that trained it, without --workdir, for the card.

    Returns:
        The sha256 of its metadata.json.

    Raises:
        NotFinite: if a figure is NaN.
        ValueError: as `recipes.check_recipe`.
        PresetError: as `presets.save`.
    """
    config = recipes.check_recipe(config)
    presets.check_replaceable(folder)  # before measuring, which is slow
    policy = model.dtype_policy.name
    model = in_float32(model)
    description = cards.describe(config)
    if network := description.get("feature_network"):
        description["feature_network_sha256"] = identity(network)
    task = tasks.of(config)
    figures = tasks.measure(model, description, data_dir)
    _check_figures(figures)
    shown = task.draw(model, config, data_dir)
    has_prior = isinstance(model, LatentGenerator)
    plans = [p for p in task.plans if has_prior or not p.of_prior]
    steps = steps_text(config, plans)
    metadata = {
        "recipe": config.name,
        "summary": cards.summary(config, has_prior),
        "data": description,
        "seed": config.seed,
        "steps": steps,
        "dtype_policy": policy,
        "metrics": figures,
    }
    if cards.resizing(description):
        metadata["resize_filter"] = RESIZE_FILTER
    card = cards.card(config, figures, steps, folder, command, policy)
    return presets.save(model, folder, metadata, card, shown)


def _check_figures(figures):
    """Raises NotFinite if a figure of a trained model is NaN."""
    for name, value in figures.items():
        if isinstance(value, float) and math.isnan(value):
            raise NotFinite(
                f"The model's figure {name} is {value}: training has diverged, "
                "or the data do not suit the model. Nothing is published."
            )
