"""The command for presets of video."""

from absl import flags

from vqvae_tf.commands.inputs import clips as clip_inputs
from vqvae_tf.commands.outputs import Outputs
from vqvae_tf.data.pictures.folder import EXTENSIONS
from vqvae_tf.models import VideoGenerator
from vqvae_tf.utils.paths import has_ending

FLAGS = flags.FLAGS


def rollout(preset: str, *source: str) -> None:
    """Writes a film of a clip and its continuations by a model of video."""
    output = FLAGS.output or "rollout.gif"
    if not has_ending(output, ".gif", ".npz"):
        raise ValueError(
            "--output must be a film (.gif) or an array of frames (.npz). "
            f"Received: {output}."
        )
    outputs = Outputs("rollout", source, EXTENSIONS)
    outputs.check(output)
    video = VideoGenerator.from_preset(preset)
    frames, known = clip_inputs.read_clip(source[0] if source else None, video)
    actions, steps = clip_inputs.future_actions(
        video, FLAGS.actions, FLAGS.num_frames, known
    )
    drawn = video.rollout(
        frames[None, : video.num_past],
        None if actions is None else actions[None],
        steps,
        num_futures=FLAGS.num_futures,
        temperature=FLAGS.temperature,
        top_k=FLAGS.top_k,
        top_p=FLAGS.top_p,
        seed=FLAGS.seed,
    ).numpy()
    if has_ending(output, ".npz"):
        outputs.npz(output, frames=drawn)
    else:
        outputs.animation(
            output, clip_inputs.film(frames, drawn, video.num_past)
        )
    print(f"Wrote {output}: {len(drawn)} futures of {steps} frames.")
