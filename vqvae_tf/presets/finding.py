"""Finding presets: folders, built-in presets, and the Hugging Face Hub."""

import contextlib
import os
import pathlib

from absl import logging

from vqvae_tf.presets.checks import METADATA, PresetError
from vqvae_tf.utils import scratch
from vqvae_tf.utils.paths import expand, resolve
from vqvae_tf.zoo_path import zoo_dir

HUB = "hf://"
# sha256 of metadata.json of each preset that ships with the package.
BUILT_IN = {
    "ae_mnist": (
        "e5ed419170faa9541b7ea2a208396f4c927c4124c0d3cb6d5755246b33244692"
    ),
    "beta_vae_shapes": (
        "f0518f4f946546b8f580c5192f47f257e69d9f1082c4665aaca580ed3404aec0"
    ),
    "classifier_cifar10": (
        "bf11f819b3d8c7309e3622eff870805ac0e14ef64956d2e9bc4aec4eb05190f9"
    ),
    "classifier_grocery128": (
        "54cdbe69687ecf133b7573dd630a977eb859a1754252849a1610620fe30be0b0"
    ),
    "dae_mnist": (
        "aadd06b633d78d7a6c68c5b00e4cbd3b29377410008866db8ebceb227a96ab2f"
    ),
    "fsq_vqvae_cifar10": (
        "3fa7b867d7754f89dbbb77a0e837269f7186e6ed763450614e560cdf4f6e2c21"
    ),
    "likelihood_vqvae_cifar10": (
        "5f96f9cf96791775be5d756f2331f284616b0c736aae749eaf2690fac73475fb"
    ),
    "residual_vqvae_cifar10": (
        "8045d294626b78f991a99d89cbb6b70de5b6ba8e3dd8c49358df089d085ed9b1"
    ),
    "vae_cifar10": (
        "e98df3502bfe0ddb1acf7f0d6faef74b2480f7e31d30b9456d5c391434d68643"
    ),
    "vae_mnist": (
        "450a6b13fd9f2605bdba0fcb6fecd8dc72bad8a2b4259b211da368641a406380"
    ),
    "video_dmlab84": (
        "da30f7da42d23b9c87cc0d7eef8bc24cbb23add92ee9be3de97cd7555a916a30"
    ),
    "vqvae2_grocery128": (
        "dd46b1c814f5b91fb14009cccaea01ee8593bcba295b52ae9fae7b92c750c269"
    ),
    "vqvae_cifar10": (
        "7a39711e508075655fdd845ff4872dab5019e745789eada5c2383596954aaf5a"
    ),
    "vqvae_dmlab84": (
        "7d5879d73a041f98f829870a43fdd04d8e88838ff4a4d0a7a97b3348d0d9d2b9"
    ),
    "vqvae_dmlab84_global": (
        "61e7284ed5816ff6cf17be701299ad35800df05b09287cff07166c85b65b7873"
    ),
    "vqvae_photo128": (
        "4e2681e840b708947cfe7d433398f307ce16e2fad8c717545c64c3a97fa5af61"
    ),
    "vqvae_speech8k": (
        "f93a27924ba1cd56d4c780a5c1cfb4d51a4d8b81fc402a065ea06171aa086f69"
    ),
}


def built_in_dir() -> pathlib.Path:
    """Returns the folder of the presets that ship with the package."""
    return zoo_dir() / "presets"


def find_preset(name: str | os.PathLike) -> pathlib.Path:
    """Returns the folder of a preset.

    Args:
        name: a folder, the work directory of a training (its `preset/`), the
            name of a built-in preset, or `hf://user/repository`. A string that
            is also a built-in name means the built-in preset; `"./name"` or a
            `pathlib.Path` means the folder.

    Raises:
        PresetError: the preset does not exist; lists the built-in names.
    """
    path = expand(name)
    folder = _folder_of(path)
    if str(name) in BUILT_IN and (folder is None or isinstance(name, str)):
        if folder is not None:
            logging.warning(
                "%s is the built-in preset, not the folder %s. To load the "
                "folder, pass ./%s.",
                *(name, path.absolute(), name),
            )
        return built_in_dir() / str(name)
    if folder is not None:
        return folder
    if str(name).startswith(HUB):
        return _from_hub(str(name))
    folder = _left_by_killed_save(path)
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
        with contextlib.suppress(OSError):  # raised for too long names
            if (folder / METADATA).is_file():
                return folder
    return None


def _left_by_killed_save(path):
    """Returns the old preset of a save that was killed midway, or None.

    On file systems that can exchange folders only older versions leave one.
    """
    for place in map(resolve, (path, path / "preset")):
        old = place.parent / f".{place.name}.old"
        for folder in (scratch.moved_away(place), old):
            if folder is not None and os.path.isfile(folder / METADATA):
                logging.warning(
                    "There is no %s, since saving it was interrupted. Loading "
                    "its previous state from %s.",
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
