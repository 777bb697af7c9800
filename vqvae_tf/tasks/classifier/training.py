"""The stage of a classifier of pictures."""

import functools

from ml_collections import ConfigDict

from vqvae_tf.recipes import building
from vqvae_tf.tasks.pictures.recipe import open_split
from vqvae_tf.tasks.pictures.training import picture_batches
from vqvae_tf.training.stages import Plan, Stage, Steps

PLANS = (Plan("classifier", "training"),)


def stages(config: ConfigDict, data_dir: str | None, with_prior: bool) -> Steps:
    """Yields the stage of a recipe; see `Task.stages`."""
    images = open_split(config.data, config.data.train_split, data_dir)
    model = building.make_autoencoder(config)
    yield Stage(
        "classifier",
        model,
        config.training,
        functools.partial(
            picture_batches,
            config,
            images,
            config.training,
            num_classes=config.data.num_classes,
        ),
        lambda: {},
    )
    return model
