"""The figures of models of video."""

import functools

import keras
import numpy as np

from vqvae_tf.encoding import arrays as encoding
from vqvae_tf.evaluation import video as evaluation
from vqvae_tf.tasks.video.recipe import future, open_split, suited


def measure(
    model: keras.Model,
    description: dict,
    data_dir: str | None = None,
    progress: bool = True,
    rows: dict | None = None,
) -> dict:
    """Measures a model of video; see `tasks.measure`.

    Returns:
        `next_frame_bits`, and with actions `next_frame_bits_unknown` and
        `next_frame_bits_wrong` (the mean over all other actions);
        `repeat_psnr`, `greedy_psnr` and `mean_psnr`, the means of steps 1 to
        10 over `clips` that move; `examples`, the number of frames predicted.
    """
    frames = suited(
        model, open_split(description, description["eval_split"], data_dir)
    )
    codes = encoding.encode_array(model.autoencoder, frames.values)
    coded = frames.with_values(codes.astype(np.int32))
    bits_if = functools.partial(
        evaluation.next_frame_bits,
        model,
        coded,
        progress=progress,
        log_prob=evaluation.log_prob_graph(model),
    )
    true = bits_if()
    figures = {"examples": len(true), "next_frame_bits": float(true.mean())}
    if model.num_actions:
        figures |= _wrong_actions(model, coded, bits_if)
    steps = future(model, frames)
    starts = evaluation.moving_clips(frames, model.num_past, steps)
    found = evaluation.rollouts(model, frames, coded, starts, steps, progress)
    figures["clips"] = len(starts)
    for name in ("repeat", "greedy", "mean"):
        figures[f"{name}_psnr"] = float(found[f"psnr_{name}"].mean())
    return figures


def _wrong_actions(model, coded, bits_if):
    taken = evaluation.true_actions(coded, model.num_past)
    wrong, count = 0.0, 0
    for action in range(model.num_actions):
        bits = bits_if(action)
        wrong += bits[taken != action].sum()
        count += (taken != action).sum()
    unknown = bits_if("unknown")
    return {
        "next_frame_bits_wrong": float(wrong / count),
        "next_frame_bits_unknown": float(unknown.mean()),
    }
