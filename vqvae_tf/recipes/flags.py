"""`--config.KEY=VALUE`: overrides of a recipe's keys."""

import difflib
import functools

from absl import flags
from ml_collections import ConfigDict, config_dict, config_flags

from vqvae_tf import recipes
from vqvae_tf.recipes import rules as recipe_rules


def override(config: ConfigDict, arguments: list[str]) -> ConfigDict:
    """Returns a recipe with values from the command line.

    Args:
        config: a recipe.
        arguments: such as `--config.training.steps=5` or `--noconfig.data.flip`
            for keys of the recipe; values must have the type of those there.

    Raises:
        ValueError: for a key that the recipe does not have, or a bad value.
    """
    config = config.copy_and_resolve_references()
    for argument in arguments:
        _check_key(config, _key(argument))
    nones, arguments = _split_nones(config, arguments)
    _allow_any_value_for_none(config)
    values, argv = flags.FlagValues(), ["vqvae-tf", *arguments]
    holder = config_flags.DEFINE_config_dict(
        "config", config, flag_values=values, sys_argv=argv
    )
    try:
        values(argv)
    except flags.Error as error:
        raise ValueError(str(error)) from error
    config = holder.value.copy_and_resolve_references()
    for key in nones:
        *parents, last = key.split(".")
        section = functools.reduce(ConfigDict.__getitem__, parents, config)
        with section.unlocked(), section.ignore_type():
            section[last] = None
    return config


def _key(argument):
    return argument.partition("=")[0].partition("config.")[2]


def _split_nones(config, arguments):
    """Separates the keys set to None, which parsers of other types refuse.

    Returns:
        The keys whose final value is None, and the remaining arguments.
    """
    known, nones, left = dict(_items(recipes.defaults())), set(), []
    now = dict(_items(config))
    for argument in arguments:
        key, value = _key(argument), argument.partition("=")[2]
        if value == "None" and _may_be_none(key, now[key], known):
            nones.add(key)
        else:
            nones.discard(key)
            left.append(argument)
    return nones, [a for a in left if _key(a) not in nones]


def _may_be_none(key, value, known):
    return (
        value is None
        or isinstance(value, tuple | list)
        or known.get(key, "") is None
        or recipe_rules.may_be_none(key)
    )


def _allow_any_value_for_none(section):
    # Otherwise the key's type would be that of None, which no value has.
    for key in section.keys():
        if isinstance(section[key], ConfigDict):
            _allow_any_value_for_none(section[key])
        elif section[key] is None:
            section[key] = config_dict.placeholder(object)


def _check_key(config, key):
    keys = [known for known, _ in _items(config)]
    if key in keys:
        return
    section, _, last = key.rpartition(".")
    siblings = [k for k in keys if k.rpartition(".")[0] == section]
    close = difflib.get_close_matches(key, siblings, n=1)
    # Perhaps the section was forgotten, or another one was meant.
    close = close or [k for k in keys if k.endswith(f".{last}")]
    advice = "See the recipe's file."
    if close:
        advice = f"Did you mean {' or '.join(close)}?"
    raise ValueError(f"The recipe has no key {key}. {advice}")


def _items(section, prefix=""):
    for key in section.keys():
        yield f"{prefix}{key}", section[key]
        if isinstance(section[key], ConfigDict):
            yield from _items(section[key], f"{prefix}{key}.")
