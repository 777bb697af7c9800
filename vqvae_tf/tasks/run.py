"""Training a recipe, of whatever kind, in a work directory.

A run can be killed at any moment; the same command goes on from the last
checkpoint:

    WORKDIR/recipe.json        the recipe that is being trained, and the dtype
                               policy that "auto" became
    WORKDIR/coder/             checkpoints of what comes before, if it does
    WORKDIR/autoencoder/       checkpoints of stage 1
    WORKDIR/fast_decoder/      of the fast decoder, of speech
    WORKDIR/*codes.npz         the training set, encoded once
    WORKDIR/prior/             checkpoints of stage 2
    WORKDIR/logs/              TensorBoard: losses, usage, pictures; and
                               history.jsonl, the metrics of each epoch
    WORKDIR/preset/            the result, as a preset
"""

import contextlib
import functools
import json
import os
import pathlib

import keras
import ml_collections
import tensorflow as tf
from absl import logging

from vqvae_tf import recipes, tasks as systems
from vqvae_tf.runtime import dtype_policies, strategies
from vqvae_tf.runtime.precision import copied
from vqvae_tf.utils.files import write_atomically
from vqvae_tf.utils.locking import locked
from vqvae_tf.utils.paths import check_utf8, expand


def train(config, workdir, data_dir=None, stage="all", strategy=None):
    """Trains a recipe, or goes on with it, and saves a preset.

    Args:
        config: a recipe, from `recipes.load_recipe`.
        workdir: the run's directory; a run in it is continued.
        data_dir: where the data lies, or None for TFDS_DATA_DIR.
        stage: "all", or "autoencoder" to stop before the prior (not of video).
        strategy: from `strategies.make_strategy`; None for one device. Of
            several workers, each calls this, and all see the same workdir.

    Returns:
        The trained `VQVAE`, a `LatentGenerator` where there is a prior, or a
        `VideoGenerator`; outside of the strategy, ready for use.

    Raises:
        ValueError: if workdir holds a run of another recipe, or files of
            other origin that would be replaced or read.
        FolderInUse: if another run is at work there.
        NotFinite: if the loss or a weight is infinite or no number.
        As `fitting.fit`.
    """
    workdir = expand(workdir)
    check_utf8(workdir, "A run's directory")
    config = recipes.check_recipe(config)
    with reserved(workdir, strategy):
        return _train(config, workdir, data_dir, stage, strategy)


def reserved(workdir, strategy=None):
    """Keeps other runs out of a directory, in a `with` block.

    Of several workers the chief does so for all, who share the directory.

    Raises:
        FolderInUse: if another run is at work there.
    """
    if not strategies.is_chief(strategy):
        return contextlib.nullcontext()
    return locked(workdir, "training in", "choose another --workdir")


def _train(config, workdir, data_dir, stage, strategy):
    _check_empty(workdir)
    _compare_recipe(config, workdir)
    system = systems.BY_KIND[recipes.kind(config)]
    strategy = strategy or tf.distribute.get_strategy()
    with strategy.scope(), strategies.telling_lost_workers(strategy):
        config = _with_policy(config, workdir)
        keras.config.set_dtype_policy(config.dtype_policy)
        keras.utils.set_random_seed(config.seed)
        # Called when all is open: a run that could not start leaves the
        # directory to others.
        start = functools.partial(_note_recipe, config, workdir)
        model = system.train(config, workdir, data_dir, stage, start)
    alone = strategy is tf.distribute.get_strategy()
    return model if alone else copied(model)


def _with_policy(config, workdir):
    """Returns the recipe with the dtype policy that "auto" is in this run.

    It is that of the run in the directory, or the one that suits the processor;
    of several workers' processors, the chief's.
    """
    policy = config.dtype_policy
    if policy == dtype_policies.AUTO:
        policy = _noted_policy(workdir) or dtype_policies.resolve(policy)
        number = dtype_policies.POLICIES.index(policy)
        policy = dtype_policies.POLICIES[strategies.of_all_workers(number)[0]]
        logging.info('The dtype policy "auto" is %s in this run.', policy)
    dtype_policies.warn_if_slow(policy)
    # A copy, which is not frozen even if the original is.
    config = ml_collections.ConfigDict(config).copy_and_resolve_references()
    config.dtype_policy = policy
    return config


# The run's directory --------------------------------------------------------


_RECIPE = "recipe.json"
_WRITTEN = (
    "coder",
    "autoencoder",
    "fast_decoder",
    "prior",
    "logs",
    "preset",
    "codes.npz",
    "base_codes.npz",
)


