"""Where presets are: folders, those of the package, and Hugging Face's hub."""

import contextlib
import os
import pathlib

from absl import logging

from vqvae_tf.presets.checks import METADATA, PresetError
from vqvae_tf.utils import scratch
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


def built_in_dir() -> pathlib.Path:
    """Returns the folder of the presets that come with the package."""
    return zoo_dir() / "presets"


def find_preset(name: str | os.PathLike) -> pathlib.Path:
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
        return built_in_dir() / str(name)
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

    Only older versions leave one where the file system can exchange folders.
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
