"""From a trained recipe to a preset: measure, draw, write the card."""

import math

from vqvae_tf import presets, recipes
from vqvae_tf.data.decoding import RESIZE_FILTER
from vqvae_tf.models import LatentGenerator
from vqvae_tf.runtime.precision import in_float32
from vqvae_tf.tasks import card as cards
from vqvae_tf.tasks.pictures import card as showcase
from vqvae_tf.training.divergence import NotFinite


def publish(config, model, folder, data_dir=None, command=None):
    """Writes a trained model as a preset, with figures, card and pictures.

    Args:
        config: its recipe.
        model: what `training.train` returned.
        folder: the preset's folder.
        data_dir: where the data lies.
        command: the command that trained it, without --workdir, for the card.

    Returns:
        The sha256 of its metadata.json.

    Raises:
        NotFinite: if a figure is no number.
        ValueError: for what `recipes.check_recipe` refuses.
        PresetError: as `presets.save`.
    """
    config = recipes.check_recipe(config)
    presets.check_replaceable(folder)  # before measuring, which takes long
    policy = model.dtype_policy.name
    model = in_float32(model)
    description = cards.describe(config)
    figures = cards.measure(model, description, data_dir)
    _check_figures(figures)
    pictures = showcase.draw(model, config, data_dir)
    has_prior = isinstance(model, LatentGenerator)
    steps = _steps(config, has_prior)
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
    return presets.save(model, folder, metadata, card, pictures)


def _check_figures(figures):
    """Raises NotFinite where a trained model's figures are no numbers."""
    for name, value in figures.items():
        if isinstance(value, float) and math.isnan(value):
            raise NotFinite(
                f"The model's figure {name} is {value}: the training has "
                "diverged, or the data are not what it takes. Nothing is "
                "published."
            )


def _steps(config, has_prior):
    """Returns what training took, as text."""
    training, prior = config.training, config.prior_training
    if recipes.kind(config) == "video":
        return f"{prior.steps} steps of {prior.batch_size}"
    steps = f"{training.steps} steps of {training.batch_size}"
    codes = config.code_training
    if codes.steps:
        steps += (
            f" after {codes.steps} of {codes.batch_size} of the codes alone"
        )
    if config.fast_decoder.name is not None:
        fast = config.fast_training
        steps += f", the fast decoder {fast.steps} of {fast.batch_size}"
    if has_prior:
        steps += f", the prior {prior.steps} of {prior.batch_size}"
    return steps
