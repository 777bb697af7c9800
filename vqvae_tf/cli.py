"""The commands of `vqvae-tf`; `vqvae_tf_cli` reads their arguments."""

import dataclasses
import functools
import os
import pathlib
import shlex

from absl import flags

FLAGS = flags.FLAGS


class CommandError(Exception):
    """A mistake of the caller's, told in one line."""


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
    own = (CommandError, CheckpointError, WorkerLost)
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
    """Raises CommandError where the source is relative to no folder."""
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
    raise CommandError(
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
        raise CommandError(
            f"The preset {preset} does not say what to measure it on: its "
            f"metadata's `data` lacks {', '.join(missing)}. Save it with these "
            "(`vqvae-tf train` does), or call vqvae_tf.evaluation.evaluate "
            "with batches of your own."
        )
    return description


def or_speech(*only_speech):
    """Makes a command of pictures that of `cli_speech` for such a preset.

    Args:
        only_speech: its flags that mean nothing for pictures.
    """

    def decorate(command):
        @functools.wraps(command)
        def run(preset, *arguments):
            from vqvae_tf import audio_inputs, cli_speech

            if audio_inputs.is_speech(preset):
                of_speech = getattr(cli_speech, command.__name__)
                return of_speech(preset, *arguments)
            for name in only_speech:
                if FLAGS[name].present:
                    raise CommandError(
                        f"--{name} is for presets of speech here. Received: "
                        f"--{name} and {preset}."
                    )
            return command(preset, *arguments)

        return run

    return decorate


@or_speech("speaker")
def sample(preset):
    """Writes a sheet of samples."""
    from vqvae_tf import cards, sheets

    output = FLAGS.output or "samples.png"
    _check_picture_suffix(output)
    generator, options = _load_for_samples(preset)
    sheet = cards.sample_sheet(
        generator,
        FLAGS.num,
        seed=FLAGS.seed,
        temperature=FLAGS.temperature,
        **options,
    )
    sheets.save_picture(output, sheet)
    print(f"Wrote {output}.")


def _load_for_samples(preset):
    """Returns what draws pictures, and the options that it alone knows."""
    from vqvae_tf import latent_inputs, presets
    from vqvae_tf.models import Autoencoder, LatentGenerator

    model = presets.load(preset)
    if isinstance(model, Autoencoder):
        names = ("label", "top_k", "top_p", "temperature")
        given = [name for name in names if FLAGS[name].present]
        latent_inputs.check_sampling(model, given)
        return model, {}
    if not isinstance(model, LatentGenerator):
        raise CommandError(
            "sample draws pictures from a prior: it takes the preset of a "
            f"LatentGenerator, or of a VAE. Received: {preset}, a "
            f"{type(model).__name__}."
        )
    _check_label(model.prior.global_channels)
    return model, {name: FLAGS[name].value for name in _OF_CODES}


_OF_CODES = ("label", "top_k", "top_p")


def _check_picture_suffix(output):
    from vqvae_tf.data.folder import EXTENSIONS

    if pathlib.Path(output).suffix.lower() not in EXTENSIONS:
        raise CommandError(
            f"--output must be a picture file ({', '.join(EXTENSIONS)}). "
            f"Received: {output}."
        )


def _check_label(classes):
    if FLAGS.label is None:
        return
    if not classes or not 0 <= FLAGS.label < classes:
        raise CommandError(
            f"--label must be in 0..{classes - 1}. Received: {FLAGS.label}."
            if classes
            else "This preset has no classes. Received: --label."
        )


@or_speech("speaker", "temperature", "seed")
def reconstruct(preset, *inputs):
    """Writes each picture beside its reconstruction."""
    import numpy as np

    from vqvae_tf import evaluation, picture_inputs, sheets

    output = pathlib.Path(FLAGS.output or "reconstructions")
    inputs = picture_inputs.list_inputs(inputs)
    targets = _reconstruction_targets(inputs, output)
    model, form = _load_for_pictures(preset)
    if FLAGS.size == "native":
        form = dataclasses.replace(form, size=None)
    for name, image in picture_inputs.read_pictures(
        inputs, form, FLAGS.on_corrupt
    ):
        again = model.reconstruct(image[None]).numpy()[0]
        error = np.mean((again.astype(np.float64) - image) ** 2)
        target = targets[name]
        sheets.save_picture(target, sheets.pairs(image[None], again[None]))
        print(f"{target}: {evaluation.psnr(error):.2f} dB")


def _reconstruction_targets(inputs, output):
    """Returns the file to write for each name; none is an input."""
    from vqvae_tf import picture_inputs

    names = picture_inputs.output_names(inputs)
    targets = {name: output / target for name, target in names.items()}
    for path, name in inputs:
        if targets[name].resolve() == path.resolve():
            raise CommandError(
                f"{path} would be replaced by its reconstruction. Choose "
                f"another folder. Received: --output={output}."
            )
    return targets


def _load_for_pictures(preset):
    """Returns a preset's model, and the format of its pictures."""
    from vqvae_tf import picture_inputs, presets
    from vqvae_tf.models import VideoGenerator

    metadata = presets.load_metadata(presets.find_preset(preset))
    model = presets.load(preset)
    # Single pictures have no past.
    if isinstance(model, VideoGenerator):
        model = model.autoencoder
    return model, picture_inputs.picture_format(model, metadata)


@or_speech()
def encode(preset, source, target):
    """Writes codes: of a data set to a folder, of pictures to an npz file.

    Of an autoencoder that has none it writes the latents, to an npz file.
    """
    if target.endswith(".npz"):
        _encode_pictures(preset, source, target)
        return
    from vqvae_tf import code_sets

    done = code_sets.encode_dataset(
        preset,
        source,
        target,
        split=FLAGS.split,
        data_dir=FLAGS.data_dir,
        file_format=FLAGS.format,
        num_shards=FLAGS.num_shards,
        batch_size=FLAGS.batch_size,
        on_corrupt=FLAGS.on_corrupt,
    )
    print(
        f"The codes of {done['examples']} pictures are in {target}: "
        f"{done['made']} shards made, {done['kept']} were there."
    )


def _encode_pictures(preset, source, target):
    import numpy as np

    from vqvae_tf import latent_inputs, picture_inputs

    for name in ("data_dir", "split", "format", "num_shards", "batch_size"):
        if FLAGS[name].present:
            raise CommandError(
                f"--{name} is for data sets, whose codes are written to a "
                f"folder. Received: --{name} and {target}."
            )
    model, form = _load_for_pictures(preset)
    name = latent_inputs.array_name(model)
    names, found = [], []
    for batch_names, images in picture_inputs.picture_batches(
        source, form, FLAGS.on_corrupt
    ):
        names += batch_names
        found.append(model.encode(images).numpy())
    if not found:
        raise CommandError(f"No picture of {source} could be read.")
    arrays = {name: np.concatenate(found), "names": np.array(names)}
    _save_arrays(target, **arrays)
    print(f"Wrote the {name} of {len(names)} pictures to {target}.")


@or_speech("speaker", "temperature", "seed")
def decode(preset, source, target):
    """Writes the pictures of codes, or latents: one PNG each, or an npz."""
    import numpy as np

    from vqvae_tf import sheets
    from vqvae_tf.files import read_npz

    if pathlib.Path(source).is_dir():
        _decode_dataset(preset, source, pathlib.Path(target))
        return
    if FLAGS["split"].present:
        raise CommandError(
            "--split is for data sets of codes, which are folders. "
            f"Received: --split={FLAGS.split} and {source}."
        )
    arrays = read_npz(
        source, "a codes file (.npz, written by `vqvae-tf encode`)"
    )
    model, _ = _load_for_pictures(preset)
    values, targets = _values_and_targets(model, arrays, source)
    images = [
        model.decode(values[i : i + 16]).numpy()
        for i in range(0, len(values), 16)
    ]
    images = np.concatenate(images)
    if target.endswith(".npz"):
        _save_arrays(target, images=images)
    else:
        for name, image in zip(targets, images):
            sheets.save_picture(pathlib.Path(target) / name, image)
    print(f"Wrote {len(images)} pictures to {target}.")


def _decode_dataset(preset, source, target):
    """Writes the pictures of a folder of codes as PNG files, in its order."""
    from vqvae_tf import code_reading, sheets

    if target.suffix == ".npz":
        raise CommandError(
            "The pictures of a folder of codes are written to a folder. "
            f"Received: {target}."
        )
    model, _ = _load_for_pictures(preset)
    count = 0
    for name, image in code_reading.decoded(model, preset, source, FLAGS.split):
        sheets.save_picture(target / name, image)
        count += 1
    print(f"Wrote {count} pictures to {target}.")


def _values_and_targets(model, arrays, source):
    """Returns what a model decodes of a file, and the PNG to write for each."""
    from vqvae_tf import latent_inputs, picture_inputs

    kind = latent_inputs.array_name(model)
    if kind not in arrays:
        raise CommandError(
            f"Expected an array `{kind}` in {source}, of this preset's "
            f"pictures. Received: {', '.join(arrays)}."
        )
    values = arrays[kind]
    if kind == "latents":
        values = latent_inputs.checked_latents(model, values, source)
    names = arrays.get("names", range(len(values)))
    if len(names) != len(values):
        raise CommandError(
            f"Expected as many `names` as `{kind}` in {source}. Received: "
            f"{len(names)} and {len(values)}."
        )
    rows = [(f"row {i}", str(name)) for i, name in enumerate(names)]
    return values, list(picture_inputs.output_names(rows).values())


def convert(preset, *inputs):
    """Writes recordings in another speaker's voice."""
    from vqvae_tf import cli_speech

    cli_speech.convert(preset, *inputs)


def rollout(preset, *source):
    """Writes a film of what a model of video makes of a clip."""
    from vqvae_tf import clip_inputs, sheets
    from vqvae_tf.models import VideoGenerator

    output = FLAGS.output or "rollout.gif"
    if not output.endswith((".gif", ".npz")):
        raise CommandError(
            "--output must be a film (.gif) or an array of frames (.npz). "
            f"Received: {output}."
        )
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
    if output.endswith(".npz"):
        _save_arrays(output, frames=drawn)
    else:
        sheets.save_animation(
            output, clip_inputs.film(frames, drawn, video.num_past)
        )
    print(f"Wrote {output}: {len(drawn)} futures of {steps} frames.")


def _save_arrays(path, **arrays):
    import numpy as np

    from vqvae_tf.files import write_atomically

    with write_atomically(path) as temporary:
        with open(temporary, "wb") as file:
            np.savez_compressed(file, **arrays)


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
    "sample": sample,
    "reconstruct": reconstruct,
    "encode": encode,
    "decode": decode,
    "convert": convert,
    "rollout": rollout,
    "export": export,
    "demo": demo,
}

if __name__ == "__main__":
    # `python -m vqvae_tf.cli`, which has imported TensorFlow by now.
    from vqvae_tf_cli.main import main

    main()
