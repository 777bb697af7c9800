"""The command for presets of sequences."""

import keras
import numpy as np
import tensorflow as tf
from absl import flags

from vqvae_tf import presets
from vqvae_tf.commands.inputs.sequences import has_pictures, read_sequence
from vqvae_tf.commands.outputs import Outputs
from vqvae_tf.data.pictures.folder import EXTENSIONS
from vqvae_tf.media import curves, sheets
from vqvae_tf.utils.paths import has_ending

FLAGS = flags.FLAGS

# Futures in each row of a film, and how wide small frames are shown.
_COLUMNS, _WIDTH = 8, 84
# The width of a picture of curves, unless it is long.
_PICTURE_WIDTH = 2000
_COLORS = (curves.BLUE, curves.ORANGE, curves.BLACK)


def rollout(preset: str, *source: str) -> None:
    """Writes a sequence's futures by a model of sequences."""
    times = _times()
    outputs = Outputs("rollout", source, EXTENSIONS)
    model = presets.load(preset)
    output = _checked_output(FLAGS.output, model)
    outputs.check(output)
    frames = read_sequence(source[0] if source else None, model)
    drawn = model.rollout(
        frames[np.newaxis],
        times=times,
        num_futures=FLAGS.num_futures,
        seed=FLAGS.seed,
        temperature=FLAGS.temperature,
    ).numpy()
    if has_ending(output, ".npz"):
        outputs.npz(output, frames=drawn, times=np.array(times, np.int32))
    elif has_ending(output, ".gif"):
        outputs.animation(output, film(frames, drawn))
    else:
        outputs.picture(output, picture(frames, drawn, times))
    print(f"Wrote {output}: {len(drawn)} futures of {len(times)} frames.")


def _times():
    """Returns the times to draw, of --times or --num_frames."""
    if FLAGS.times is None:
        return list(range(1, (FLAGS.num_frames or 10) + 1))
    if FLAGS.num_frames is not None:
        raise ValueError(
            "--num_frames=N stands for the times 1 to N: give it or --times. "
            f"Received: --num_frames={FLAGS.num_frames} and "
            f"--times={','.join(FLAGS.times)}."
        )
    return [int(word) for word in FLAGS.times]


def _checked_output(output: str | None, model: keras.Model) -> str:
    """Returns the file to write; raises ValueError for one of another kind."""
    what, endings = "frames are written to an array", [".npz"]
    if has_pictures(model):
        what = "pictures are written to a film (.gif) or an array"
        endings = [".gif", ".npz"]
    elif model.frame_dtype == tf.float32 and len(model.event_shape) == 1:
        what = "numbers are written to a picture of curves (.png) or an array"
        endings = [".png", ".npz"]
    output = output or f"rollout{endings[0]}"
    if not has_ending(output, *endings):
        raise ValueError(
            f"The preset's {what} (.npz). Received: --output={output}."
        )
    return output


def film(frames: np.ndarray, futures: np.ndarray) -> np.ndarray:
    """Puts the futures of a sequence side by side, each after what was given.

    Args:
        frames: uint8 `[time, height, width, channels]`.
        futures: uint8 `[F, n, height, width, channels]`.

    Returns:
        uint8 `[time + n, height', width', channels]`; small frames are
        enlarged.
    """
    past = np.repeat(frames[:, np.newaxis], len(futures), axis=1)
    scale = max(1, _WIDTH // frames.shape[2])
    columns = min(len(futures), _COLUMNS)
    return np.stack(
        [
            sheets.enlarge(sheets.grid(row, columns), scale)
            for row in [*past, *np.swapaxes(futures, 0, 1)]
        ]
    )


def picture(
    frames: np.ndarray, futures: np.ndarray, times: list[int]
) -> np.ndarray:
    """Draws the curve of each channel, and of its futures.

    Args:
        frames: float `[time, channels]`, in grey dots.
        futures: float `[F, n, channels]`: lines, or dots if times are missing.
        times: n times after the last of the frames.

    Returns:
        uint8 `[height, width, 3]`.
    """
    length = len(frames) + times[-1]
    largest = max(np.abs(frames).max(), np.abs(futures).max())
    limit = 1.1 * float(largest) or 1.0
    step = max(1, min(4, _PICTURE_WIDTH // length))
    # A curve has consecutive times; a time by itself is a dot.
    starts = np.flatnonzero(np.diff(times) > 1) + 1
    runs = np.split(np.arange(len(times)), starts)
    shown = []
    for channel in range(frames.shape[-1]):
        found = [curves.Curve(frames[:, channel], curves.GREY, is_dotted=True)]
        for number, future in enumerate(futures[..., channel]):
            color = _COLORS[number % len(_COLORS)]
            for run in runs:
                start = len(frames) - 1 + times[run[0]]
                dotted = len(run) == 1
                found.append(curves.Curve(future[run], color, start, dotted))
        shown.append(curves.draw(found, limit, length, step=step))
    return curves.stacked(shown)
