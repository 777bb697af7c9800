"""Measures how well video_dmlab84 foresees DeepMind Lab, action by action.

    python benchmarks/dmlab_video.py [--preset=video_dmlab84] --data_dir=DIR

On the held-out episodes it prints
- the bits of the next frame's code map given the true action, a wrong one and
  none, for each class of actions;
- PSNR and code accuracy of 10-frame rollouts, greedy and the mean of 8 samples,
  against repeating the last frame, at each step, on clips that move;
- the share of starts at which looking left and right move the picture in
  opposite directions, of all starts and of those at which the player is seen to
  be able to turn;
- the frames a second of rollouts, drawn and greedy.
"""

import time

import command
import numpy as np

from vqvae_tf import VideoGenerator, data
from vqvae_tf.encoding import arrays as encoding
from vqvae_tf.evaluation import video as video_evaluation
from vqvae_tf.samples.clips import ACTIONS

LEFT, RIGHT = ACTIONS.index("look left"), ACTIONS.index("look right")
# What is pooled, and what stands for a wrong action: its opposite.
CLASSES = {
    "forward": {0: 1},
    "backward": {1: 0},
    "strafe": {2: 3, 3: 2},
    "look": {4: 5, 5: 4},
    "look and forward": {6: 7, 7: 6},
}


def next_frames(video, coded):
    """Prints the bits of the next code map, by class of action."""
    taken = video_evaluation.true_actions(coded, video.num_past)
    bits = np.stack(
        [
            video_evaluation.next_frame_bits(video, coded, action)
            for action in range(video.num_actions)
        ]
    )
    unknown = video_evaluation.next_frame_bits(video, coded, "unknown")
    rows = np.arange(len(taken))
    true = bits[taken, rows]
    wrong = (bits.sum(axis=0) - true) / (len(bits) - 1)
    print("class             frames   true  opposite  mean wrong  unknown")
    every = {"all": {a: a for a in range(len(bits))}, **CLASSES}
    for name, opposite in every.items():
        chosen = np.isin(taken, list(opposite))
        if not chosen.any():
            continue
        other = [opposite[a] for a in taken[chosen]]
        against = bits[other, rows[chosen]].mean()
        print(
            f"{name:17} {chosen.sum():6} {true[chosen].mean():6.1f} "
            f"{against:9.1f} {wrong[chosen].mean():11.1f} "
            f"{unknown[chosen].mean():8.1f}"
        )


def rollouts(video, frames, coded):
    """Prints PSNR and accuracy at each step."""
    starts = video_evaluation.moving_clips(frames, video.num_past)
    found = video_evaluation.rollouts(video, frames, coded, starts)
    print(f"\nRollouts on {len(starts)} clips; steps 1 to 10:")
    for name, values in found.items():
        print(f"{name:17}", " ".join(f"{value:6.3g}" for value in values))


def turns(video, frames, coded, count):
    """Prints how often left and right turn the right way."""
    looks = [a for a, name in enumerate(ACTIONS) if name.startswith("look")]
    able = video_evaluation.turning_starts(frames, video.num_past, looks)
    print("\nLeft and right in opposite directions:")
    for name, starts in (
        ("players seen to turn", able),
        ("all", coded.clip_starts(video.num_past)),
    ):
        chosen = np.linspace(0, len(starts) - 1, count).astype(int)
        past = coded.values[starts[chosen][:, None] + np.arange(video.num_past)]
        share = video_evaluation.opposite_turns(video, past, LEFT, RIGHT)
        print(f"{share:.1%} of {count} starts of {len(starts)}, {name}")


def speed(video, coded):
    """Prints the frames a second of rollouts from codes to pixels."""
    print()
    for batch in (1, 8):
        for name, temperature in (("drawn", 1.0), ("greedy", 0.0)):
            rate = frames_a_second(video, coded, batch, temperature)
            print(f"{rate:.1f} frames a second, {name}, {batch} at a time")


def frames_a_second(video, coded, batch, temperature, steps=10):
    past = np.repeat(coded.values[None, : video.num_past], batch, axis=0)
    actions = np.full([batch, steps], LEFT)
    for seed in (0, 1):  # The first makes the graph.
        start = time.perf_counter()
        codes = video.rollout_codes(
            past, actions, temperature=temperature, seed=seed
        )
        video.decode(codes).numpy()
    return batch * steps / (time.perf_counter() - start)


def main():
    options = command.parser(
        __doc__,
        preset="video_dmlab84",
        source="tfds:dmlab_episodes",
        split="test",
        data_dir=None,
        starts=400,
    ).parse_args()
    video = VideoGenerator.from_preset(options.preset)
    frames = data.open_episodes(options.source, options.split, options.data_dir)
    codes = encoding.encode_array(video.autoencoder, frames.values)
    coded = frames.with_values(codes.astype(np.int32))
    next_frames(video, coded)
    rollouts(video, frames, coded)
    turns(video, frames, coded, options.starts)
    speed(video, coded)


if __name__ == "__main__":
    main()
