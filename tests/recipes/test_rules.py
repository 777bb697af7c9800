"""Numbers of recipes that are out of range, before anything is done."""

import math

import numpy as np
import pytest

from support import small
from vqvae_tf import recipes
from vqvae_tf.recipes import RecipeError, classes, rules as recipe_rules

# Of each key, values that it may not have, and what is expected of it.
BAD = {
    "seed": ((-1, 2**31, 1.5, True), "an integer of at least 0 and at most"),
    "name": (("",), "a non-empty string"),
    "data.source": (("",), "a non-empty string"),
    "data.crop": (("left",), "one of 'random', 'center'"),
    "data.resize_range": (((9, 3), (3,), (0, 3)), "two positive integers"),
    "data.num_classes": ((0, -1), "or None"),
    "data.bound_samples": ((0,), "at least 1"),
    "data.neighbour_pictures": ((-1,), "at least 0"),
    "data.max_recordings": ((0,), "or None"),
    "training.steps": ((0, -5), "an integer of at least 1"),
    "training.batch_size": ((0, -1), "an integer of at least 1"),
    "training.crop_size": ((0,), "or None"),
    "training.learning_rate": (
        (math.nan, math.inf, 0.0, -1e-3),
        "above 0",
    ),
    "training.final_learning_rate": ((math.nan, -1.0), "at least 0"),
    "training.warmup_steps": ((-1,), "at least 0"),
    "training.clip_norm": ((0.0, math.nan, -1.0), "above 0, or None"),
    "training.weight_decay": ((-1.0, math.nan), "at least 0, or None"),
    "training.steps_per_epoch": ((0,), "at least 1"),
    "training.checkpoint_minutes": ((math.nan, -1.0), "at least 0"),
    "prior_training.steps": ((0,), "at least 1"),
    "prior_training.learning_rate": ((math.nan,), "above 0"),
    "prior_training.encode_passes": ((0,), "at least 1"),
    "fast_training.batch_size": ((0,), "at least 1"),
    "code_training.steps": ((-1,), "at least 0"),
    "marginals.channels": ((0,), "or None"),
    "marginals.weight": ((-1.0, math.nan), "at least 0"),
    "quantizer.decay": ((-0.1, 1.5, math.nan), "at least 0 and at most 1"),
    "quantizer.commitment_cost": ((-1.0, math.inf), "at least 0"),
    "quantizer.num_embeddings": ((0, 2.5, [8, 0]), "at least 1"),
    "quantizer.restart_after": ((0,), "or None"),
    "quantizer.restart_below": ((0.0, -1.0, math.nan), "above 0, or None"),
    "quantizer.accumulation_steps": ((0, 1.5), "at least 1"),
    "encoder.hidden_channels": ((0,), "at least 1"),
    "encoder.num_downsamples": ((-1,), "at least 0"),
    "likelihood.min_scale": ((0.0,), "above 0"),
    "prior.dropout": ((-0.5, 2.0), "at most 1"),
    "prior.event_shape": (((0, 4), (4.0, 4)), "a list, each item an integer"),
}


def a_recipe_with(key):
    """A recipe of a kind that has the section, and data, of a key."""
    if key.startswith(("fast_training", "code_training", "data.max_rec")):
        return recipes.defaults("speech")
    if key.startswith("marginals"):
        return recipes.defaults("video")
    return small.recipe()


@pytest.mark.parametrize("key", BAD)
def test_values_out_of_range_are_refused(key):
    values, expected = BAD[key]
    for value in values:
        config = a_recipe_with(key)
        section, _, last = key.rpartition(".")
        part = config[section] if section else config
        with config.unlocked(), part.ignore_type():
            part[last] = value
        with pytest.raises(ValueError) as caught:
            recipes.check_recipe(config)
        message = str(caught.value)
        assert message.startswith(f"The recipe's {key} must be ")
        assert expected in message
        assert message.endswith(f"Received: {key}={value!r}.")


