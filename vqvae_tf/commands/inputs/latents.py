"""The latents that a command writes and reads: codes or floats."""

import json
import os

import numpy as np

from vqvae_tf import presets
from vqvae_tf.models import Autoencoder, HierarchicalVQVAE
from vqvae_tf.presets import identity as preset_identity
from vqvae_tf.utils import code_levels
from vqvae_tf.utils.npz_files import Npz


def read_codes(
    source: str | os.PathLike, wanted: list[str], required: int = 1
) -> dict[str, np.ndarray]:
    """Reads an npz file of codes or latents.

    Args:
        source: the file.
        wanted: names of arrays; the first ones are required, the others
            optional.
        required: how many are required; 1 by default.

    Returns:
        These arrays, `names` (numbers if the file has none), and what
        `preset_identity` reads.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: for another file, or names that do not fit.
    """
    with Npz(source, "a codes file (.npz, written by `vqvae-tf encode`)") as f:
        missing = [n for n in wanted[:required] if n not in f.names]
        if missing:
            raise ValueError(
                f"Expected an array `{missing[0]}` in {source}, of this "
                f"preset's data. Received: {', '.join(f.names) or 'none'}."
            )
        known = [*wanted, "names", preset_identity.ARRAY]
        arrays = {name: f.read(name) for name in known if name in f.names}
    for name in wanted[:required]:
        values = arrays[name]
        if values.ndim < 1 or not values.size:
            raise ValueError(
                f"Expected an array `{name}` with a row for each example. "
                f"Received: shape {values.shape} in {source}."
            )
    _check_same_rows(arrays, wanted[:required], source)
    values = arrays[wanted[0]]
    names = arrays.setdefault("names", np.arange(len(values)))
    if names.ndim != 1 or len(names) != len(values):
        raise ValueError(
            f"Expected as many `names` as `{wanted[0]}` in {source}. Received: "
            f"{len(names) if names.ndim else 'one'} and {len(values)}."
        )
    return arrays


def _check_same_rows(arrays, names, source):
    """Raises ValueError unless all levels have as many rows."""
    counts = {name: len(arrays[name]) for name in names}
    if len(set(counts.values())) > 1:
        raise ValueError(
            f"Expected as many rows of each level in {source}. Received: "
            + ", ".join(f"{n} of {name}" for name, n in counts.items())
            + "."
        )


def array_names_of(preset: str | os.PathLike) -> list[str]:
    """Returns the names of the arrays of a preset's latents in an npz file.

    They are "latents" for an `Autoencoder`, whose latents are floats, else
    "codes", or "codes_LEVEL" of each level of a `HierarchicalVQVAE`. Only the
    preset's configuration is read.
    """
    config = _config(preset)
    name = config.get("class_name")
    if name == Autoencoder.__name__:
        return ["latents"]
    if name != HierarchicalVQVAE.__name__:
        return ["codes"]
    try:
        count = len(config["config"]["levels"])
    except (KeyError, TypeError):
        return ["codes"]  # damaged, which loading will explain
    levels = code_levels.level_names(count)
    return [code_levels.array_name(level) for level in levels]


def class_name(preset: str | os.PathLike) -> str | None:
    """Returns the class of a preset's model, using only its configuration.

    Args:
        preset: as for `presets.find_preset`.

    Returns:
        The class's name; None for a damaged configuration, which loading will
        explain.

    Raises:
        PresetError: if it is not found.
    """
    return _config(preset).get("class_name")


def _config(preset):
    path = presets.find_preset(preset) / presets.CONFIG
    try:
        return dict(json.loads(path.read_bytes()))
    except (OSError, ValueError, TypeError):
        return {}


def checked_latents(
    model: Autoencoder, latents: np.ndarray, source: str | os.PathLike
) -> np.ndarray:
    """Returns latents as float32 `[batch, *grid, channels]`.

    Args:
        model: the `Autoencoder` that will decode them.
        latents: an array of an npz file.
        source: the file, for messages.

    Raises:
        ValueError: if the model cannot decode them.
    """
    shape = model.encoder.compute_output_shape((1, *model.event_shape))
    # Dense networks have one latent, and take no other grid.
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
    """Raises ValueError if an `Autoencoder` cannot sample with some options.

    Args:
        model: the `Autoencoder`.
        chosen: the options that were given, among `label`, `top_k`, `top_p`,
            `classifier` and `temperature`.
    """
    kind = type(model.bottleneck).__name__
    if not model.bottleneck.has_prior:
        raise ValueError(
            "This preset is an autoencoder without a prior, which cannot be "
            f"sampled from. Received: the bottleneck {kind}; use a preset of "
            "a VAE, or reconstruct pictures."
        )
    of_codes = [name for name in chosen if name != "temperature"]
    if of_codes:
        raise ValueError(
            f"--{of_codes[0]} is only for priors over codes; this preset "
            f"samples its latents from the prior of its {kind}. Received: "
            f"--{of_codes[0]}."
        )
    if "temperature" in chosen and kind == "IndependentCategorical":
        raise ValueError(
            "This preset's prior is uniform over codes and has no temperature. "
            "Received: --temperature."
        )
