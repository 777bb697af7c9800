"""The figures of models of pictures."""

import functools

import keras
import numpy as np

from vqvae_tf import data
from vqvae_tf.data.decoding import RESIZE_FILTERS
from vqvae_tf.data.pictures.batches import is_resized
from vqvae_tf.evaluation import (
    autoencoder_properties,
    autoencoders,
    disentanglement,
    pictures as evaluation,
    samples,
)
from vqvae_tf.evaluation.neighbour_bound import neighbour_bound
from vqvae_tf.models import Autoencoder, LatentGenerator
from vqvae_tf.models.feature_networks import find_network
from vqvae_tf.tasks.pictures.recipe import eval_batches, open_split
from vqvae_tf.utils.units import bits


def measure(
    model: keras.Model,
    description: dict,
    data_dir: str | None = None,
    progress: bool = True,
    rows: dict | None = None,
) -> dict:
    """Measures a model of pictures; see `tasks.measure`.

    Returns:
        For a `VQVAE` or a `LatentGenerator`, the figures of
        `evaluation.evaluate`. If the description has `neighbour_pictures`, also
        `neighbour_gain`, by how many bits/dim `neighbour_bound` improves the
        bound of that many pictures, and with a prior `neighbour_gain_uniform`,
        the same for the bound with a uniform prior. If pictures are resized,
        `psnr_of_FILTER_filter` of each filter, which make pictures of different
        sharpness. If the description names a `feature_network`, the figures of
        `evaluation.samples`, without a prior those of reconstructions alone.
        For an `Autoencoder`, the figures of `autoencoders.evaluate` and
        `autoencoder_properties.evaluate` and, on the generated shapes, `mig`,
        the mutual information gap.
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
    figures |= _by_filter(model, description, data_dir, progress)
    if count := description.get("neighbour_pictures", 0):
        figures |= _neighbour_gain(model, eval_batches(*held_out, count))
    if description.get("feature_network"):
        compare = _of_samples
        if model.prior is None:
            compare = _of_reconstructions
        figures |= compare(model, description, data_dir, progress)
    return figures


def _network(description):
    return find_network(
        description["feature_network"],
        # Older presets do not have the key.
        description.get("feature_network_sha256"),
    )


def _of_reconstructions(model, description, data_dir, progress):
    """Compares reconstructions with real pictures, where there is no prior."""
    held_out = eval_batches(description, description["eval_split"], data_dir)
    return samples.reconstructions(
        model, _network(description), held_out, progress
    )


def _of_samples(model, description, data_dir, progress):
    """Compares samples with real pictures; see `samples.evaluate`."""
    held_out, training = (
        eval_batches(description, description[split], data_dir)
        for split in ("eval_split", "train_split")
    )
    return samples.evaluate(
        model,
        _network(description),
        held_out,
        training,
        description["drawn_samples"],
        groups=description["class_groups"],
        temperature=description["drawn_temperature"],
        progress=progress,
    )


def _by_filter(model, description, data_dir, progress):
    """Returns the PSNR of pictures resized by each filter."""
    split = description["eval_split"]
    # Older presets do not have the key.
    if "resize_filter" not in description or not is_resized(
        open_split(description, split, data_dir), description["image_size"]
    ):
        return {}
    return {
        f"psnr_of_{name}_filter": evaluation.reconstruction_psnr(
            model.autoencoder,
            eval_batches(description, split, data_dir, resize_filter=name),
            progress,
        )
        for name in RESIZE_FILTERS
    }


def _neighbour_gain(model, batches):
    """Returns how much neighbouring codes improve the bound of one batch."""
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
    """Returns the mutual information gap, if there are latents to compare."""
    latents = np.concatenate([model.encode(x) for x, *_ in batches])
    # Rows after the last picture are padding.
    latents = latents[: len(factors)].reshape(len(factors), -1)
    if latents.shape[1] < 2:
        return {}
    gap = disentanglement.mutual_information_gap(latents, factors)
    return {"mig": float(gap.score)}
