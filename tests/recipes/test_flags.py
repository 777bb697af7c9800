"""Overrides of a recipe's keys on the command line."""

import pytest

from support import small
from vqvae_tf import recipes
from vqvae_tf.recipes import flags as recipe_flags


def test_values_have_the_type_of_the_key():
    changed = recipe_flags.override(
        small.recipe(),
        [
            "--config.training.steps=5",
            "--config.training.learning_rate=1",
            "--noconfig.data.flip",
            "--config.prior.event_shape=(2, 2)",
        ],
    )
    assert changed.training.steps == 5
    assert isinstance(changed.training.learning_rate, float)
    assert changed.data.flip is False
    assert changed.prior.event_shape == (2, 2)


def test_keys_that_are_none():
    config = small.recipe()
    config.data.image_size = None
    changed = recipe_flags.override(
        config,
        ["--config.data.image_size=32", "--config.data.resize_range=(32, 40)"],
    )
    assert changed.data.image_size == 32
    assert changed.data.resize_range == (32, 40)
    assert config.data.image_size is None


def test_nothing_else_changes():
    config = small.recipe()
    changed = recipe_flags.override(config, [])
    assert recipes.to_json(changed) == recipes.to_json(config)


@pytest.mark.parametrize(
    "argument, message",
    [
        ("nope=5", "no key nope. See the recipe's file.$"),
        ("training.stepz=5", "no key training.stepz. Did you mean training.s"),
        ("steps=5", "mean code_training.steps or fast_training.steps or"),
        ("seed.x=5", "no key seed.x. See"),
        ("seed=x", "--config.seed=x: invalid literal"),
    ],
)
def test_mistakes(argument, message):
    with pytest.raises(ValueError, match=message):
        recipe_flags.override(small.recipe(), [f"--config.{argument}"])


@pytest.mark.parametrize(
    "key",
    "data.resize_range data.num_classes training.clip_norm base prior.name "
    "prior.event_shape".split(),
)
def test_none_is_none(key):
    config = small.recipe(num_classes=2)
    changed = recipe_flags.override(config, [f"--config.{key}=None"])
    section, _, last = key.rpartition(".")
    assert (changed[section] if section else changed)[last] is None
    # The last one counts.
    changed = recipe_flags.override(
        config,
        ["--config.data.num_classes=None", "--config.data.num_classes=3"],
    )
    assert changed.data.num_classes == 3
