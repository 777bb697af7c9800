"""Checks of recipes: their keys, the values, and how these fit together."""

import json
import pathlib

import numpy as np
from ml_collections import ConfigDict

from vqvae_tf.recipes import classes, registry, rules, schema
from vqvae_tf.recipes.files import built_in, find_recipe, read_recipe
from vqvae_tf.runtime import dtype_policies


def load_recipe(path: str | pathlib.Path) -> ConfigDict:
    """Reads a recipe file and checks it.

    Args:
        path: as for `find_recipe`.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: as `read_recipe` and `check_recipe`.
    """
    return check_recipe(read_recipe(find_recipe(path)))


def kind(config: ConfigDict) -> str:
    """Returns the name of a recipe's kind; see `defaults`."""
    return registry.of(config).name


def own_keys(config: dict | ConfigDict, of: registry.Kind) -> dict:
    """Returns a recipe as a dict, without the keys of other kinds.

    Older recipes have the keys of all kinds.
    """
    config = config.to_dict() if isinstance(config, ConfigDict) else config
    known, every = of.defaults(), schema.defaults()
    foreign = set(every.data.keys()) - set(known.data.keys())
    kept = {
        key: value
        for key, value in config.items()
        if key in known or key not in every
    }
    if isinstance(kept.get("data"), dict):
        kept["data"] = {
            k: v for k, v in kept["data"].items() if k not in foreign
        }
    return {**kept, "kind": of.name}


def to_json(config: ConfigDict) -> str:
    """Returns a recipe as JSON, without `card`, whose words may change."""
    recipe = own_keys(config, registry.of(config))
    recipe.pop("card")
    return json.dumps(recipe, indent=2, sort_keys=True, default=_as_json)


def _as_json(value):
    return value.item() if isinstance(value, np.generic) else list(value)


def is_built_in(config: ConfigDict) -> bool:
    """Returns whether a recipe is one of the zoo's, except for `card`."""
    path = built_in().get(config.name)
    return path is not None and to_json(load_recipe(path)) == to_json(config)


def check_recipe(config: ConfigDict) -> ConfigDict:
    """Checks a recipe, and returns it with only the keys of its kind.

    Args:
        config: from `defaults`, with other values set.

    Raises:
        RecipeError: for missing sections or keys.
        ValueError: for unknown keys and invalid values.
    """
    # A copy, which can be changed even if the recipe is frozen.
    config = ConfigDict(config).copy_and_resolve_references()
    if config.get("kind") is None:
        config = _of_one_kind(config)
    of = registry.of(config)
    known = schema.defaults(of.name)
    _check_keys("recipe", config.keys(), known.keys())
    rules.check_sections(config, known)
    rules.make_plain(config)
    parts = [name for name in classes.sections() if name in known]
    for name in known.keys():
        if name not in parts and isinstance(known[name], ConfigDict):
            _check_keys(name, config[name].keys(), known[name].keys())
    _check_dtype_policy(config.dtype_policy)
    for part in parts:
        options = config[part]
        if options.name is not None:
            arguments = classes.arguments(part, options.name)
            _check_keys(part, options.keys(), arguments)
    rules.check_values(config, parts)
    of.check(config)
    return config


def _of_one_kind(config):
    """Reduces a recipe with the keys of all kinds to those of its own."""
    every = schema.defaults()
    _check_keys("recipe", config.keys(), every.keys())
    rules.check_sections(config, every)
    _check_keys("data", config.data.keys(), every.data.keys())
    of = registry.of(config)
    _check_foreign(config, of)
    known = schema.defaults(of.name)
    with known.unlocked(), known.ignore_type():
        for key in known.keys():
            if key != "kind":
                known[key] = config[key]
    with known.data.unlocked():
        for key in set(every.data.keys()) - set(of.defaults().data.keys()):
            del known.data[key]
    return known


def _check_foreign(config, of):
    """Raises ValueError if a recipe uses parts of another kind."""
    known, every = of.defaults(), schema.defaults()
    for key in every.keys():
        if key in known or key == "kind":
            continue
        for name, default, found in _switches(key, every[key], config[key]):
            if found != default:
                kinds = [
                    k.name for k in registry.kinds() if key in k.defaults()
                ]
                raise ValueError(
                    f"{key} is only for recipes of kind {' or '.join(kinds)}. "
                    f"Received: {name}={found!r} in a recipe of kind {of.name}."
                )


def _switches(key, default, found):
    """Yields the keys that switch on a section, or key, off by default."""
    if not isinstance(default, ConfigDict):
        yield key, default, found
        return
    for last, off in (("name", None), ("steps", 0)):
        if default.get(last, 1) == off:
            yield f"{key}.{last}", off, found.get(last)


def _check_dtype_policy(policy):
    known = (dtype_policies.AUTO, *dtype_policies.POLICIES)
    if policy not in known:
        why = ""
        if policy == "float16":
            why = (
                " Weights in float16 soon become NaN, since the squares of "
                "small gradients underflow; use mixed_float16, which keeps "
                "weights in float32."
            )
        raise ValueError(
            f"The recipe's dtype_policy must be one of "
            f"{', '.join(known)}. Received: {policy!r}.{why}"
        )


def _check_keys(section, received, known):
    unknown = sorted(set(received) - set(known))
    if unknown:
        raise ValueError(
            f"Unknown keys in the recipe's {section}: {', '.join(unknown)}. "
            f"Known keys: {', '.join(sorted(known))}."
        )
