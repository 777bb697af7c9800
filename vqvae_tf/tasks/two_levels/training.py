"""A second stage: the code maps of a preset to a few codes, and a prior.

Section 4.2 of arXiv:1711.00937: the 21x21 codes of a frame become three codes,
and a PixelCNN models the map given the three.
"""

import numpy as np

from vqvae_tf import data, presets
from vqvae_tf.encoding import arrays as encoding
from vqvae_tf.evaluation import two_levels as code_evaluation
from vqvae_tf.media import sheets
from vqvae_tf.models import LatentGenerator
from vqvae_tf.recipes import building, classes as recipe_classes
from vqvae_tf.tasks.pictures import training as pictures
from vqvae_tf.training import fitting


def train(config, workdir, data_dir, stage, start):
    """Trains both parts of the second stage; see `pictures.train`."""
    base = load_base(config)
    images = pictures.open_split(config.data, config.data.train_split, data_dir)
    held_out = pictures.open_split(
        config.data, config.data.eval_split, data_dir
    )
    autoencoder = building.make_autoencoder(config)
    check_base(base, autoencoder)
    examples = base.encode(pictures.first_pictures(config, held_out))
    start()
    codes = encoding.once(
        workdir / "base_codes.npz",
        base,
        lambda model: pictures.encode(config, model, images),
    )["codes"].astype(np.int32)
    fitting.fit(
        autoencoder,
        config.training,
        lambda **place: data.array_batches(
            codes, config.training.batch_size, config.seed, **place
        ),
        workdir / "autoencoder",
        lambda: {
            "reconstructions": sheets.pairs(
                base.decode(examples),
                base.decode(autoencoder.reconstruct(examples)),
            )
        },
    )
    prior = building.make_prior(config)
    if prior is None or stage == "autoencoder":
        return autoencoder
    arrays = encoding.once(
        workdir / "codes.npz",
        autoencoder,
        lambda model: {"codes": encoding.encode_array(model, codes)},
    )
    generator = LatentGenerator(base, LatentGenerator(autoencoder, prior))
    pictures.fit_prior(
        config,
        prior,
        arrays["codes"],
        None,
        workdir / "prior",
        lambda: sheets.grid(generator.sample(16, seed=0)),
    )
    return generator


def load_base(config):
    """Returns the autoencoder of the preset that the recipe stands on.

    Raises:
        ValueError: if its pictures have other channels than the recipe's.
    """
    model = presets.load(
        config.base, custom_objects=recipe_classes.own_classes(config)
    )
    base = model.autoencoder
    expected = base.event_shape[-1]
    if config.data.channels != expected:
        raise ValueError(
            f"The base {config.base} takes pictures of {expected} channels. "
            f"Received: a recipe with data.channels={config.data.channels}."
        )
    return base


def check_base(base, model):
    """Raises ValueError unless a model is of the codes of `base`.

    Args:
        base: a `VQVAE` of pictures.
        model: anything with `event_shape`, and a `decoder` or itself with
            `num_embeddings`.
    """
    density = getattr(model, "decoder", model)
    expected = base.quantizer.num_embeddings
    if density.num_embeddings != expected:
        raise ValueError(
            f"The base makes codes of {expected}. Received: a recipe for codes "
            f"of {density.num_embeddings}."
        )
    factor = base.downsampling
    grid = tuple(size // factor for size in base.event_shape[:2])
    if tuple(density.event_shape) != grid:
        raise ValueError(
            f"The base makes code maps of {grid}. Received: a recipe for "
            f"{tuple(density.event_shape)}."
        )


def measure(model, description, data_dir=None, progress=True) -> dict:
    """Measures a two-level model; see `pictures.measure`.

    Returns:
        The figures of `code_evaluation.evaluate`, and `global_usage`, over the
        training set: that of the codebook that uses least.
    """
    splits = [description["train_split"], description["eval_split"]]
    training, held_out = (
        _frames(description, split, data_dir) for split in splits
    )
    figures = code_evaluation.evaluate(model, held_out, progress)
    codes = encoding.encode_array(model.autoencoder, training)
    usage = code_evaluation.usage(model.prior.autoencoder, codes)
    return {**figures, "global_usage": float(usage.min())}


def _frames(description, split, data_dir):
    batches = pictures.eval_batches(description, split, data_dir, 64)
    frames = [x.numpy()[weight.numpy() > 0] for x, _, weight in batches]
    return np.concatenate(frames)
