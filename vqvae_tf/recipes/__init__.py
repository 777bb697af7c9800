"""Recipes: what is trained, on what, and how, as one ml_collections config.

A recipe file defines `get_config()`; the keys it may set are those of
`defaults()`. Unknown keys are errors, in the file as on the command line.
"""

import json

import ml_collections
import numpy as np

from vqvae_tf.recipes import rules as recipe_rules
from vqvae_tf.recipes.classes import (
    SECTIONS,
    arguments,
    find_class as find_class,
)
from vqvae_tf.recipes.files import (
    RecipeError as RecipeError,
    built_in,
    find_recipe,
    read_recipe,
)
from vqvae_tf.runtime import dtype_policies
from vqvae_tf.utils.checks import check_positive


def defaults() -> ml_collections.ConfigDict:
    """Returns a recipe with every key that there is, at its default."""
    config = ml_collections.ConfigDict()
    config.name = "vqvae"
    config.seed = 0
    # "auto" is mixed_bfloat16 where the processor has the instructions, else
    # float32; the run keeps what it began with.
    config.dtype_policy = dtype_policies.AUTO
    # A preset whose codes are the data: of a second stage, or of video.
    config.base = None
    # A preset whose weights training starts from, where they fit.
    config.start = None
    config.data = _section(
        source="tfds:cifar10",
        train_split="train",
        eval_split="test",
        image_size=None,
        # 3 for RGB, 1 for grey; pictures of the other kind are converted.
        channels=3,
        crop="random",
        resize_range=None,
        flip=True,
        num_classes=None,
        on_corrupt="error",
        # Draws of the bound that evaluation reports of a model with a prior.
        bound_samples=1,
        # Held-out pictures of which evaluation sums over neighbouring codes
        # too: as many decodings each as there are codes, times three.
        neighbour_pictures=0,
        # Of speech: the rate in Hz, samples of a training window, "peak" or
        # None, how many speakers the data have, and how many recordings of
        # each split evaluation looks at, evenly spaced; None for all. Larger
        # sets do not fit into memory.
        sample_rate=None,
        window=None,
        normalize="peak",
        num_speakers=None,
        max_recordings=5_000,
    )
    # Keyword arguments of the classes; `name` picks the class.
    config.preprocess = _section(name=None)
    config.encoder = _section(name="Encoder")
    config.quantizer = _section(name="VectorQuantizerEMA")
    # Of an autoencoder that is no VQ-VAE, in the quantizer's place; with it,
    # what damages its input, what its encoder is charged for, and what draws
    # the data that the likelihood models.
    config.bottleneck = _section(name=None)
    config.corruption = _section(name=None)
    config.regularizer = _section(name=None)
    config.observation = _section(name=None)
    config.likelihood = _section(name="Gaussian")
    config.decoder = _section(name="Decoder")
    # Of speech: what takes the speaker out of the codes, what asks them for
    # the spectrum, and what makes waveforms of it at once.
    config.adversary = _section(name=None)
    config.auxiliary = _section(name=None)
    config.fast_decoder = _section(name=None)
    # Of speech: how long the codes are trained before the WaveNet; 0 for not.
    config.code_training = _training()
    config.code_training.steps = 0
    config.training = _training()
    # Of speech: how long the fast decoder is trained, after the codes.
    config.fast_training = _training()
    # The network that tells a prior of video of the past.
    config.context = _section(name=None)
    # The head of that prior which foresees each code by itself.
    config.marginals = ml_collections.ConfigDict(
        dict(channels=None, weight=1.0), convert_dict=True
    )
    config.prior = _section(name=None)
    config.prior_training = _training()
    # How often the training set is encoded, each time with other crops.
    config.prior_training.encode_passes = 1
    # What the model card says in words, and which pictures of the package it
    # shows, one of CARD_SAMPLES.
    config.card = ml_collections.ConfigDict(
        dict(summary="", data="", training="", limits="", samples="photos")
    )
    return config


def _section(**items):
    section = ml_collections.ConfigDict(items)
    section.unlock()
    return section


def _training():
    return ml_collections.ConfigDict(
        dict(
            steps=10_000,
            batch_size=128,
            # Side of training crops, where smaller than data.image_size.
            crop_size=None,
            learning_rate=1e-3,
            warmup_steps=100,
            final_learning_rate=1e-5,
            clip_norm=None,
            steps_per_epoch=500,
            checkpoint_minutes=2.0,
        ),
        convert_dict=True,
    )


