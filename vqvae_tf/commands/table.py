"""The table of `vqvae-tf` commands; `vqvae_tf_cli` reads their arguments."""

import pathlib
import shlex

from absl import flags

from vqvae_tf import presets, recipes
from vqvae_tf.commands import (
    demo as demonstration,
    evaluate as evaluation,
    pictures,
    speech,
    video,
)
from vqvae_tf.commands.data_dir import check_data_dir
from vqvae_tf.commands.inputs.recordings import is_speech
from vqvae_tf.evaluation.figures import table
from vqvae_tf.export.saved_model import check_target, export as write
from vqvae_tf.recipes.flags import override
from vqvae_tf.runtime import strategies
from vqvae_tf.tasks import run as training
from vqvae_tf.tasks.publish import publish
from vqvae_tf.utils.errors import explain as explain

FLAGS = flags.FLAGS


def list_presets() -> None:
    """Prints the zoo's presets and their figures."""
    for name in sorted(presets.BUILT_IN):
        folder = presets.find_preset(name)
        metadata = presets.load_metadata(folder)
        parameters = metadata["parameters"] + metadata.get(
            "prior_parameters", 0
        )
        print(f"{name}  ({metadata['class']}, {parameters / 1e6:.1f} M)")
        print(f"  {metadata.get('summary', '')}")
        for title, value in table(metadata["metrics"]):
            print(f"  {title:50} {value}")
        print()


def train(recipe: str, overrides: list[str]) -> None:
    """Trains a recipe and writes WORKDIR/preset.

    Args:
        recipe: a recipe's file, or the name of a built-in one.
        overrides: arguments `--config.KEY=VALUE`.
    """
    strategy = strategies.make_strategy(FLAGS.strategy)  # first of all
    config = recipes.read_recipe(recipes.find_recipe(recipe))
    config = override(config, overrides)
    config = recipes.check_recipe(config)
    if FLAGS.stage == "all":
        presets.check_replaceable(pathlib.Path(FLAGS.workdir, "preset"))
    check_data_dir("train", config.data)
    with training.reserved(FLAGS.workdir, strategy):
        model = training.train(
            config, FLAGS.workdir, FLAGS.data_dir, FLAGS.stage, strategy
        )
        if FLAGS.stage == "all" and strategies.is_chief(strategy):
            folder = pathlib.Path(FLAGS.workdir) / "preset"
            words = ["vqvae-tf", "train", f"--config={recipe}", *overrides]
            publish(config, model, folder, FLAGS.data_dir, shlex.join(words))
            print(f"Saved the preset {folder}.")
    # The chief needs the other workers if it is restarted.
    strategies.wait_for_all(strategy)


def _by_medium(name, *of_speech):
    """Returns a command that calls `speech` or `pictures`, as the preset needs.

    Args:
        name: the command's name in both modules.
        of_speech: its flags that are only for speech.
    """

    def run(preset: str, *arguments):
        if is_speech(preset):
            return getattr(speech, name)(preset, *arguments)
        for flag in of_speech:
            if FLAGS[flag].present:
                raise ValueError(
                    f"--{flag} is for presets of speech here. Received: "
                    f"--{flag} and {preset}."
                )
        return getattr(pictures, name)(preset, *arguments)

    return run


def export(preset: str, target: str) -> None:
    """Writes a SavedModel in TensorFlow Serving's layout."""
    check_target(target, FLAGS.model_version)  # before the model is loaded
    path = write(
        presets.load(preset),
        target,
        version=FLAGS.model_version,
        jit_sampling=FLAGS.jit_sampling,
        max_batch=FLAGS.max_batch,
        max_pixels=FLAGS.max_pixels,
        max_samples=FLAGS.max_samples,
    )
    print(f"Wrote the SavedModel {path}.")


def demo() -> None:
    """Runs the demonstration."""
    demonstration.run(pathlib.Path(FLAGS.output or "demo"))


COMMANDS = {
    "list": list_presets,
    "train": train,
    "evaluate": evaluation.evaluate,
    "sample": _by_medium("sample", "speaker", "fast"),
    "reconstruct": _by_medium(
        "reconstruct", "speaker", "fast", "temperature", "seed"
    ),
    "encode": _by_medium("encode"),
    "decode": _by_medium("decode", "speaker", "fast", "temperature", "seed"),
    "convert": speech.convert,
    "rollout": video.rollout,
    "export": export,
    "demo": demo,
}
