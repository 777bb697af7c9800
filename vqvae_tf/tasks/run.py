"""Training a recipe of any kind in a work directory.

A run can be killed at any time; the same command resumes it from the last
checkpoint:

    WORKDIR/recipe.json        the recipe, with the dtype policy that "auto"
                               was resolved to
    WORKDIR/autoencoder/       checkpoints, a directory for each stage
    WORKDIR/prior/
    WORKDIR/*codes.npz         the training set, encoded once
    WORKDIR/logs/              TensorBoard: losses, usage, pictures; and
                               history.jsonl, the metrics of each epoch
    WORKDIR/preset/            the result, as a preset
"""

import contextlib
import functools
import pathlib

import keras
import tensorflow as tf
from absl import logging
from ml_collections import ConfigDict

from vqvae_tf import recipes, tasks
from vqvae_tf.runtime import dtype_policies, strategies
from vqvae_tf.runtime.precision import copied
from vqvae_tf.training import workdir as directory
from vqvae_tf.training.stages import carry_out
from vqvae_tf.utils.locking import locked
from vqvae_tf.utils.paths import check_utf8, expand


def train(
    config: ConfigDict,
    workdir: str | pathlib.Path,
    data_dir: str | None = None,
    stage: str = "all",
    strategy: tf.distribute.Strategy | None = None,
) -> keras.Model:
    """Trains a recipe, or resumes its training.

    Args:
        config: a recipe, from `recipes.load_recipe`.
        workdir: the run's directory; a run in it is resumed.
        data_dir: directory of the data, or None for TFDS_DATA_DIR.
        stage: "all", or "autoencoder" to stop before the prior (video has no
            other stage).
        strategy: from `strategies.make_strategy`; None for one device. Each
            of several workers calls this, with the same shared workdir.

    Returns:
        The trained `VQVAE`, `HierarchicalVQVAE`, `Autoencoder` or
        `PictureClassifier`, a `LatentGenerator` if there is a prior, or a
        `VideoGenerator`; outside of the strategy, ready for use.

    Raises:
        ValueError: if workdir holds a run of another recipe, or other files
            that would be overwritten or mistaken for the run's.
        FolderInUse: if another run is using the directory.
        As `fitting.fit`.
    """
    workdir = expand(workdir)
    check_utf8(workdir, "A run's directory")
    config = recipes.check_recipe(config)
    task = tasks.of(config)
    with reserved(workdir, strategy):
        plans = [plan for each in tasks.TASKS.values() for plan in each.plans]
        directory.check_empty(workdir, {plan.name for plan in plans})
        directory.compare_recipe(config, workdir, task.plans)
        strategy = strategy or tf.distribute.get_strategy()
        with strategy.scope(), strategies.telling_lost_workers(strategy):
            config = _with_policy(config, workdir)
            keras.config.set_dtype_policy(config.dtype_policy)
            keras.utils.set_random_seed(config.seed)
            model = carry_out(
                task.stages(config, data_dir, stage == "all"),
                workdir,
                functools.partial(directory.note_recipe, config, workdir),
            )
        alone = strategy is tf.distribute.get_strategy()
        return model if alone else copied(model)


def reserved(
    workdir: str | pathlib.Path, strategy: tf.distribute.Strategy | None = None
) -> contextlib.AbstractContextManager:
    """Keeps other runs out of a directory, in a `with` block.

    Of several workers, which share the directory, only the chief locks it.

    Raises:
        FolderInUse: if another run is using the directory.
    """
    if not strategies.is_chief(strategy):
        return contextlib.nullcontext()
    return locked(workdir, "training in", "choose another --workdir")


def _with_policy(config, workdir):
    """Returns the recipe with "auto" resolved to a dtype policy.

    A resumed run keeps its policy; a new one gets what suits the processor, of
    several workers the chief's.
    """
    policy = config.dtype_policy
    if policy == dtype_policies.AUTO:
        noted = directory.noted_policy(workdir)
        policy = noted or dtype_policies.resolve(policy)
        number = dtype_policies.POLICIES.index(policy)
        policy = dtype_policies.POLICIES[strategies.of_all_workers(number)[0]]
        logging.info('The dtype policy "auto" is %s in this run.', policy)
    dtype_policies.warn_if_slow(policy)
    # A copy, which can be changed even if the original is frozen.
    config = ConfigDict(config).copy_and_resolve_references()
    config.dtype_policy = policy
    if policy == "bfloat16":
        _check_small_changes(config)
    return config


def _check_small_changes(config):
    """Raises ValueError for what changes bfloat16 weights by too little."""
    for name, section in config.items():
        for key in ("ema_momentum", "weight_decay"):
            if isinstance(section, ConfigDict) and section.get(key):
                raise ValueError(
                    "Averages of weights in bfloat16, and weights that decay, "
                    "would not move, since small differences are rounded "
                    f'away. Received: dtype_policy "bfloat16", {name}.{key}='
                    f'{section[key]}. Use "mixed_bfloat16", or {key}=None.'
                )
