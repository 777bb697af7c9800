"""From a trained recipe to a preset: measure, draw, write the card."""

from vqvae_tf import cards, presets, recipes, sheets
from vqvae_tf.models import LatentGenerator


def publish(config, model, folder, data_dir=None):
    """Writes a trained model as a preset, with figures, card and pictures.

    Args:
        config: its recipe.
        model: the `VQVAE` or `LatentGenerator` that `training.train` returned.
        folder: the preset's folder.
        data_dir: where the data lies.

    Returns:
        The sha256 of its metadata.json.

    Raises:
        ValueError: for what `recipes.check_recipe` refuses.
    """
    recipes.check_recipe(config)
    model = recipes.in_float32(config, model)
    description = cards.describe(config)
    figures = cards.measure(model, description, data_dir)
    pictures = _pictures(model, description)
    steps = f"{config.training.steps} steps of {config.training.batch_size}"
    if isinstance(model, LatentGenerator):
        prior = config.prior_training
        steps += f", the prior {prior.steps} of {prior.batch_size}"
    metadata = {
        "recipe": config.name,
        "summary": config.card.summary,
        "data": description,
        "seed": config.seed,
        "steps": steps,
        "metrics": figures,
    }
    card = cards.card(config, figures, steps)
    return presets.save(model, folder, metadata, card, pictures)


def _pictures(model, description):
    """Returns the preset's pictures: a dict of file name to uint8 picture."""
    scale = max(1, 64 // description["image_size"])
    pictures = {
        "reconstructions.png": cards.reconstruction_sheet(
            model, description["image_size"]
        )
    }
    if isinstance(model, LatentGenerator):
        pictures["samples.png"] = cards.sample_sheet(
            model, description["num_classes"]
        )
    return {
        name: sheets.enlarge(picture, scale)
        for name, picture in pictures.items()
    }
