"""Recipes of classifiers of pictures."""

from ml_collections import ConfigDict

from vqvae_tf import models, networks
from vqvae_tf.models import PictureClassifier
from vqvae_tf.recipes import building, registry, schema
from vqvae_tf.tasks.pictures import recipe as pictures


def defaults() -> ConfigDict:
    """Returns a recipe of a classifier with every key at its default."""
    return schema.common(
        data=schema.data(**pictures.picture_keys()),
        network=schema.section(name="ResidualFeatures"),
        # `name` switches it on; the rest are its arguments.
        classifier=schema.section(name=None),
        training=schema.training(),
    )


def check(config: ConfigDict) -> None:
    """Raises ValueError unless the recipe names a classifier's classes."""
    pictures.check_pictures(config)
    pictures.refuse_keys(config, "feature_network", "neighbour_pictures")
    if config.classifier.name is None or config.data.num_classes is None:
        raise ValueError(
            'A classifier needs classifier.name="PictureClassifier" and '
            "data.num_classes. Received: classifier.name="
            f"{config.classifier.name!r}, data.num_classes="
            f"{config.data.num_classes!r}."
        )
    pictures.check_groups(config)


def make_autoencoder(config: ConfigDict) -> PictureClassifier:
    """Makes the recipe's classifier, its only model."""
    size = config.data.image_size
    return building.make(
        config,
        "classifier",
        network=building.make(config, "network"),
        num_classes=config.data.num_classes,
        event_shape=(size, size, config.data.channels),
    )


KIND = registry.Kind(
    name="classifier",
    defaults=defaults,
    check=check,
    make_autoencoder=make_autoencoder,
    make_prior=lambda config: None,
    is_of=lambda config: config.classifier.name is not None,
    parts={"network": (networks,), "classifier": (models,)},
)