_DATA_KEYS = (
    "source train_split eval_split image_size channels crop resize_range flip "
    "num_classes on_corrupt bound_samples neighbour_pictures sample_rate "
    "window normalize num_speakers max_recordings"
).split()

# Photos, frames of DeepMind Lab, digits of MNIST, generated shapes, and spoken
# digits.
CARD_SAMPLES = ("photos", "dmlab", "digits", "shapes", "voices")


def load_recipe(path) -> ml_collections.ConfigDict:
    """Reads a recipe file and checks its keys.

    Args:
        path: a Python file with `get_config()`, or a name of `built_in()`.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it has no get_config, or sets unknown keys.
    """
    return check_recipe(read_recipe(find_recipe(path)))


def to_json(config) -> str:
    """Returns a recipe as JSON, without `card`: words, which may change."""
    recipe = config.to_dict()
    recipe.pop("card")
    return json.dumps(recipe, indent=2, sort_keys=True, default=_as_json)


def _as_json(value):
    return value.item() if isinstance(value, np.generic) else list(value)


def is_built_in(config) -> bool:
    """Returns whether a recipe is one of the zoo's, unchanged but for words."""
    path = built_in().get(config.name)
    return path is not None and to_json(load_recipe(path)) == to_json(config)


def check_recipe(config):
    """Raises ValueError for unknown keys, or where the size is not given."""
    if isinstance(config, ml_collections.FrozenConfigDict):
        # It cannot be changed: what is checked, and returned, is a copy.
        config = ml_collections.ConfigDict(config)
    known = defaults()
    _check_keys("recipe", config.keys(), known.keys())
    recipe_rules.check_sections(config, known)
    recipe_rules.make_plain(config)
    _check_keys("data", config.data.keys(), _DATA_KEYS)
    for section in ("training", "code_training", "fast_training"):
        _check_keys(section, config[section].keys(), known[section].keys())
    _check_keys(
        "prior_training",
        config.prior_training.keys(),
        known.prior_training.keys(),
    )
    _check_keys("marginals", config.marginals.keys(), known.marginals.keys())
    _check_keys("card", config.card.keys(), known.card.keys())
    _check_dtype_policy(config.dtype_policy)
    for section in SECTIONS:
        options = config.get(section)
        if options.name is not None:
            _check_keys(
                section, options.keys(), arguments(section, options.name)
            )
    recipe_rules.check_values(config, SECTIONS)
    if kind(config) == "speech":
        _check_speech(config)
    else:
        _check_image_size(config.data.get("image_size"))
        for section in _HELPERS:
            if (name := config[section].name) is not None:
                raise ValueError(
                    "Adversary, auxiliary and fast decoder are of speech: of "
                    "a recipe with data.sample_rate. Received: "
                    f"{section}.name={name!r}."
                )
        if config.code_training.steps:
            raise ValueError(
                "code_training is of speech: of a recipe with "
                "data.sample_rate. Received: code_training.steps="
                f"{config.code_training.steps}."
            )
    _check_channels(config.data.get("channels"))
    _check_card_samples(config.card.samples)
    _check_base(config)
    _check_bottleneck(config)
    return config


def kind(config) -> str:
    """Returns what a recipe makes.

    Returns:
        "pictures" (an autoencoder of pictures, and a prior), "codes" (the same
        of the codes of the preset `base`), "video" (a prior of the next
        frame's codes) or "speech" (a VQ-VAE of waveforms, and a prior).
    """
    if config.data.sample_rate is not None:
        return "speech"
    if config.context.name is not None:
        return "video"
    return "pictures" if config.base is None else "codes"


def _check_base(config):
    if kind(config) == "speech":
        return
    of_codes = config.preprocess.name is not None or kind(config) == "video"
    if of_codes != (config.base is not None):
        raise ValueError(
            "A recipe of codes names in `base` the preset that makes them, and "
            "in `preprocess` how they are embedded (or in `context`, for "
            f"video). Received: base={config.base!r}, preprocess.name="
            f"{config.preprocess.name!r}, context.name={config.context.name!r}."
        )


def _check_bottleneck(config):
    if config.bottleneck.name is not None:
        if config.prior.name is not None or config.base is not None:
            raise ValueError(
                "A prior, and a base, are of codes: of a recipe with a "
                "quantizer. Received: bottleneck.name="
                f"{config.bottleneck.name!r} with prior.name="
                f"{config.prior.name!r} and base={config.base!r}."
            )
        return
    for section in ("corruption", "regularizer", "observation"):
        if config.get(section).name is not None:
            raise ValueError(
                f"{section} is of autoencoders with a bottleneck. Received: "
                f"{section}.name={config.get(section).name!r} without "
                'bottleneck.name; a plain one is "Identity".'
            )


