"""Clips of DeepMind Lab, for the demo, cards and tests.

LICENCES.md in this folder gives their origin.
"""

import json
import pathlib

import numpy as np

# Names of the actions by their number.
ACTIONS = (
    "forward",
    "backward",
    "strafe left",
    "strafe right",
    "look left",
    "look right",
    "look left and forward",
    "look right and forward",
    "fire",
)


def sample_clips() -> tuple[np.ndarray, np.ndarray]:
    """Returns four clips of DeepMind Lab, from held-out episodes.

    Returns:
        Frames, uint8 `[4, 16, 84, 84, 3]`, and actions, int32 `[4, 16]`,
        indices into `ACTIONS`: `actions[i, t]` was taken at frame t and led to
        frame t + 1.
    """
    from PIL import Image

    folder = pathlib.Path(__file__).resolve().parent
    actions = json.loads((folder / "actions.json").read_text())
    clips = []
    for name in sorted(actions):
        with Image.open(folder / name) as strip:
            # The file has the frames side by side.
            frames = np.array(strip).reshape(84, 16, 84, 3)
        clips.append(frames.transpose(1, 0, 2, 3))
    numbers = [actions[name] for name in sorted(actions)]
    return np.stack(clips), np.array(numbers, np.int32)


def known_frames(count: int = 8, apart: bool = False) -> np.ndarray:
    """Returns frames of DeepMind Lab, uint8 `[count, 84, 84, 3]`.

    Args:
        count: number of frames, at most 64 (default 8).
        apart: whether to take the first frame of each clip, at most 4; by
            default (False) evenly spaced frames of each clip.
    """
    clips, _ = sample_clips()
    if apart:
        return clips[:count, 0]
    times = np.linspace(0, clips.shape[1] - 1, -(-count // len(clips)))
    frames = clips[:, times.astype(int)].reshape(-1, *clips.shape[2:])
    return frames[:count]
