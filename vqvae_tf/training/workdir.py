"""The directory of a run: its recipe, and which keys may still change."""

import json
import os
import pathlib

from ml_collections import ConfigDict

from vqvae_tf import recipes
from vqvae_tf.recipes import registry
from vqvae_tf.runtime import dtype_policies, strategies
from vqvae_tf.training.stages import Plan
from vqvae_tf.utils.files import write_atomically

RECIPE = "recipe.json"
# The training set, encoded once by the model, or by the recipe's base.
CODES, BASE_CODES = "codes.npz", "base_codes.npz"
# What a run writes besides the directories of its stages.
_WRITTEN = ("logs", "preset", CODES, BASE_CODES)
# Keys that training does not depend on, only evaluation and cards.
_UNTRAINED = (
    "name ",
    "card.",
    "data.eval_split ",
    "data.bound_samples ",
    "data.neighbour_pictures ",
    "data.feature_network ",
    "data.drawn_samples ",
    "data.drawn_temperature ",
    "data.class_groups ",
    "data.max_recordings ",
)


def check_empty(workdir: pathlib.Path, stages: set[str]) -> None:
    """Raises ValueError if a new run would meet files that no run made.

    Args:
        workdir: the run's directory.
        stages: the names of all stages of all tasks.
    """
    if (workdir / RECIPE).exists():
        return
    names = (*stages, *_WRITTEN)
    found = [name for name in names if os.path.lexists(workdir / name)]
    if found:
        raise ValueError(
            f"{workdir} contains {found[0]} but no {RECIPE}, so no run made "
            "it; a new run would overwrite it or mistake it for its own. "
            "Choose another --workdir."
        )


def compare_recipe(
    config: ConfigDict, workdir: pathlib.Path, plans: tuple[Plan, ...]
) -> None:
    """Raises ValueError if the directory holds a run of another recipe.

    Args:
        config: the recipe to train.
        workdir: the run's directory.
        plans: of the stages of this kind of recipe.
    """
    old = _noted(workdir)
    if old is None:
        return
    new = json.loads(recipes.to_json(config))
    if dtype_policies.AUTO in (new["dtype_policy"], old["dtype_policy"]):
        # Whatever "auto" was, or will be, resolved to.
        new["dtype_policy"] = old["dtype_policy"]
    fixed = [
        difference
        for difference in _differences(old, new)
        if not _may_change(difference, workdir, plans)
    ]
    if fixed:
        raise ValueError(
            f"{workdir} contains a run of another recipe; they differ in "
            f"{', '.join(fixed)}. Resume with the old recipe, or choose "
            "another --workdir."
        )


def noted_policy(workdir: pathlib.Path) -> str | None:
    """Returns the dtype policy of the run in a directory.

    None for a new run, and for one whose file was edited to say "auto": they
    choose one as they start.
    """
    policy = (_noted(workdir) or {}).get("dtype_policy")
    return policy if policy in dtype_policies.POLICIES else None


def note_recipe(config: ConfigDict, workdir: pathlib.Path) -> None:
    """Writes the recipe into the run's directory, on the chief."""
    path, text = workdir / RECIPE, recipes.to_json(config)
    if not strategies.is_chief() or path.exists() and path.read_text() == text:
        return
    with write_atomically(path) as temporary:
        pathlib.Path(temporary).write_text(text)


def _noted(workdir):
    """Returns the recipe of the run in a directory, or None without a run.

    Keys that did not exist when it was written have their defaults.
    """
    path = workdir / RECIPE
    if not path.exists():
        return None
    found = _read_recipe(path)
    default = recipes.defaults().to_dict()
    default.pop("card")
    default = json.loads(json.dumps(default))
    # Runs from before there was a choice used float32.
    default["dtype_policy"] = "float32"
    found = _completed(found, default)
    return recipes.own_keys(found, registry.of(ConfigDict(found)))


def _read_recipe(path):
    """Reads the recipe in a run's directory."""
    try:
        found = json.loads(path.read_text())
        if _is_recipe(found):
            return found
    except (ValueError, TypeError, AttributeError, RecursionError):
        pass
    raise ValueError(
        f"{path} is not the recipe of a run, or is damaged. Choose another "
        "--workdir, or move the file away."
    )


def _is_recipe(found):
    """Returns whether a file's content can be a recipe, even an old one."""
    known = recipes.defaults().to_dict()
    sections = [key for key in known if isinstance(known[key], dict)]
    policies = (dtype_policies.AUTO, *dtype_policies.POLICIES)
    kinds = (None, *(kind.name for kind in registry.kinds()))
    return (
        all(isinstance(found.get(key, {}), dict) for key in sections)
        and "data" in found
        and found.get("dtype_policy", "float32") in policies
        and found.get("kind") in kinds
    )


def _completed(recipe, default):
    """Adds the keys that did not exist when a recipe was written."""
    added = {k: v for k, v in default.items() if k not in recipe}
    known = {
        key: _completed(value, default[key])
        if isinstance(value, dict) and isinstance(default.get(key), dict)
        else value
        for key, value in recipe.items()
    }
    return {**known, **added}


def _may_change(difference, workdir, plans):
    """Returns whether nothing done so far depends on a key."""
    if difference.startswith(_UNTRAINED):
        return True
    if difference.startswith("prior_training.encode_passes"):
        return not (workdir / CODES).exists()
    return any(
        plan.has_key(difference) and not plan.has_begun(workdir)
        for plan in plans
    )


def _differences(old, new, prefix=""):
    names = []
    for key in sorted({*old, *new}):
        a, b = old.get(key), new.get(key)
        if isinstance(a, dict) and isinstance(b, dict):
            names += _differences(a, b, f"{prefix}{key}.")
        elif a != b:
            names.append(f"{prefix}{key} ({a!r}, now {b!r})")
    return names
