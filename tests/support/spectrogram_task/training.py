"""The stages of spectrograms: a VQ-VAE, and a prior over its codes."""

import functools

from support.spectrogram_task.recipe import open_split
from vqvae_tf import LatentGenerator, data
from vqvae_tf.encoding import arrays as encoding
from vqvae_tf.media import sheets
from vqvae_tf.recipes import building
from vqvae_tf.tasks.pictures.training import PLANS, prior_stage
from vqvae_tf.training.stages import Encoding, Stage
from vqvae_tf.training.workdir import CODES

__all__ = ["PLANS", "stages"]


def stages(config, data_dir, with_prior):
    """Yields the stages of a recipe; see `Task.stages`."""
    pictures, held_out = (
        open_split(config.data, split, data_dir)
        for split in (config.data.train_split, config.data.eval_split)
    )
    autoencoder = building.make_autoencoder(config)
    examples = held_out.get(range(held_out.num_examples))["image"].numpy()
    values = pictures.get(range(pictures.num_examples))["image"].numpy()
    yield Stage(
        "autoencoder",
        autoencoder,
        config.training,
        functools.partial(
            data.array_batches, values, config.training.batch_size, config.seed
        ),
        lambda: {
            "reconstructions": sheets.pairs(
                examples, autoencoder.reconstruct(examples)
            )
        },
    )
    prior = building.make_prior(config) if with_prior else None
    if prior is None:
        return autoencoder
    arrays = yield Encoding(
        CODES,
        autoencoder,
        lambda model: {"codes": encoding.encode_array(model, values)},
    )
    generator = LatentGenerator(autoencoder, prior)
    yield prior_stage(
        config,
        prior,
        arrays["codes"],
        lambda: sheets.grid(generator.sample(4, seed=0)),
    )
    return generator
