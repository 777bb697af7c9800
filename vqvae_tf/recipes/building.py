"""Builds models, priors and optimizers from a recipe's sections."""

import copy

import keras
from ml_collections import ConfigDict

from vqvae_tf.recipes import classes, registry
from vqvae_tf.recipes.warm_start import warm_start
from vqvae_tf.runtime.adam import Adam
from vqvae_tf.utils.code_sizes import as_argument
from vqvae_tf.utils.messages import first_line

# Matches names of variables that are no kernels.
_NO_KERNEL = r"^(?!.*kernel)"


def make(
    config: ConfigDict, section: str, **overrides: object
) -> keras.Layer | None:
    """Makes an object of the class that a section names.

    Args:
        config: a recipe.
        section: the section's name; its keys are the class's arguments. An
            argument that is itself a section with a `name`, such as `stages` of
            a `ResidualQuantizer`, becomes an object of that class, and a list
            of such sections a list of objects.
        overrides: arguments that replace the recipe's, or follow from the rest
            of it.

    Returns:
        The object, or None if the section names no class.

    Raises:
        ValueError: if arguments are missing or invalid.
    """
    options = copy.deepcopy(config[section].to_dict())
    name = options.pop("name")
    return None if name is None else made(section, name, options | overrides)


def made(section: str, name: str, options: dict) -> keras.Layer:
    """Makes an object; arguments with a `name` are made in the same way.

    Args:
        section: the recipe's section that may name such classes.
        name: the class.
        options: its arguments.

    Raises:
        ValueError: as `make`.
    """
    classes.check_given(section, name, options)
    options = {key: _argument(section, value) for key, value in options.items()}
    try:
        return classes.find_class(section, name)(**options)
    except TypeError as error:
        raise ValueError(
            f"The recipe's {section}: {name} cannot be made with the arguments "
            f"{', '.join(options) or '(none)'}: {first_line(error)}"
        ) from error


def _argument(section, value):
    if isinstance(value, dict) and "name" in value:
        options = {k: v for k, v in value.items() if k != "name"}
        return made(section, value["name"], options)
    if isinstance(value, list | tuple):
        return type(value)(_argument(section, item) for item in value)
    return value


def make_autoencoder(config: ConfigDict) -> keras.Model:
    """Builds the model of a recipe's first stage, with its variables."""
    model = registry.of(config).make_autoencoder(config)
    model.build()
    start(config, model, "autoencoder")
    return model


def make_prior(config: ConfigDict) -> keras.Model | None:
    """Builds the recipe's prior with its variables; None if it has none."""
    if "prior" not in config or config.prior.name is None:
        return None
    prior = registry.of(config).make_prior(config)
    prior.build()
    start(config, prior, "prior")
    return prior


def start(
    config: ConfigDict, model: keras.Model, part: str, required: bool = True
) -> None:
    """Starts a model from the weights of the recipe's `start`, if any.

    Args:
        config: a recipe.
        model, part, required: as for `warm_start`.
    """
    if config.start is not None:
        own = classes.own_classes(config)
        warm_start(model, config.start, part, required, custom_objects=own)


def prior_of_codes(config: ConfigDict) -> keras.Model | None:
    """Makes a prior over the codes of the recipe's quantizer."""
    sizes = code_sizes(config)
    count = config.data.get("num_classes")
    return make(
        config,
        "prior",
        num_embeddings=as_argument(sizes),
        num_codebooks=len(sizes),
        **({} if count is None else {"global_channels": count}),
    )


def code_sizes(config: ConfigDict) -> tuple[int, ...]:
    """Returns how many values each of the codes of a position has.

    They are those of the recipe's quantizer, however its arguments define
    them.
    """
    return make(config, "quantizer").num_codes


def make_optimizer(
    training: ConfigDict,
    beta_1: float = 0.9,
    beta_2: float = 0.999,
    rate: float = 1.0,
) -> keras.optimizers.Optimizer:
    """Returns Adam with a linear warm-up and a cosine decay.

    With `ema_momentum` it also keeps moving averages of the weights, which
    `training.averaging` puts in place. `weight_decay` is decoupled from the
    gradient (arXiv:1711.05101) and of kernels alone: biases, norms, embeddings
    and learned scales keep their size.

    Args:
        training: a recipe's section.
        beta_1, beta_2: of Adam.
        rate: a factor of the section's learning rates.
    """
    # Keras computes in the dtype of the weights. In bfloat16 0.999 rounds to 1,
    # so that the bias correction would make every step 0.
    weights = keras.config.dtype_policy().variable_dtype
    beta_2 = min(beta_2, 0.99) if weights == "bfloat16" else beta_2
    schedule = keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=0.0,
        decay_steps=max(training.steps - training.warmup_steps, 1),
        alpha=training.final_learning_rate / training.learning_rate,
        warmup_target=rate * training.learning_rate,
        warmup_steps=training.warmup_steps,
    )
    momentum = training.ema_momentum
    optimizer = Adam(
        schedule,
        beta_1=beta_1,
        beta_2=beta_2,
        weight_decay=training.weight_decay or None,
        global_clipnorm=training.clip_norm,
        use_ema=momentum is not None,
        ema_momentum=momentum or 0.0,
        ema_of_run=True,
    )
    optimizer.exclude_from_weight_decay(var_names=[_NO_KERNEL])
    return optimizer
