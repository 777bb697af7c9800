"""The sections and keys of recipes, with their defaults."""

import ml_collections
from ml_collections import ConfigDict

from vqvae_tf.recipes import registry
from vqvae_tf.runtime import dtype_policies

# The package's pictures and recordings that a model card can show: photos,
# frames of DeepMind Lab, digits of MNIST, generated shapes, spoken digits.
CARD_SAMPLES = ("photos", "dmlab", "digits", "shapes", "voices")


def defaults(kind: str | None = None) -> ConfigDict:
    """Returns a recipe with every key at its default.

    Args:
        kind: "pictures" (an autoencoder of pictures, and a prior), "codes"
            (the same for the code maps of a preset, `base`), "video" (a prior
            of the next frame's codes) or "speech" (a VQ-VAE of waveforms, and
            a prior). None returns the keys of all kinds, as in older recipes,
            whose kind follows from the keys they set.

    Raises:
        ValueError: for an unknown kind.

    Example:

    >>> config = defaults("speech")
    >>> config.decoder.name, "image_size" in config.data
    ('WaveNet', False)
    """
    if kind is not None:
        config = registry.find(kind).defaults()
        with config.unlocked():
            config.kind = kind
        return config
    config = ConfigDict()
    for one in registry.kinds():
        _add(config, one.defaults())
    with config.unlocked():
        config.kind = ml_collections.config_dict.placeholder(str)
    return config


def _add(config, other):
    """Adds the keys that a config lacks, also in its sections."""
    with config.unlocked():
        for key in other.keys():
            if key not in config:
                config[key] = other[key]
            elif isinstance(other[key], ConfigDict):
                _add(config[key], other[key])


def common(**sections: ConfigDict | None) -> ConfigDict:
    """Returns the keys of all kinds of recipes, and further sections."""
    config = ConfigDict()
    config.name = "vqvae"
    config.seed = 0
    # "auto" is mixed_bfloat16 on processors with instructions for it, else
    # float32; a run keeps its first choice.
    config.dtype_policy = dtype_policies.AUTO
    # A preset whose weights training starts from, where they fit.
    config.start = None
    # The model card's own words, and which of CARD_SAMPLES it shows.
    config.card = ConfigDict(
        dict(summary="", data="", training="", limits="", samples="photos")
    )
    for name, options in sections.items():
        config[name] = options
    return config


def section(**items: object) -> ConfigDict:
    """Returns a section: `name`, a class, and its keyword arguments."""
    config = ConfigDict(items)
    config.unlock()
    return config


def plain(**items: object) -> ConfigDict:
    """Returns a section of only these keys."""
    return ConfigDict(items, convert_dict=True)


def data(**items: object) -> ConfigDict:
    """Returns the section of the data: the common keys and further ones."""
    return section(
        source="tfds:cifar10",
        train_split="train",
        eval_split="test",
        on_corrupt="error",
        **items,
    )


def training(**items: object) -> ConfigDict:
    """Returns the section of a stage's training."""
    options = dict(
        steps=10_000,
        batch_size=128,
        # Side of training crops, where smaller than data.image_size.
        crop_size=None,
        learning_rate=1e-3,
        warmup_steps=100,
        final_learning_rate=1e-5,
        clip_norm=None,
        # The share of a kernel's size that a step takes off, over its rate.
        weight_decay=None,
        # Of the weights' moving averages, which are used after the last step.
        ema_momentum=None,
        steps_per_epoch=500,
        checkpoint_minutes=2.0,
    )
    return plain(**{**options, **items})


def is_training(config: ConfigDict) -> bool:
    """Returns whether a section is that of a stage's training."""
    return "learning_rate" in config and "steps_per_epoch" in config


def prior_training() -> ConfigDict:
    """Returns the section of a prior's training."""
    # How often the training set is encoded, each time with different crops.
    return training(encode_passes=1)
