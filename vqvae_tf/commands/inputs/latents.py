"""The latents that a command writes and reads: codes, or float numbers."""

import json
import os

import keras
import numpy as np

from vqvae_tf import presets
from vqvae_tf.models import Autoencoder
from vqvae_tf.presets import identity as preset_identity
from vqvae_tf.utils.npz_files import Npz


def read_codes(
    source: str | os.PathLike, wanted: list[str]
) -> dict[str, np.ndarray]:
    """Reads an npz file of codes or latents.

    Args:
        source: the file.
        wanted: names of arrays: the first must be there, others may be.

    Returns:
        Those that are there, `names` (numbers, where the file has none), and
        what `preset_identity` reads.

    Raises:
        FileNotFoundError: if it is not there.
        ValueError: for another file, or names that do not fit.
    """
    with Npz(source, "a codes file (.npz, written by `vqvae-tf encode`)") as f:
        if wanted[0] not in f.names:
            raise ValueError(
                f"Expected an array `{wanted[0]}` in {source}, of this "
                f"preset's data. Received: {', '.join(f.names) or 'none'}."
            )
        known = [*wanted, "names", preset_identity.ARRAY]
        arrays = {name: f.read(name) for name in known if name in f.names}
    values = arrays[wanted[0]]
    if values.ndim < 1 or not values.size:
        raise ValueError(
            f"Expected an array `{wanted[0]}` with a row for each example. "
            f"Received: shape {values.shape} in {source}."
        )
    names = arrays.setdefault("names", np.arange(len(values)))
    if names.ndim != 1 or len(names) != len(values):
        raise ValueError(
            f"Expected as many `names` as `{wanted[0]}` in {source}. Received: "
            f"{len(names) if names.ndim else 'one'} and {len(values)}."
        )
    return arrays


def array_name(model: keras.Model) -> str:
    """Returns what a model's latents are called in an npz file.

    Args:
        model: a `VQVAE`, a `LatentGenerator` or an `Autoencoder`.

    Returns:
        "latents" for the float latents of an `Autoencoder`, else "codes".
    """
    return "latents" if isinstance(model, Autoencoder) else "codes"


def array_name_of(preset: str | os.PathLike) -> str:
    """Returns the same of a preset, by its configuration alone."""
    is_autoencoder = class_name(preset) == Autoencoder.__name__
    return "latents" if is_autoencoder else "codes"


def class_name(preset: str | os.PathLike) -> str | None:
    """Returns the class of a preset's model, by its configuration alone.

    Args:
        preset: as for `presets.find_preset`.

    Returns:
        None for a damaged configuration; loading it says what is wrong.

    Raises:
        PresetError: if it is not found.
    """
    path = presets.find_preset(preset) / presets.CONFIG
    try:
        return json.loads(path.read_bytes())["class_name"]
    except (OSError, ValueError, KeyError, TypeError):
        return None


def checked_latents(
    model: Autoencoder, latents: np.ndarray, source: str | os.PathLike
) -> np.ndarray:
    """Returns latents, float32 `[batch, *grid, channels]`, of an npz file.

    Args:
        model: the `Autoencoder` that is to decode them.
        latents: an array.
        source: the file, for messages.

    Raises:
        ValueError: for those that it cannot decode.
    """
    shape = model.encoder.compute_output_shape((1, *model.event_shape))
    # Dense layers, of one latent, know no other grid.
    grid = (1, 1) if shape[1:-1] == (1, 1) else latents.shape[1:-1]
    wanted = (*grid, model.bottleneck.num_channels(shape[-1]))
    fits = latents.ndim == 4 and latents.shape[1:] == wanted
    if latents.dtype.kind != "f" or not fits or 0 in latents.shape:
        sizes = "1, 1" if grid == (1, 1) else "height, width"
        raise ValueError(
            f"The preset's latents are floats [batch, {sizes}, "
            f"{wanted[-1]}]. Received: {latents.dtype} of shape "
            f"{latents.shape} in {source}."
        )
    if not np.all(np.isfinite(latents)):
        raise ValueError(
            "Latents must be finite numbers. Received: NaN or infinite ones "
            f"in {source}."
        )
    return latents.astype(np.float32)


def check_sampling(model: Autoencoder, chosen: list[str]) -> None:
    """Raises ValueError where an `Autoencoder` cannot draw as it is asked.

    Args:
        model: the `Autoencoder`.
        chosen: the names of the options that were given, of `label`, `top_k`,
            `top_p` and `temperature`.
    """
    kind = type(model.bottleneck).__name__
    if not model.bottleneck.has_prior:
        raise ValueError(
            "This preset is an autoencoder without a prior: there is nothing "
            f"to draw from. Received: the bottleneck {kind}; use a preset of "
            "a VAE, or reconstruct pictures."
        )
    of_codes = [name for name in chosen if name != "temperature"]
    if of_codes:
        raise ValueError(
            f"--{of_codes[0]} is of priors over codes; this preset draws its "
            f"latents from the prior of its {kind}, which has no classes. "
            f"Received: --{of_codes[0]}."
        )
    if "temperature" in chosen and kind == "IndependentCategorical":
        raise ValueError(
            "This preset's prior is uniform over codes: it has no temperature. "
            "Received: --temperature."
        )
