"""Saving a model as a preset."""

import contextlib
import datetime
import json
import os
import pathlib

import keras
import tensorflow as tf

from vqvae_tf._versions import __version__
from vqvae_tf.media.save import save_shown
from vqvae_tf.presets import configs
from vqvae_tf.presets.checks import METADATA, PresetError
from vqvae_tf.presets.files import (
    CONFIG,
    PRIOR_CONFIG,
    PRIOR_WEIGHTS,
    WEIGHTS,
    check_preset_alone,
    sha256,
)
from vqvae_tf.utils import finite, folders
from vqvae_tf.utils.configs import portable_config
from vqvae_tf.utils.files import write_atomically
from vqvae_tf.utils.paths import expand


def save(
    model: keras.Model,
    path: str | os.PathLike,
    metadata: dict | None = None,
    card: str | None = None,
    pictures: dict | None = None,
) -> str:
    """Saves a model as a preset.

    Args:
        model: a `VQVAE`, an `Autoencoder`, a `LatentGenerator`, a
            `VideoGenerator`, or a density.
        path: folder to create, or preset to replace. It appears or changes
            atomically, once everything is written; see `check_replaceable`.
        metadata: entries besides class, versions, sizes and hashes, such as
            recipe, data, steps, seed and metrics. Default none.
        card: text of README.md; None (default) writes no card.
        pictures: files that the card shows, a dict from file name to what
            `media.save.save_shown` writes there. Default none.

    Returns:
        The sha256 of its metadata.json.

    Raises:
        PresetError: `path` holds anything but a preset, or the model has
            non-finite weights or could not be loaded again.
    """
    with folders.new_folder(path, check_preset_alone) as temporary:
        temporary.mkdir()
        noted = {"class": type(model).__name__}
        # Without a prior, all parts of a model are in one pair of files.
        first = model if model.prior is None else model.autoencoder
        _save_part(first, temporary, CONFIG, WEIGHTS)
        noted["parameters"] = first.count_params()
        if model.prior is not None:
            _save_part(model.prior, temporary, PRIOR_CONFIG, PRIOR_WEIGHTS)
            noted["prior_parameters"] = model.prior.count_params()
        if card is not None:
            (temporary / "README.md").write_text(
                card, encoding="utf-8", errors="backslashreplace"
            )
        for name, picture in (pictures or {}).items():
            save_shown(temporary / name, picture)
        write_metadata(temporary, {**noted, **(metadata or {})})
        return sha256(temporary / METADATA)


def _save_part(model, folder, config_name, weights_name):
    if not model.built:
        model.build()
    try:
        finite.check_weights(model, "saved")
    except ValueError as error:
        raise PresetError(str(error)) from None
    config = portable_config(keras.saving.serialize_keras_object(model))
    configs.check_saved(model, config, config_name)
    text = json.dumps(config, indent=1, sort_keys=True)
    (folder / config_name).write_text(text + "\n")
    with _without_optimizers(model):
        model.save_weights(folder / weights_name)


@contextlib.contextmanager
def _without_optimizers(model):
    # Keras would save the moments too, twice the size of the weights.
    layers = model._flatten_layers()
    compiled = [x for x in layers if getattr(x, "optimizer", None) is not None]
    optimizers = [layer.optimizer for layer in compiled]
    try:
        for layer in compiled:
            layer.optimizer = None
        yield
    finally:
        for layer, optimizer in zip(compiled, optimizers):
            layer.optimizer = optimizer


def write_metadata(folder: str | os.PathLike, metadata: dict) -> None:
    """Writes metadata.json: `metadata`, versions, and the hash of each file."""
    folder = expand(folder)
    files = {
        p.name: {"sha256": sha256(p), "size": p.stat().st_size}
        for p in sorted(folder.iterdir())
        if p.is_file() and p.name != METADATA and not p.name.startswith(".")
    }
    today = datetime.datetime.now(datetime.UTC).date()
    whole = {
        "vqvae_tf_version": __version__,
        "keras_version": keras.__version__,
        "tensorflow_version": tf.__version__,
        "date_saved": str(today),
        **metadata,
        "files": files,
    }
    with write_atomically(folder / METADATA) as temporary:
        text = json.dumps(whole, indent=1, sort_keys=True)
        pathlib.Path(temporary).write_text(text + "\n")


def check_replaceable(path: str | os.PathLike) -> None:
    """Raises PresetError if saving a preset to `path` would be refused.

    Only an empty folder or a preset is replaced: a folder that holds nothing
    but the files that its metadata lists, unchanged. Call this before a long
    training that will save a preset.
    """
    folders.replaceable(path, check_preset_alone)