def _check_empty(workdir):
    """Raises ValueError where a new run would find files of other origin."""
    if (workdir / _RECIPE).exists():
        return
    found = [name for name in _WRITTEN if os.path.lexists(workdir / name)]
    if found:
        raise ValueError(
            f"{workdir} holds {found[0]} and no {_RECIPE}: no run made it. A "
            "run would write to it, or read it as its own. Choose another "
            "--workdir."
        )


def _read_recipe(path):
    """Returns the recipe that is noted in a run's directory."""
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
    """Returns whether what is noted can be a recipe, old ones included."""
    known = recipes.defaults().to_dict()
    sections = [key for key in known if isinstance(known[key], dict)]
    policies = (dtype_policies.AUTO, *dtype_policies.POLICIES)
    return (
        all(isinstance(found.get(key, {}), dict) for key in sections)
        and {"training", "data"} <= found.keys()
        and found.get("dtype_policy", "float32") in policies
    )


def _compare_recipe(config, workdir):
    """Raises ValueError if the directory holds a run of another recipe."""
    old = _noted(workdir)
    if old is None:
        return
    new = json.loads(recipes.to_json(config))
    if dtype_policies.AUTO in (new["dtype_policy"], old["dtype_policy"]):
        # Whatever it became, or will.
        new["dtype_policy"] = old["dtype_policy"]
    fixed = [d for d in _differences(old, new) if not _may_change(d, workdir)]
    if fixed:
        raise ValueError(
            f"{workdir} holds a run of another recipe; they differ in "
            f"{', '.join(fixed)}. Go on with the old recipe, or choose another "
            "--workdir."
        )


def _noted(workdir):
    """Returns the recipe of the run in a directory, None where there is none.

    Keys that there were not yet when it was noted have their defaults.
    """
    path = workdir / _RECIPE
    if not path.exists():
        return None
    default = json.loads(recipes.to_json(recipes.defaults()))
    # Before it could be chosen, and before "auto".
    default["dtype_policy"] = "float32"
    return _completed(_read_recipe(path), default)


def _noted_policy(workdir):
    """Returns the dtype policy of the run in a directory, or None.

    That of a new run, and one that was noted as "auto" by hand, is None: it is
    chosen, and noted, as the run starts.
    """
    policy = (_noted(workdir) or {}).get("dtype_policy")
    return policy if policy in dtype_policies.POLICIES else None


def _completed(recipe, default):
    """Adds the keys that there were not yet when a recipe was noted."""
    added = {k: v for k, v in default.items() if k not in recipe}
    known = {
        key: _completed(value, default[key])
        if isinstance(value, dict) and isinstance(default.get(key), dict)
        else value
        for key, value in recipe.items()
    }
    return {**known, **added}


# Keys of what is measured and said of a trained model.
_UNTRAINED = (
    "name ",
    "card.",
    "data.eval_split ",
    "data.bound_samples ",
    "data.neighbour_pictures ",
    "data.max_recordings ",
)


# What changes nothing that is done, as long as these have no checkpoints.
_KEYS_OF_STAGES = {
    ("coder", "autoencoder"): ("code_training.",),
    ("autoencoder",): ("training.",),
    ("fast_decoder",): ("fast_decoder.", "fast_training."),
    ("prior",): ("prior.", "prior_training.", "marginals"),
}


def _may_change(difference, workdir):
    """Returns whether nothing that is done already depends on a key."""
    if difference.startswith(_UNTRAINED):
        return True
    if difference.startswith("prior_training.encode_passes"):
        return not (workdir / "codes.npz").exists()
    return any(
        difference.startswith(keys)
        and not any(
            any((workdir / stage).glob("ckpt-*.index")) for stage in stages
        )
        for stages, keys in _KEYS_OF_STAGES.items()
    )


def _note_recipe(config, workdir):
    path, text = workdir / _RECIPE, recipes.to_json(config)
    if not strategies.is_chief() or path.exists() and path.read_text() == text:
        return
    with write_atomically(path) as temporary:
        pathlib.Path(temporary).write_text(text)


def _differences(old, new, prefix=""):
    names = []
    for key in sorted({*old, *new}):
        a, b = old.get(key), new.get(key)
        if isinstance(a, dict) and isinstance(b, dict):
            names += _differences(a, b, f"{prefix}{key}.")
        elif a != b:
            names.append(f"{prefix}{key} ({a!r}, now {b!r})")
    return names
