"""Presets: pretrained models in folders, every file with its sha256.

NAME/config.json         registered class and nested configuration
NAME/model.weights.h5    the autoencoder's weights, float16 or float32
NAME/prior.json, prior.weights.h5   the prior, where there is one
NAME/metadata.json       versions, recipe, figures, sha256 of the others
NAME/README.md           the model card
"""

import contextlib
import datetime
import hashlib
import json
import os
import pathlib

import keras
import tensorflow as tf
from absl import logging

import vqvae_tf
from vqvae_tf.media import sheets
from vqvae_tf.media.wav import save_wav
from vqvae_tf.presets import (
    checks as preset_checks,
    configs as preset_configs,
    parts as preset_parts,
)
from vqvae_tf.presets.checks import METADATA, PresetError
from vqvae_tf.presets.files import (
    CONFIG,
    PRIOR_CONFIG,
    PRIOR_WEIGHTS,
    WEIGHTS,
    check_preset_alone,
)
from vqvae_tf.runtime.precision import portable_config
from vqvae_tf.utils import finite, folders, scratch
from vqvae_tf.utils.files import write_atomically
from vqvae_tf.utils.messages import with_article
from vqvae_tf.utils.paths import expand, resolve
from vqvae_tf.zoo_path import zoo_dir

HUB = "hf://"
# sha256 of metadata.json of each preset that comes with the package.
BUILT_IN = {
    "ae_mnist": (
        "3ded4716d88f4b14a8fa860325e0ae2af139df3d404107250bd77f191b97dc68"
    ),
    "beta_vae_shapes": (
        "a7d08f4b9af0a4d5f4e0581d669c7e0536a39bef505db69d05f2b27e3a4e2fd1"
    ),
    "dae_mnist": (
        "fe76ab215fd77427ab2ad929fe8673f091c3e36a2cf2821caf24b2a6443c6042"
    ),
    "likelihood_vqvae_cifar10": (
        "afeafa90f9f8ddd4a83a9ba6557ef3d998467f1484471c592447595f6d4f4095"
    ),
    "vae_cifar10": (
        "48bdd4d935f8de762b50d638e7406abfec66653e395ed100b554e51131ffab54"
    ),
    "vae_mnist": (
        "ea393c1082d9e717fa5cf4ccea1915ca9a15a07284b7a9419ea3e3101164e936"
    ),
    "video_dmlab84": (
        "4272cbac60a016b2da78608eea5d5ca32e58c709a98a68ad588ca7589d7d8f38"
    ),
    "vqvae_cifar10": (
        "5402b7922918674cf3d561cd829f82faec951cb1cd9218e3216c2a83ee7b4ccb"
    ),
    "vqvae_dmlab84": (
        "c36b690e92618a86d067a4d4d2e4f1514295b87442a62c760a4b66b99616b189"
    ),
    "vqvae_dmlab84_global": (
        "9dc893be8d147b09365ec91d645148224990cf684aa90764daf2ff8e519789f2"
    ),
    "vqvae_photo128": (
        "a245454478a590ed1452e0c8fe34a407607d66729855549207e1d53a58c4f1c8"
    ),
    "vqvae_speech8k": (
        "953eacd073c45874e60e417c359e1e6d67528bb4025f5a5f6e7e69c2ad8f1abd"
    ),
}


def find_preset(name) -> pathlib.Path:
    """Returns the folder of a preset.

    Args:
        name: a folder, the work directory of a training (its `preset/`), the
            name of a built-in preset, or `hf://user/repository`. A string
            that is a built-in name means that preset; `"./name"` or a
            `pathlib.Path` means the folder.

    Raises:
        PresetError: if there is none; it lists the built-in names.
    """
    path = expand(name)
    folder = _folder_of(path)
    if str(name) in BUILT_IN and (folder is None or isinstance(name, str)):
        if folder is not None:
            logging.warning(
                "%s is the built-in preset, not the folder %s. To load the "
                "folder, call it ./%s.",
                *(name, path.absolute(), name),
            )
        return zoo_dir() / "presets" / str(name)
    if folder is not None:
        return folder
    if str(name).startswith(HUB):
        return _from_hub(str(name))
    folder = _left_by_a_kill(path)
    if folder is not None:
        return folder
    raise PresetError(
        f"There is no preset {str(name)!r}. Expected a preset's folder (with "
        f"a {METADATA}), the work directory of a finished training, "
        f"{HUB}user/repository, or a built-in name: "
        f"{', '.join(sorted(BUILT_IN)) or 'none'}."
    )


