"""Writing recordings, animations and pictures by their file extension."""

import os

import numpy as np

from vqvae_tf.media import sheets, wav
from vqvae_tf.utils.paths import expand


def save_shown(
    path: str | os.PathLike, shown: np.ndarray | tuple[np.ndarray, int]
) -> None:
    """Writes a recording, an animation or a picture.

    Args:
        path: path of the file; its extension determines the format.
        shown: for `.wav` a pair of a waveform, float `[time]` in [-1, 1], and
            its sample rate in Hz; for `.gif` frames, uint8 `[time, height,
            width, 1 or 3]`; else a picture, uint8 `[height, width, 1 or 3]`.
    """
    path = expand(path)
    if path.suffix == ".wav":
        wav.save_wav(path, *shown)
    elif path.suffix == ".gif":
        sheets.save_animation(path, shown)
    else:
        sheets.save_picture(path, shown)