def test_every_number_of_the_defaults_has_a_rule():
    """Those of new keys, too."""
    config = recipes.defaults()
    own = ("data.image_size", "data.channels", "data.sample_rate")
    own += (
        "data.window",
        "data.num_speakers",
        "dtype_policy",
        "kind",
    )  # elsewhere
    keys = dict(recipe_rules._flat(config))
    missing = [
        key
        for key in keys
        if key not in recipe_rules._keys()
        and key not in own
        and not key.startswith("card.")
        and not key.endswith(".name")
    ]
    assert not missing
    recipe_rules.check_values(config, classes.sections())


def test_what_is_not_used_is_not_looked_at():
    config = small.recipe()
    config.adversary.update(name=None, weight=math.nan)
    recipes.check_recipe(config)


@pytest.mark.parametrize("section", ["data", "training", "prior", "seed"])
def test_a_recipe_lacks_no_section(section):
    config = small.recipe()
    with config.unlocked():
        del config[section]
    with pytest.raises(RecipeError, match=f"recipe's {section} must be a"):
        recipes.check_recipe(config)


def test_a_section_is_a_section_with_a_name():
    config = small.recipe()
    with config.unlocked():
        config.prior = recipes.defaults().marginals
        del config.prior["weight"], config.prior["channels"]
    with pytest.raises(RecipeError, match="recipe's prior must have a `name`"):
        recipes.check_recipe(config)
    with config.unlocked(), config.ignore_type():
        config.prior = 3
    with pytest.raises(RecipeError, match="prior must be a section"):
        recipes.check_recipe(config)


NEEDED = (
    "training.batch_size training.learning_rate training.steps_per_epoch "
    "data.source data.sample_rate data.window data.num_speakers "
    "data.num_classes data.max_recordings code_training.steps card.samples "
    "quantizer.name prior_training.encode_passes marginals.weight"
).split()


@pytest.mark.parametrize("key", NEEDED)
def test_a_missing_key_is_named(key):
    config = small.recipe()
    section, last = key.split(".")
    with config.unlocked():
        del config[section][last]
    with pytest.raises(RecipeError, match=f"recipe's {section} .*{last}"):
        recipes.check_recipe(config)


@pytest.mark.parametrize(
    "key",
    "name seed training.learning_rate training.steps training.batch_size "
    "data.source data.image_size quantizer.decay encoder.name".split(),
)
def test_a_section_stands_for_no_value(key):
    config = small.recipe()
    section, _, last = key.rpartition(".")
    part = config[section] if section else config
    with config.unlocked(), part.ignore_type():
        part[last] = {"a": 1}
    with pytest.raises(ValueError, match=f"recipe's {key} must be") as caught:
        recipes.check_recipe(config)
    assert str(caught.value).endswith("{'a': 1}.")


@pytest.mark.parametrize(
    "key, value",
    [
        ("training.steps", 2**31),
        ("training.warmup_steps", 10**400),
        ("training.batch_size", True),
        ("prior_training.batch_size", 2**40),
        ("training.learning_rate", 1e300),
        ("training.learning_rate", 1e-320),
        ("training.clip_norm", 10**400),
        ("training.clip_norm", True),
        ("training.clip_norm", 1e300),
        ("data.image_size", True),
        ("data.image_size", 13_378),
        ("data.resize_range", (8, 13_378)),
        ("data.channels", True),
    ],
    ids=lambda v: str(v)[:24],
)
def test_numbers_have_bounds_of_both_sides(key, value):
    config = small.recipe()
    section, last = key.split(".")
    with config[section].ignore_type():
        config[section][last] = value
    with pytest.raises(ValueError, match=f"recipe's {key} must be"):
        recipes.check_recipe(config)


def test_numbers_of_numpy_are_python_s():
    config, expected = small.recipe(), recipes.to_json(small.recipe())
    with config.unlocked(), config.ignore_type():
        config.training.steps = np.int64(config.training.steps)
        config.quantizer.embedding_dim = np.int32(4)
        config.training.learning_rate = np.float64(1e-3)
        config.data.flip = np.bool_(True)
        config.prior.event_shape = (np.int64(4), np.int64(4))
    assert recipes.to_json(config) == expected
    config = recipes.check_recipe(config)
    assert type(config.training.steps) is int
    assert config.data.flip is True
    assert type(config.prior.event_shape[0]) is int
