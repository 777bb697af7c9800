"""Recipes of hierarchical VQ-VAEs: their levels, and a prior of each."""

import copy

from ml_collections import ConfigDict

from vqvae_tf import models, networks, quantizers
from vqvae_tf.densities import CodeChain, ConditionalDensity, DensityModel
from vqvae_tf.models import HierarchicalVQVAE
from vqvae_tf.models.level_priors import context_options
from vqvae_tf.recipes import building, registry, rules, schema
from vqvae_tf.tasks.pictures import recipe as pictures
from vqvae_tf.utils.code_sizes import as_argument


def defaults() -> ConfigDict:
    """Returns a recipe of levels with every key at its default."""
    return schema.common(
        data=schema.data(**pictures.picture_keys()),
        # HierarchicalVQVAE, with a list `levels` of CodeLevels, the top first:
        # dicts with `name`, and with `encoder`, `quantizer` and `decoder`,
        # which are such dicts.
        model=schema.section(name=None),
        likelihood=schema.section(name="Gaussian"),
        decoder=schema.section(name="Decoder"),
        training=schema.training(),
        # CodeChain, with a list `densities` of dicts, the top first: `name`,
        # and the arguments that do not follow from the model.
        prior=schema.section(name=None),
        # How the lower ones see the codes above them.
        upper_codes=schema.section(name="UpperCodes"),
        # Of the top's prior, and of each of the others.
        prior_training=schema.prior_training(),
        lower_training=schema.training(),
    )


def check(config: ConfigDict) -> None:
    """Raises ValueError unless levels and densities fit together."""
    pictures.check_pictures(config)
    pictures.check_samples(config)
    pictures.refuse_keys(config, "neighbour_pictures")
    levels = config.model.get("levels", ())
    densities = config.prior.get("densities", ())
    for key, parts in (
        ("model.levels", levels),
        ("prior.densities", densities),
    ):
        if not isinstance(parts, list | tuple) or not all(
            isinstance(part, dict | ConfigDict) and "name" in part
            for part in parts
        ):
            raise ValueError(
                f"The recipe's {key} must be a list with a dict for each "
                "level, the top first, which has a `name` and arguments. "
                f"Received: {key}={parts!r}."
            )
    if config.model.name is None or len(levels) < 2:
        raise ValueError(
            'The recipe needs model.name="HierarchicalVQVAE" and model.levels '
            "with two or more levels, the top first. Received: model.name="
            f"{config.model.name!r} with {len(levels)} levels."
        )
    if config.prior.name is not None and len(densities) != len(levels):
        raise ValueError(
            "The recipe's prior.densities must have a density for each of "
            f"{len(levels)} levels. Received: {len(densities)}."
        )


def make_autoencoder(config: ConfigDict) -> HierarchicalVQVAE:
    """Makes the recipe's hierarchical VQ-VAE."""
    size = config.data.image_size
    return building.make(
        config,
        "model",
        decoder=pictures.make_decoder(config),
        event_shape=(size, size, config.data.channels),
    )


def make_prior(config: ConfigDict) -> CodeChain:
    """Makes the chain of the recipe's densities.

    What follows from the model is filled in: the numbers of codes, the grids,
    and what a level sees of those above it.
    """
    model = make_autoencoder(config)
    names = list(model.quantizers())
    densities = [make_density(config, model, name) for name in names]
    return building.make(config, "prior", densities=densities)


def make_density(
    config: ConfigDict,
    model: HierarchicalVQVAE,
    level: str,
    sees_above: bool = True,
) -> DensityModel:
    """Makes the density of a level.

    Args:
        config: a recipe.
        model: its autoencoder.
        level: the level's name.
        sees_above: whether it is given the codes above, if there are any.
    """
    quantizers, factors = model.quantizers(), model.downsamplings()
    number, quantizer = list(quantizers).index(level), quantizers[level]
    options = {
        "num_embeddings": as_argument(quantizer.num_codes),
        "num_codebooks": quantizer.num_codebooks,
        "event_shape": [n // factors[level] for n in model.event_shape[:2]],
        "global_channels": config.data.num_classes,
        **copy.deepcopy(config.prior.to_dict())["densities"][number],
    }
    network = None
    if number and sees_above:
        network = building.make(
            config,
            "upper_codes",
            **context_options(level, quantizers, factors),
        )
        options["local_channels"] = network.hidden_channels
    density = building.made("prior", options.pop("name"), options)
    return density if network is None else ConditionalDensity(network, density)


KIND = registry.Kind(
    name="levels",
    defaults=defaults,
    check=check,
    make_autoencoder=make_autoencoder,
    make_prior=make_prior,
    is_of=lambda config: config.model.name is not None,
    parts={
        "model": (models, networks, quantizers),
        "upper_codes": (networks,),
    },
    rules=rules.of_training("lower_training"),
)
