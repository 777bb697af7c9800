"""The stages of levels: the autoencoder, then the prior of each level."""

import functools

import numpy as np
from ml_collections import ConfigDict

from vqvae_tf.media import sheets
from vqvae_tf.models import LatentGenerator
from vqvae_tf.recipes import building
from vqvae_tf.tasks.levels import recipe
from vqvae_tf.tasks.pictures import training as pictures
from vqvae_tf.tasks.pictures.recipe import first_pictures, open_split
from vqvae_tf.training.stages import Encoding, Plan, Stage, Steps
from vqvae_tf.training.workdir import CODES
from vqvae_tf.utils.code_levels import from_arrays, level_names

# Recipes with more levels train, but without plans of the further ones.
MOST_LEVELS = 6


def stage_of(level: str) -> str:
    """Returns the name of the stage that fits the prior of a level."""
    return f"prior_{level}"


def _plans():
    names = level_names(MOST_LEVELS)
    names = dict.fromkeys(["top", "middle", *names[1:-1], "bottom"])
    stages = tuple(map(stage_of, names))
    return (
        Plan("autoencoder", "training"),
        *(
            Plan(
                stage_of(name),
                "prior_training" if name == "top" else "lower_training",
                f", the prior of {name} {{steps}} of {{batch_size}}",
                keys=("prior.", "upper_codes."),
                bound_by=stages,
                is_used=functools.partial(_has_level, name=name),
                of_prior=True,
            )
            for name in names
        ),
    )


def _has_level(config, name):
    return name in level_names(len(config.model.levels))


PLANS = _plans()


def stages(config: ConfigDict, data_dir: str | None, with_prior: bool) -> Steps:
    """Yields the stages of a recipe; see `Task.stages`."""
    images = open_split(config.data, config.data.train_split, data_dir)
    held_out = open_split(config.data, config.data.eval_split, data_dir)
    if config.prior.name is not None:
        # Mistakes in it show before the first stage; always, since each layer
        # that is made draws from the seed.
        recipe.make_prior(config)
    pictures.check_network(config)
    autoencoder = building.make_autoencoder(config)
    examples = first_pictures(config, held_out)
    yield Stage(
        "autoencoder",
        autoencoder,
        config.training,
        functools.partial(
            pictures.picture_batches, config, images, config.training
        ),
        lambda: pictures.logged(autoencoder, examples),
    )
    prior = building.make_prior(config) if with_prior else None
    if prior is None:
        return autoencoder
    arrays = yield Encoding(
        CODES,
        autoencoder,
        lambda model: pictures.encode(config, model, images),
    )
    generator = LatentGenerator(autoencoder, prior)
    # The context of networks is int32, as the codes of a batch are.
    codes = {k: v.astype(np.int32) for k, v in from_arrays(arrays).items()}
    classes = pictures.class_context(config, arrays.get("labels"))
    for name, density in prior.by_level().items():
        # Samples need the priors of all levels.
        is_last = density is prior.densities[-1]
        yield pictures.prior_stage(
            config,
            density,
            codes[name],
            (lambda: sheets.grid(pictures.samples(config, generator)))
            if is_last
            else None,
            name=stage_of(name),
            section="prior_training" if name == "top" else "lower_training",
            context=prior.context_of(name, codes, classes),
        )
    return generator