def _check_speech(config):
    for key in ("sample_rate", "window", "num_speakers"):
        value = config.data[key]
        if not recipe_rules.whole(1).holds(value):
            raise ValueError(
                f"A recipe of speech needs data.{key}, a positive integer. "
                f"Received: {value!r}."
            )
    if config.data.max_recordings is not None:
        check_positive("data.max_recordings", config.data.max_recordings)
    if config.data.num_classes is not None:
        raise ValueError(
            "The prior of a recipe of speech is told no class: "
            "data.num_classes must be None. Received: "
            f"{config.data.num_classes}."
        )
    of_speech = config.decoder.name == "WaveNet" and config.base is None
    if not of_speech or config.bottleneck.name is not None:
        raise ValueError(
            'A recipe of speech has a quantizer, decoder.name="WaveNet" and '
            f"no base. Received: decoder.name={config.decoder.name!r}, base="
            f"{config.base!r}, bottleneck.name={config.bottleneck.name!r}."
        )
    stride = 2 ** config.encoder.get("num_downsamples", 2)
    if config.data.window % stride:
        raise ValueError(
            f"data.window must be a multiple of the encoder's stride, {stride}."
            f" Received: data.window={config.data.window}."
        )
    if config.prior.get("global_channels") is not None:
        raise ValueError(
            "The prior of a recipe of speech is not told the speaker: leave "
            "prior.global_channels out. Received: "
            f"{config.prior.global_channels}."
        )
    if config.code_training.steps and config.auxiliary.name is None:
        raise ValueError(
            "code_training has an auxiliary decoder train the codes: it needs "
            'auxiliary.name="SpectralDecoder". Received: code_training.steps='
            f"{config.code_training.steps} without one."
        )
    for section, (name, derived) in _HELPERS.items():
        _check_helper(section, config[section], name, derived)


# Of each helper the class, and what follows from the rest of the recipe.
_HELPERS = {
    "adversary": ("LabelAdversary", ("num_classes",)),
    "auxiliary": ("SpectralDecoder", ("sample_rate", "hop")),
    "fast_decoder": ("SpectralDecoder", ("sample_rate", "hop")),
}


def _check_helper(section, options, name, derived):
    if options.name not in (None, name):
        raise ValueError(
            f"{section}.name must be {name} or None. Received: {options.name}."
        )
    if given := [key for key in derived if key in options]:
        raise ValueError(
            f"{section}.{given[0]} follows from the rest of the recipe: leave "
            f"it out. Received: {options[given[0]]}."
        )


def _check_dtype_policy(policy):
    known = (dtype_policies.AUTO, *dtype_policies.POLICIES)
    if policy not in known:
        why = ""
        if policy == "float16":
            why = (
                " Weights in float16 are soon NaN, since the squares of small "
                "gradients are 0; mixed_float16 keeps weights in float32."
            )
        raise ValueError(
            f"The recipe's dtype_policy must be one of "
            f"{', '.join(known)}. Received: {policy!r}.{why}"
        )


def _check_image_size(size):
    # A model takes any size; figures, card and samples are of one.
    if not recipe_rules.SIDE.holds(size):
        raise ValueError(
            "The recipe's data.image_size must be a positive integer, the side "
            f"of the pictures in pixels: {recipe_rules.SIDE.text}. Received: "
            f"{size!r}. Set it in the "
            "recipe, for instance config.data.image_size = 32."
        )


def _check_channels(channels):
    if isinstance(channels, bool) or channels not in (1, 3):
        raise ValueError(
            "The recipe's data.channels must be 3 (RGB) or 1 (grey); pictures "
            f"of the other kind are converted. Received: {channels!r}."
        )


def _check_card_samples(kind):
    if kind not in CARD_SAMPLES:
        raise ValueError(
            f"The recipe's card.samples must be one of "
            f"{', '.join(CARD_SAMPLES)}, the pictures of the package that a "
            f"card shows. Received: {kind!r}."
        )


def _check_keys(section, received, known):
    unknown = sorted(set(received) - set(known))
    if unknown:
        raise ValueError(
            f"Unknown keys in the recipe's {section}: {', '.join(unknown)}. "
            f"Known keys: {', '.join(sorted(known))}."
        )
