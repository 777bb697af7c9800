"""Recipes: ml_collections configs of a model, its data and its training.

A recipe file defines `get_config()`; the keys it may set are those of
`defaults(kind)`. Unknown keys are errors, in the file and on the command line.
"""

from vqvae_tf.recipes.checks import (
    check_recipe,
    is_built_in,
    kind,
    load_recipe,
    own_keys,
    to_json,
)
from vqvae_tf.recipes.classes import find_class
from vqvae_tf.recipes.files import (
    RecipeError,
    built_in,
    find_recipe,
    read_recipe,
)
from vqvae_tf.recipes.schema import CARD_SAMPLES, defaults

__all__ = [
    "CARD_SAMPLES",
    "RecipeError",
    "built_in",
    "check_recipe",
    "defaults",
    "find_class",
    "find_recipe",
    "is_built_in",
    "kind",
    "load_recipe",
    "own_keys",
    "read_recipe",
    "to_json",
]
