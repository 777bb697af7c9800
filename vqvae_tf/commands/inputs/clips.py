"""The clips and actions that are input to a command."""

import os
import pathlib

import numpy as np

from vqvae_tf import data
from vqvae_tf.commands.inputs.files import PICTURES
from vqvae_tf.data.decoding import convert_channels
from vqvae_tf.data.folders import natural_key
from vqvae_tf.media import sheets
from vqvae_tf.models import VideoGenerator
from vqvae_tf.samples.clips import sample_clips
from vqvae_tf.utils.npz_files import read_npz
from vqvae_tf.utils.paths import expand


def read_clip(
    source: str | os.PathLike | None, video: VideoGenerator
) -> tuple[np.ndarray, np.ndarray | None]:
    """Reads frames, and their actions if there are any.

    Args:
        source: an npz file with `frames` and perhaps `actions`, a folder of
            pictures, or None for a clip of the package. Pictures are sorted by
            the numbers in their names.
        video: the `VideoGenerator` that they are for.

    Returns:
        uint8 `[time, height, width, channels]`, and `[time]` or None.

    Raises:
        FileNotFoundError: if there is no such file or folder.
        ValueError: for another kind of file, or too few frames.
    """
    if source is None:
        clips, actions = sample_clips()
        frames, actions = clips[1], actions[1]
    elif expand(source).is_dir():
        frames = read_folder(source, video.autoencoder.event_shape[0])
        actions = None
    else:
        frames, actions = _from_npz(expand(source))
    if len(frames) < video.num_past:
        raise ValueError(
            f"The model needs {video.num_past} frames to start from. "
            f"Received: {source} with {len(frames)}."
        )
    channels = video.autoencoder.event_shape[-1]
    return convert_channels(frames, channels).numpy(), actions


def read_folder(
    folder: str | os.PathLike, size: int | None, channels: int = 3
) -> np.ndarray:
    """Reads the pictures of a folder, sorted by the numbers in their names.

    Args:
        folder: with at least one picture.
        size, channels: as for `data.load_picture`.

    Returns:
        uint8 `[time, height, width, channels]`.
    """
    inputs = PICTURES.list_inputs([folder])
    inputs.sort(key=lambda found: natural_key(found[1]))
    return np.stack(
        [data.load_picture(path, size, channels) for path, _ in inputs]
    )


def read_arrays(path: pathlib.Path, expected: str) -> dict[str, np.ndarray]:
    """Returns the arrays of an npz file, which must have `frames`.

    Args:
        path: of the file.
        expected: what it should be, for messages.
    """
    if not path.is_file():
        raise FileNotFoundError(f"There is no file or folder {path}.")
    arrays = read_npz(path, expected)
    if "frames" not in arrays:
        raise ValueError(
            f"Expected an array `frames` in {path}. "
            f"Received: {', '.join(arrays)}."
        )
    return arrays


def _from_npz(path):
    arrays = read_arrays(
        path,
        "a folder of pictures, or an npz file with `frames` [time, height, "
        "width, channels]",
    )
    frames, actions = arrays["frames"], arrays.get("actions")
    if frames.ndim != 4 or frames.dtype != np.uint8:
        raise ValueError(
            "`frames` must be uint8 [time, height, width, channels]. "
            f"Received: {frames.dtype} of shape {frames.shape}."
        )
    if actions is not None and actions.shape[:1] != frames.shape[:1]:
        raise ValueError(
            "`actions` must have one entry a frame, the action taken there. "
            f"Received: actions of shape {actions.shape} for {len(frames)} "
            "frames."
        )
    return frames, actions


def future_actions(
    video: VideoGenerator,
    chosen: list[str] | None,
    num_frames: int | None,
    known: np.ndarray | None,
) -> tuple[np.ndarray | None, int]:
    """Returns the actions from the last given frame on, and the frames to draw.

    Args:
        video: a `VideoGenerator`.
        chosen: integers as strings, ["none"] for no actions, or None for the
            clip's own.
        num_frames: the number of frames, or None.
        known: the clip's own actions, one a frame, or None.

    Returns:
        Integers `[num_frames]` or None, and num_frames.

    Raises:
        ValueError: for actions that are not integers, or too few of them.
    """
    network, actions = video.prior.network, None
    if chosen == ["none"]:
        return None, num_frames or 10
    if chosen is not None:
        try:
            actions = np.array([int(word) for word in chosen])
        except ValueError:
            raise ValueError(
                "--actions are integers, such as 4,4,0, or none. Received: "
                f"--actions={','.join(chosen)}."
            ) from None
    elif known is not None and (network.num_actions or network.action_size):
        # The action at a clip's last frame leads out of it.
        actions = known[video.num_past - 1 : -1]
    if actions is None or not len(actions):
        return None, num_frames or 10
    steps = num_frames or len(actions)
    if steps > len(actions):
        raise ValueError(
            f"There must be an action for each of {steps} frames. Received: "
            f"{len(actions)}, of the clip or of --actions. Give more, or use "
            "--actions=none to continue without."
        )
    return actions[:steps], steps


def film(frames: np.ndarray, futures: np.ndarray, num_past: int) -> np.ndarray:
    """Puts the clip and its futures side by side, frame by frame.

    Args:
        frames: uint8 `[time, height, width, 3]`, the given ones first.
        futures: uint8 `[F, steps, height, width, 3]`.
        num_past: how many frames were given.

    Returns:
        uint8 `[num_past + steps, height', width', 3]`. If the clip ends before
        the futures, its last frame is repeated.
    """
    steps = futures.shape[1]
    shown = []
    for t in range(num_past + steps):
        row = [frames[min(t, len(frames) - 1)]]
        if t < num_past:
            row += [frames[t]] * len(futures)
        else:
            row += list(futures[:, t - num_past])
        shown.append(sheets.grid(np.stack(row), columns=len(row)))
    return np.stack(shown)