def _folder_of(path):
    for folder in (path, path / "preset"):
        with contextlib.suppress(OSError):  # of names that are too long
            if (folder / METADATA).is_file():
                return folder
    return None


def _left_by_a_kill(path):
    """Returns the old preset of a save that was killed half-way, or None.

    Where folders can be exchanged there are none but of older versions.
    """
    for place in map(resolve, (path, path / "preset")):
        old = place.parent / f".{place.name}.old"
        for folder in (scratch.moved_away(place), old):
            if folder is not None and os.path.isfile(folder / METADATA):
                logging.warning(
                    "There is no %s. What it was before a save was killed is "
                    "loaded from %s.",
                    place,
                    folder,
                )
                return folder
    return None


def _from_hub(name):
    try:
        import huggingface_hub
    except ImportError:
        raise PresetError(
            f"{name} needs the package huggingface_hub: "
            "pip install vqvae_tf[hub]."
        ) from None
    return pathlib.Path(
        huggingface_hub.snapshot_download(name.removeprefix(HUB))
    )


# Loading --------------------------------------------------------------------


def load_metadata(folder, sha256=None) -> dict:
    """Reads a preset's metadata, checked where the preset is built in.

    Args:
        folder: the preset's.
        sha256: what that of the file must be, as `save` returned it, or None.

    Raises:
        PresetError: if there is none, it is another one or damaged.
        ValueError: if `sha256` is none.
    """
    path = expand(folder) / METADATA
    if not path.is_file():
        raise PresetError(
            f"The preset {folder} has no {METADATA}. Expected a folder "
            "written by save_to_preset."
        )
    text = path.read_bytes()
    built_in = path.parent.parent == zoo_dir() / "presets"
    for expected in (
        BUILT_IN.get(path.parent.name) if built_in else None,
        preset_checks.check_pin(sha256),
    ):
        if expected:
            received = hashlib.sha256(text).hexdigest()
            preset_checks.compare(path, received, expected)
    return preset_checks.check_metadata(
        preset_checks.parse_json(text, path), path
    )


def verify(folder, sha256=None) -> dict:
    """Checks every file of a preset against its metadata, and returns that.

    Args:
        folder, sha256: as of `load_metadata`.

    Raises:
        PresetError: for a missing, truncated or altered file.
    """
    return folders.read_steadily(
        lambda: expand(folder),
        lambda found: _verified(found, sha256),
        _READ_ERRORS,
    )


# Of a preset that is replaced while it is read, and of others.
_READ_ERRORS = (PresetError, OSError)


def _verified(folder, sha256):
    metadata = load_metadata(folder, sha256)
    for name in metadata["files"]:
        for _ in preset_checks.checked_blocks(folder, name, metadata):
            pass
    return metadata


def load(name, expected_class=None, *, custom_objects=None, sha256=None):
    """Loads a preset as what it is, with its weights, in float32 or as set.

    Layers get the present `keras.config.dtype_policy()`, whatever they were
    trained in. What a preset asks for is compared with the weights that it
    has before anything is built, so those of strangers cost no more than
    their files. The classes that it names run: those of vqvae_tf and Keras,
    and those that the caller gives, no others.

    Args:
        name: as for `find_preset`.
        expected_class: the class that the preset must be (or have in it).
        custom_objects: the classes of its author that it may name, a dict by
            their registered names.
        sha256: that of its metadata.json, which has those of its other files,
            as `save` returned it; a preset with another one is not loaded.

    Returns:
        A `LatentGenerator` or a `VideoGenerator` where the preset has a
        prior, else its model.

    Raises:
        PresetError: if it is not found, altered, incomplete, or of another
            class.
    """
    own = preset_configs.own_classes(custom_objects)
    with contextlib.ExitStack() as copies:
        # All files at once, and models later: that takes longer than another
        # process needs to replace the preset.
        files = folders.read_steadily(
            lambda: find_preset(name),
            lambda folder: preset_parts.read(
                folder, load_metadata(folder, sha256), expected_class, copies
            ),
            _READ_ERRORS,
        )
        model = preset_parts.load(files, expected_class, own)
    if expected_class and not isinstance(model, expected_class):
        raise PresetError(
            f"The preset {str(name)!r} holds {with_article(model)}. "
            f"Received: {expected_class.__name__}.from_preset; use "
            f"{type(model).__name__}.from_preset."
        )
    return model


