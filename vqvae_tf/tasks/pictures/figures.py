"""The figures of models of pictures."""

import functools

import keras
import numpy as np

from vqvae_tf import data
from vqvae_tf.evaluation import (
    autoencoder_properties,
    autoencoders,
    disentanglement,
    pictures as evaluation,
)
from vqvae_tf.evaluation.neighbour_bound import neighbour_bound
from vqvae_tf.models import Autoencoder, LatentGenerator
from vqvae_tf.tasks.pictures.recipe import eval_batches
from vqvae_tf.utils.units import bits


def measure(
    model: keras.Model,
    description: dict,
    data_dir: str | None = None,
    progress: bool = True,
    rows: dict | None = None,
) -> dict:
    """Measures a model on the held-out split of `description`.

    Args:
        model: a `VQVAE`, a `LatentGenerator` or an `Autoencoder`.
        description: a dict like a recipe's `data` section.
        data_dir: where the data lies.
        progress: show progress bars.
        rows: a dict that gets the bounds of each picture, as of
            `evaluation.evaluate`.

    Returns:
        The figures of `evaluation.evaluate`, and where the description has
        `neighbour_pictures` what `neighbour_bound` adds to the bound of the
        first so many, in bits/dim as `neighbour_gain`, and with a prior to
        the bound without it as `neighbour_gain_uniform`. Of an `Autoencoder`
        those of `autoencoders.evaluate` and `autoencoder_properties.evaluate`,
        and of the generated shapes `mig`, the mutual information gap.
    """
    autoencoder = model.autoencoder
    if isinstance(autoencoder, Autoencoder):
        return _measure_family(model, description, data_dir, progress, rows)
    counts = None
    if isinstance(model, LatentGenerator):
        training = eval_batches(
            description, description["train_split"], data_dir
        )
        counts = evaluation.count_codes(autoencoder, training, progress)
    held_out = description, description["eval_split"], data_dir
    figures = evaluation.evaluate(
        model, eval_batches(*held_out), counts, progress, rows
    )
    if count := description.get("neighbour_pictures", 0):
        figures |= _neighbour_gain(model, eval_batches(*held_out, count))
    return figures


def _neighbour_gain(model, batches):
    """Returns what codes next to the encoder's add to one batch's bound."""
    pictures, _, weight = next(iter(batches))
    pictures = pictures.numpy()[weight.numpy() > 0]

    def gain(model: keras.Model):
        found = neighbour_bound(model, pictures)
        nats = np.mean(found["neighbours"] - found["codes"])
        return float(bits(nats, pictures[0].size))

    figures = {
        "neighbour_pictures": len(pictures),
        "neighbour_gain": gain(model),
    }
    if isinstance(model, LatentGenerator):
        figures["neighbour_gain_uniform"] = gain(model.autoencoder)
    return figures


def _measure_family(model, description, data_dir, progress, rows):
    batches = functools.partial(
        eval_batches, description, description["eval_split"], data_dir
    )
    samples = description.get("bound_samples", 1)
    figures = autoencoders.evaluate(
        model, batches(), samples, progress=progress, rows=rows
    )
    figures |= autoencoder_properties.evaluate(
        model, batches(), progress=progress
    )
    if description["source"] == "shapes":
        factors = data.load_shapes(description["eval_split"]).factors
        figures |= _information_gap(model, batches(), factors)
    return figures


def _information_gap(model, batches, factors):
    """Returns how well single latents stand for single factors."""
    latents = np.concatenate([model.encode(x) for x, *_ in batches])
    # What follows the last picture is padding.
    latents = latents[: len(factors)].reshape(len(factors), -1)
    if latents.shape[1] < 2:
        return {}
    gap = disentanglement.mutual_information_gap(latents, factors)
    return {"mig": float(gap.score)}
