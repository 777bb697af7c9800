"""The stages of two levels: a VQ-VAE over a preset's code maps, and a prior.

As in section 4.2 of arXiv:1711.00937, where the 21x21 codes of a frame become
three global codes, and a PixelCNN models the map given these.
"""

import functools

import numpy as np
from ml_collections import ConfigDict

from vqvae_tf import data
from vqvae_tf.encoding import arrays as encoding
from vqvae_tf.media import sheets
from vqvae_tf.models import LatentGenerator
from vqvae_tf.recipes import building
from vqvae_tf.tasks.base_model import check_base, load_base
from vqvae_tf.tasks.pictures.recipe import first_pictures, open_split
from vqvae_tf.tasks.pictures.training import PLANS, encode, prior_stage
from vqvae_tf.training.stages import Encoding, Stage, Steps
from vqvae_tf.training.workdir import BASE_CODES, CODES

__all__ = ["PLANS", "stages"]


def stages(config: ConfigDict, data_dir: str | None, with_prior: bool) -> Steps:
    """Yields the stages of a recipe; see `Task.stages`."""
    base = load_base(config)
    images = open_split(config.data, config.data.train_split, data_dir)
    held_out = open_split(config.data, config.data.eval_split, data_dir)
    autoencoder = building.make_autoencoder(config)
    check_base(base, autoencoder)
    examples = base.encode(first_pictures(config, held_out))
    maps = yield Encoding(
        BASE_CODES, base, lambda model: encode(config, model, images)
    )
    codes = maps["codes"].astype(np.int32)
    yield Stage(
        "autoencoder",
        autoencoder,
        config.training,
        functools.partial(
            data.array_batches, codes, config.training.batch_size, config.seed
        ),
        lambda: {
            "reconstructions": sheets.pairs(
                base.decode(examples),
                base.decode(autoencoder.reconstruct(examples)),
            )
        },
    )
    prior = building.make_prior(config) if with_prior else None
    if prior is None:
        return autoencoder
    arrays = yield Encoding(
        CODES,
        autoencoder,
        lambda model: {"codes": encoding.encode_array(model, codes)},
    )
    generator = LatentGenerator(base, LatentGenerator(autoencoder, prior))
    yield prior_stage(
        config,
        prior,
        arrays["codes"],
        lambda: sheets.grid(generator.sample(16, seed=0)),
    )
    return generator
