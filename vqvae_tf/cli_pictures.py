"""The commands of `vqvae-tf` on presets of pictures."""

import dataclasses
import pathlib

import numpy as np
from absl import flags

from vqvae_tf import (
    cards,
    code_reading,
    code_sets,
    evaluation,
    latent_inputs,
    picture_inputs,
    presets,
    sheets,
)
from vqvae_tf.data.folder import EXTENSIONS
from vqvae_tf.files import read_npz, save_npz
from vqvae_tf.models import Autoencoder, LatentGenerator, VideoGenerator

FLAGS = flags.FLAGS

# Options of sampling that only a prior over codes knows.
_OF_CODES = ("label", "top_k", "top_p")


def sample(preset):
    """Writes a sheet of samples."""
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
    model = presets.load(preset)
    if isinstance(model, Autoencoder):
        names = ("label", "top_k", "top_p", "temperature")
        given = [name for name in names if FLAGS[name].present]
        latent_inputs.check_sampling(model, given)
        return model, {}
    if not isinstance(model, LatentGenerator):
        raise ValueError(
            "sample draws pictures from a prior: it takes the preset of a "
            f"LatentGenerator, or of a VAE. Received: {preset}, a "
            f"{type(model).__name__}."
        )
    _check_label(model.prior.global_channels)
    return model, {name: FLAGS[name].value for name in _OF_CODES}


def _check_picture_suffix(output):
    if pathlib.Path(output).suffix.lower() not in EXTENSIONS:
        raise ValueError(
            f"--output must be a picture file ({', '.join(EXTENSIONS)}). "
            f"Received: {output}."
        )


def _check_label(classes):
    if FLAGS.label is None:
        return
    if not classes or not 0 <= FLAGS.label < classes:
        raise ValueError(
            f"--label must be in 0..{classes - 1}. Received: {FLAGS.label}."
            if classes
            else "This preset has no classes. Received: --label."
        )


def reconstruct(preset, *inputs):
    """Writes each picture beside its reconstruction."""
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
    names = picture_inputs.output_names(inputs)
    targets = {name: output / target for name, target in names.items()}
    for path, name in inputs:
        if targets[name].resolve() == path.resolve():
            raise ValueError(
                f"{path} would be replaced by its reconstruction. Choose "
                f"another folder. Received: --output={output}."
            )
    return targets


def _load_for_pictures(preset):
    """Returns a preset's model, and the format of its pictures."""
    metadata = presets.load_metadata(presets.find_preset(preset))
    model = presets.load(preset)
    # Single pictures have no past.
    if isinstance(model, VideoGenerator):
        model = model.autoencoder
    return model, picture_inputs.picture_format(model, metadata)


def encode(preset, source, target):
    """Writes codes: of a data set to a folder, of pictures to an npz file.

    Of an autoencoder that has none it writes the latents, to an npz file.
    """
    if target.endswith(".npz"):
        _encode_pictures(preset, source, target)
        return
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
    for name in ("data_dir", "split", "format", "num_shards", "batch_size"):
        if FLAGS[name].present:
            raise ValueError(
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
        raise ValueError(f"No picture of {source} could be read.")
    arrays = {name: np.concatenate(found), "names": np.array(names)}
    save_npz(target, **arrays)
    print(f"Wrote the {name} of {len(names)} pictures to {target}.")


def decode(preset, source, target):
    """Writes the pictures of codes, or latents: one PNG each, or an npz."""
    if pathlib.Path(source).is_dir():
        _decode_dataset(preset, source, pathlib.Path(target))
        return
    if FLAGS["split"].present:
        raise ValueError(
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
        save_npz(target, images=images)
    else:
        for name, image in zip(targets, images):
            sheets.save_picture(pathlib.Path(target) / name, image)
    print(f"Wrote {len(images)} pictures to {target}.")


def _decode_dataset(preset, source, target):
    """Writes the pictures of a folder of codes as PNG files, in its order."""
    if target.suffix == ".npz":
        raise ValueError(
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
    kind = latent_inputs.array_name(model)
    if kind not in arrays:
        raise ValueError(
            f"Expected an array `{kind}` in {source}, of this preset's "
            f"pictures. Received: {', '.join(arrays)}."
        )
    values = arrays[kind]
    if kind == "latents":
        values = latent_inputs.checked_latents(model, values, source)
    names = arrays.get("names", range(len(values)))
    if len(names) != len(values):
        raise ValueError(
            f"Expected as many `names` as `{kind}` in {source}. Received: "
            f"{len(names)} and {len(values)}."
        )
    rows = [(f"row {i}", str(name)) for i, name in enumerate(names)]
    return values, list(picture_inputs.output_names(rows).values())
