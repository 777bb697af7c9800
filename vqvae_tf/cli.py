"""The commands of `vqvae-tf`; `vqvae_tf_cli` reads their arguments.

Those on a preset's own data are in `cli_pictures`, `cli_speech`, `cli_video`.
"""

import os
import pathlib
import shlex

from absl import flags

FLAGS = flags.FLAGS


def explain(error) -> str | None:
    """Returns what to tell of an error in data, files or arguments.

    None is for other errors: those of the program, which need a traceback.
    """
    import tensorflow as tf

    from vqvae_tf.checkpoints import CheckpointError
    from vqvae_tf.messages import first_line
    from vqvae_tf.strategies import WorkerLost

    if isinstance(error, (tf.errors.ResourceExhaustedError, MemoryError)):
        return _memory_message(first_line(error))
    if isinstance(error, tf.errors.OpError):
        return f"{first_line(error)} (--verbosity=1 shows where)"
    own = (CheckpointError, WorkerLost)
    if isinstance(error, (ValueError, OSError, *own)):
        return str(error)
    return None


def _memory_message(line):
    if "No space left" in line:  # TensorFlow takes it for the same error
        return f"The disk is full ({line}). Make room and call this again."
    return (
        f"Out of memory ({line}). Training: give a smaller batch "
        "(--config.training.batch_size, --config.prior_training.batch_size; "
        "a stage that has no checkpoint yet may be changed), or a smaller "
        "model; checkpoints are kept. Encoding: give a smaller --batch_size; "
        "finished shards are kept."
    )


# Commands -------------------------------------------------------------------


def list_presets():
    """Prints the zoo's presets and their figures."""
    from vqvae_tf import figure_table, presets

    for name in sorted(presets.BUILT_IN):
        folder = presets.find_preset(name)
        metadata = presets.load_metadata(folder)
        parameters = metadata["parameters"] + metadata.get(
            "prior_parameters", 0
        )
        print(f"{name}  ({metadata['class']}, {parameters / 1e6:.1f} M)")
        print(f"  {metadata.get('summary', '')}")
        for title, value in figure_table.table(metadata["metrics"]):
            print(f"  {title:50} {value}")
        print()


def train(recipe, overrides):
    """Trains a recipe and writes WORKDIR/preset.

    Args:
        recipe: a recipe's file, or the name of a built-in one.
        overrides: arguments `--config.KEY=VALUE`.
    """
    from vqvae_tf import (
        publishing,
        recipe_flags,
        recipes,
        strategies,
        training,
    )

    strategy = strategies.make_strategy(FLAGS.strategy)  # before all else
    config = recipes.read_recipe(recipes.find_recipe(recipe))
    config = recipe_flags.override(config, overrides)
    recipes.check_recipe(config)
    _check_data_dir("train", config.data)
    model = training.train(
        config, FLAGS.workdir, FLAGS.data_dir, FLAGS.stage, strategy
    )
    if FLAGS.stage == "all" and strategies.is_chief(strategy):
        folder = pathlib.Path(FLAGS.workdir) / "preset"
        words = ["vqvae-tf", "train", f"--config={recipe}", *overrides]
        publishing.publish(
            config, model, folder, FLAGS.data_dir, shlex.join(words)
        )
        print(f"Saved the preset {folder}.")
    # If the chief is started again, it needs the others.
    strategies.wait_for_all(strategy)


def _check_data_dir(command, description):
    """Raises ValueError where the source is relative to no folder."""
    kind, _, name = description["source"].partition(":")
    given = FLAGS.data_dir or os.environ.get("TFDS_DATA_DIR")
    if given or kind not in ("folder", "npz") or os.path.isabs(name):
        return
    splits = (description["train_split"], description["eval_split"])
    inside = " and ".join(f"{split}/" for split in splits)
    if kind == "npz":
        inside = name
    elif name:
        inside = f"{name}/ (with {inside})"
    raise ValueError(
        f"{command} needs --data_dir=FOLDER with {inside} inside; "
        "TFDS_DATA_DIR is not set either."
    )