# Saving ---------------------------------------------------------------------


def save(model, path, metadata=None, card=None, pictures=None):
    """Saves a model as a preset.

    Args:
        model: a `VQVAE`, an `Autoencoder`, a `LatentGenerator` or a
            `VideoGenerator`.
        path: the folder to make, or a preset's to replace. It appears, or
            changes, in one step when all is written; see `check_replaceable`.
        metadata: what to note besides versions, sizes and hashes: recipe,
            data, steps, seed, metrics.
        card: the text of README.md, or None.
        pictures: a dict of file name to uint8 picture, or to frames `[time,
            height, width, 3]` for those that end in .gif, or to (waveform,
            sample rate) for those in .wav; or None.

    Returns:
        The sha256 of its metadata.json.

    Raises:
        PresetError: if path holds anything but a preset, or the model has
            weights that are not finite.
    """
    with folders.new_folder(path, check_preset_alone) as temporary:
        temporary.mkdir()
        prior = model.prior
        autoencoder = model.autoencoder
        _save_part(autoencoder, temporary, CONFIG, WEIGHTS)
        if prior is not None:
            _save_part(prior, temporary, PRIOR_CONFIG, PRIOR_WEIGHTS)
        if card is not None:
            (temporary / "README.md").write_text(
                card, encoding="utf-8", errors="backslashreplace"
            )
        for name, picture in (pictures or {}).items():
            save_shown(temporary / name, picture)
        write_metadata(
            temporary,
            {
                "class": type(model).__name__,
                "parameters": autoencoder.count_params(),
                **(
                    {}
                    if prior is None
                    else {"prior_parameters": prior.count_params()}
                ),
                **(metadata or {}),
            },
        )
        return sha256(temporary / METADATA)


def save_shown(path, shown):
    """Writes what a card shows, as its ending says; see `save`."""
    path = expand(path)
    if path.suffix == ".wav":
        save_wav(path, *shown)
    elif path.suffix == ".gif":
        sheets.save_animation(path, shown)
    else:
        sheets.save_picture(path, shown)


def _save_part(model, folder, config_name, weights_name):
    if not model.built:
        model.build()
    try:
        finite.check_weights(model, "saved")
    except ValueError as error:
        raise PresetError(str(error)) from None
    config = keras.saving.serialize_keras_object(model)
    config = portable_config(config)
    preset_configs.check_saved(model, config, config_name)
    text = json.dumps(config, indent=1, sort_keys=True)
    (folder / config_name).write_text(text + "\n")
    with _without_optimizers(model):
        model.save_weights(folder / weights_name)


@contextlib.contextmanager
def _without_optimizers(model):
    # Keras saves their moments with the weights, twice as much as these.
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


def write_metadata(folder, metadata):
    """Writes metadata.json: `metadata`, versions, and the hash of each file."""
    folder = expand(folder)
    files = {
        p.name: {"sha256": sha256(p), "size": p.stat().st_size}
        for p in sorted(folder.iterdir())
        if p.is_file() and p.name != METADATA and not p.name.startswith(".")
    }
    today = datetime.datetime.now(datetime.UTC).date()
    whole = {
        "vqvae_tf_version": vqvae_tf.__version__,
        "keras_version": keras.__version__,
        "tensorflow_version": tf.__version__,
        "date_saved": str(today),
        **metadata,
        "files": files,
    }
    with write_atomically(folder / METADATA) as temporary:
        text = json.dumps(whole, indent=1, sort_keys=True)
        pathlib.Path(temporary).write_text(text + "\n")


def check_replaceable(path):
    """Raises PresetError where saving a preset to `path` would be refused.

    Only a preset is replaced, or an empty folder: one that holds nothing but
    the files that its metadata lists, as they were saved. Call it before
    long work, at the end of which a preset is saved.
    """
    folders.replaceable(path, check_preset_alone)


def sha256(path) -> str:
    """Returns the sha256 of a file, in hexadecimal digits."""
    return hashlib.sha256(expand(path).read_bytes()).hexdigest()
