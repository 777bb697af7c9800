"""The table of `vqvae-tf` commands; `vqvae_tf_cli` reads their arguments."""

import pathlib
import shlex
import types
from collections.abc import Callable
from typing import NamedTuple

from absl import flags

from vqvae_tf import presets, recipes
from vqvae_tf.commands import (
    demo as demonstration,
    evaluate as evaluation,
    pictures,
    sequences,
    speech,
    video,
)
from vqvae_tf.commands.data_dir import check_data_dir
from vqvae_tf.commands.inputs.recordings import is_speech
from vqvae_tf.commands.inputs.sequences import is_sequences
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


class _Medium(NamedTuple):
    """Presets that some commands treat in a module of their own.

    Attributes:
        name: what they are presets of.
        has: a function of a preset, whether it is one of them.
        module: their commands.
    """

    name: str
    has: Callable[[str], bool]
    module: types.ModuleType


_SPEECH = _Medium("speech", is_speech, speech)
_SEQUENCES = _Medium("sequences", is_sequences, sequences)


def _by_medium(name, medium, others, only=(), never=()):
    """Returns a command that calls one of two modules, as the preset needs.

    Args:
        name: the command's name in both modules.
        medium: a `_Medium`.
        others: the module for all other presets.
        only: the command's flags that are only for the medium.
        never: those that are only for other presets.
    """

    def run(preset: str, *arguments):
        own = medium.has(preset)
        for flag in never if own else only:
            if FLAGS[flag].present:
                which = "not for" if own else "for"
                raise ValueError(
                    f"--{flag} is {which} presets of {medium.name} here. "
                    f"Received: --{flag} and {preset}."
                )
        module = medium.module if own else others
        return getattr(module, name)(preset, *arguments)

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


# Flags of commands that decode: for pictures nothing is drawn.
_OF_VOICES = ("speaker", "fast", "temperature", "seed")

COMMANDS = {
    "list": list_presets,
    "train": train,
    "evaluate": evaluation.evaluate,
    "sample": _by_medium(
        "sample",
        _SPEECH,
        pictures,
        ("speaker", "fast"),
        ("classifier", "keep", "canvas"),
    ),
    "reconstruct": _by_medium("reconstruct", _SPEECH, pictures, _OF_VOICES),
    "encode": _by_medium("encode", _SPEECH, pictures),
    "decode": _by_medium("decode", _SPEECH, pictures, _OF_VOICES),
    "convert": speech.convert,
    "rollout": _by_medium(
        "rollout", _SEQUENCES, video, ("times",), ("actions", "top_k", "top_p")
    ),
    "export": export,
    "demo": demo,
}