def evaluate(preset):
    """Measures a preset's figures again, and compares them with its card."""
    from vqvae_tf import cards, figure_table, presets

    metadata = presets.verify(presets.find_preset(preset))
    description = _described_data(preset, metadata)
    _check_data_dir("evaluate", description)
    if FLAGS.on_corrupt == "skip":
        description = {**description, "on_corrupt": "skip"}
    changes = {
        name: FLAGS[name].value
        for name in ("eval_split", "bound_samples")
        if FLAGS[name].value not in (None, description.get(name))
    }
    description = {**description, **changes}
    model = presets.load(preset)
    print(f"{preset} on {description['source']}, ", end="")
    print(f"split {description['eval_split']}:")
    figures = cards.measure(model, description, FLAGS.data_dir)
    for title, value in figure_table.table(figures):
        print(f"  {title:50} {value}")
    if changes:
        said = ", ".join(f"{k}={v}" for k, v in changes.items())
        print(f"The card has no figures of {said}.")
        return 0
    differences = figure_table.compare(figures, metadata.get("metrics", {}))
    if differences:
        print("These do not agree with the card:")
        print("\n".join(f"  {line}" for line in differences))
        return 1
    print("All figures agree with the card.")
    return 0


def _described_data(preset, metadata):
    """Returns what data the metadata say that figures are of."""
    from vqvae_tf import cards

    description = metadata.get("data")
    if not isinstance(description, dict):
        description = {}
    missing = [key for key in cards.DATA_KEYS if key not in description]
    if missing:
        raise ValueError(
            f"The preset {preset} does not say what to measure it on: its "
            f"metadata's `data` lacks {', '.join(missing)}. Save it with these "
            "(`vqvae-tf train` does), or call vqvae_tf.evaluation.evaluate "
            "with batches of your own."
        )
    return description


def _by_medium(name, *of_speech):
    """Returns the command of `cli_speech` or `cli_pictures`, by its preset.

    Args:
        of_speech: its flags that mean nothing for pictures.
    """

    def run(preset, *arguments):
        from vqvae_tf import audio_inputs, cli_pictures, cli_speech

        if audio_inputs.is_speech(preset):
            return getattr(cli_speech, name)(preset, *arguments)
        for flag in of_speech:
            if FLAGS[flag].present:
                raise ValueError(
                    f"--{flag} is for presets of speech here. Received: "
                    f"--{flag} and {preset}."
                )
        return getattr(cli_pictures, name)(preset, *arguments)

    return run


def convert(preset, *inputs):
    """Writes recordings in another speaker's voice."""
    from vqvae_tf import cli_speech

    cli_speech.convert(preset, *inputs)


def rollout(preset, *source):
    """Writes a film of what a model of video makes of a clip."""
    from vqvae_tf import cli_video

    cli_video.rollout(preset, *source)


def export(preset, target):
    """Writes a SavedModel in TensorFlow Serving's layout."""
    from vqvae_tf import presets
    from vqvae_tf.export import export as write

    path = write(
        presets.load(preset),
        target,
        version=FLAGS.model_version,
        jit_sampling=FLAGS.jit_sampling,
    )
    print(f"Wrote the SavedModel {path}.")


def demo():
    """Runs the demonstration."""
    from vqvae_tf import demo as demonstration

    demonstration.run(pathlib.Path(FLAGS.output or "demo"))


COMMANDS = {
    "list": list_presets,
    "train": train,
    "evaluate": evaluate,
    "sample": _by_medium("sample", "speaker"),
    "reconstruct": _by_medium("reconstruct", "speaker", "temperature", "seed"),
    "encode": _by_medium("encode"),
    "decode": _by_medium("decode", "speaker", "temperature", "seed"),
    "convert": convert,
    "rollout": rollout,
    "export": export,
    "demo": demo,
}

if __name__ == "__main__":
    # `python -m vqvae_tf.cli`, which has imported TensorFlow by now.
    from vqvae_tf_cli.main import main

    main()
