"""The commands for presets of pictures."""

import dataclasses
import os
import pathlib
from collections.abc import Iterator

import keras
import numpy as np
from absl import flags

from vqvae_tf import presets
from vqvae_tf.commands.inputs import (
    latents as latent_inputs,
    pictures as picture_inputs,
)
from vqvae_tf.commands.inputs.files import PICTURES
from vqvae_tf.commands.outputs import Outputs
from vqvae_tf.densities import WindowedDensity
from vqvae_tf.encoding import dataset, reading
from vqvae_tf.encoding.picture_format import picture_format
from vqvae_tf.encoding.sources import split_names
from vqvae_tf.evaluation.statistics import psnr
from vqvae_tf.media import sheets
from vqvae_tf.models import (
    Autoencoder,
    CodedSequenceModel,
    LatentGenerator,
    PictureClassifier,
    VideoGenerator,
)
from vqvae_tf.presets import identity as preset_identity
from vqvae_tf.tasks.pictures.sheets import sample_sheet
from vqvae_tf.utils.code_levels import from_arrays, to_arrays
from vqvae_tf.utils.paths import has_ending

FLAGS = flags.FLAGS

# Options of sampling that only priors over codes have.
_OF_CODES = ("label", "top_k", "top_p")


def sample(preset: str) -> None:
    """Writes a sheet of samples."""
    output = FLAGS.output or "samples.png"
    _check_picture_suffix(output)
    outputs = Outputs("sample")
    outputs.check(output)
    generator, options = _load_for_samples(preset)
    sheet = sample_sheet(
        generator,
        FLAGS.num,
        seed=FLAGS.seed,
        temperature=FLAGS.temperature,
        **options,
    )
    outputs.picture(output, sheet)
    print(f"Wrote {output}.")


def _load_for_samples(preset):
    """Returns the model to sample from, and further options that it has."""
    model = presets.load(preset)
    if isinstance(model, Autoencoder):
        names = (
            "label",
            "top_k",
            "top_p",
            "classifier",
            "canvas",
            "temperature",
        )
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
    options = {name: FLAGS[name].value for name in _OF_CODES}
    if FLAGS.classifier is None and FLAGS["keep"].present:
        raise ValueError(
            "--keep is the share of samples that a classifier keeps. Received: "
            f"--keep={FLAGS.keep} without --classifier."
        )
    if FLAGS.classifier is not None:
        options["classifier"] = PictureClassifier.from_preset(FLAGS.classifier)
        options["keep"] = FLAGS.keep
    if FLAGS.canvas is not None:
        model = _of_size(model, [int(word) for word in FLAGS.canvas])
    return model, options


def _of_size(model, size):
    """Returns the model with a prior that slides over larger pictures."""
    factor = model.autoencoder.downsampling
    own = [factor * n for n in model.prior.event_shape[:2]]
    fits = not any(n % factor for n in size)
    if not fits or any(n < least for n, least in zip(size, own)):
        raise ValueError(
            f"--canvas must be multiples of {factor}, of at least the model's "
            f"{own[0]},{own[1]}. Received: --canvas={size[0]},{size[1]}."
        )
    grid = [n // factor for n in size]
    prior = WindowedDensity(model.prior, grid)
    return LatentGenerator(model.autoencoder, prior)


def _check_picture_suffix(output):
    if pathlib.Path(output).suffix.lower() not in PICTURES.extensions:
        raise ValueError(
            "--output must be a picture file "
            f"({', '.join(PICTURES.extensions)}). Received: {output}."
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


def reconstruct(preset: str, *inputs: str) -> None:
    """Writes each picture beside its reconstruction."""
    output = FLAGS.output or "reconstructions"
    outputs = Outputs("reconstruct", inputs, PICTURES.extensions)
    inputs, targets = PICTURES.targets(
        inputs, output, outputs, FLAGS.on_corrupt
    )
    model, form = _load_for_pictures(preset)
    if FLAGS.size == "native":
        form = dataclasses.replace(form, size=None)
    for name, image in picture_inputs.read_pictures(
        inputs, form, FLAGS.on_corrupt
    ):
        again = model.reconstruct(image[None]).numpy()[0]
        error = np.mean((again.astype(np.float64) - image) ** 2)
        target = targets[name]
        outputs.picture(target, sheets.pairs(image[None], again[None]))
        print(f"{target}: {psnr(error):.2f} dB")


def _load_for_pictures(preset):
    """Returns a preset's model, and the format of its pictures."""
    metadata = presets.load_metadata(presets.find_preset(preset))
    model = presets.load(preset)
    if isinstance(model, PictureClassifier):
        raise ValueError(
            "A classifier has neither codes nor pictures; use the preset of an "
            f"autoencoder. Received: {preset}, a PictureClassifier."
        )
    # A single picture is encoded without past frames.
    if isinstance(model, (VideoGenerator, CodedSequenceModel)):
        model = model.autoencoder
    return model, picture_format(model, metadata)


def encode(preset: str, source: str, target: str) -> None:
    """Writes the codes of a data set to a folder, or of pictures to an npz.

    For autoencoders without codes, it writes float latents to an npz file.
    """
    if has_ending(target, ".npz"):
        _encode_pictures(preset, source, target)
        return
    done = dataset.encode_dataset(
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
    outputs = Outputs("encode", [source], PICTURES.extensions)
    outputs.check(target)
    picture_inputs.check_source(source)
    model, form = _load_for_pictures(preset)
    names, found = [], []
    for batch_names, images in picture_inputs.picture_batches(
        source, form, FLAGS.on_corrupt
    ):
        names += batch_names
        found.append(_latent_arrays(model, images))
    if not found:
        raise ValueError(f"No picture of {source} could be read.")
    outputs.npz(
        target,
        **{name: np.concatenate([f[name] for f in found]) for name in found[0]},
        **{
            "names": np.array(names),
            preset_identity.ARRAY: preset_identity.to_array(preset),
        },
    )
    kind = "latents" if "latents" in found[0] else "codes"
    print(f"Wrote the {kind} of {len(names)} pictures to {target}.")


def _latent_arrays(model, images):
    """Returns the latents of pictures as named arrays."""
    found = model.encode(images)
    if isinstance(model, Autoencoder):
        return {"latents": found.numpy()}
    return {name: own.numpy() for name, own in to_arrays(found).items()}


def decode(preset: str, source: str, target: str) -> None:
    """Decodes codes or latents to a PNG each, or to an npz file."""
    outputs = Outputs("decode", [source])
    if pathlib.Path(source).is_dir():
        _decode_dataset(preset, source, pathlib.Path(target), outputs)
        return
    if FLAGS["split"].present:
        raise ValueError(
            "--split is for data sets of codes, which are folders. "
            f"Received: --split={FLAGS.split} and {source}."
        )
    wanted = latent_inputs.array_names_of(preset)
    arrays = latent_inputs.read_codes(source, wanted, len(wanted))
    preset_identity.check_array(preset, arrays, source)
    targets = _targets(arrays["names"], target)
    outputs.check(*targets)
    model, _ = _load_for_pictures(preset)
    values = {name: arrays[name] for name in wanted}
    if "latents" in values:
        own = values["latents"]
        values["latents"] = latent_inputs.checked_latents(model, own, source)
    images = np.concatenate(
        [
            decode_arrays(model, {k: v[i : i + 16] for k, v in values.items()})
            for i in range(0, len(arrays["names"]), 16)
        ]
    )
    if has_ending(target, ".npz"):
        outputs.npz(target, images=images)
    else:
        for path, image in zip(targets, images):
            outputs.picture(path, image)
    print(f"Wrote {len(images)} pictures to {target}.")


def _targets(names, target):
    """Returns the files to write: one npz, or a PNG for each name."""
    if has_ending(target, ".npz"):
        return [target]
    return [pathlib.Path(target) / name for name in PICTURES.row_names(names)]


def _decode_dataset(preset, source, target, outputs):
    """Decodes a folder of codes to PNG files, in its order."""
    if has_ending(target, ".npz"):
        raise ValueError(
            "The pictures of a folder of codes are written to a folder. "
            f"Received: {target}."
        )
    outputs.check_folder(target)
    model, _ = _load_for_pictures(preset)
    count = 0
    for name, image in decoded(model, preset, source, FLAGS.split):
        outputs.picture(target / name, image)
        count += 1
    print(f"Wrote {count} pictures to {target}.")


def decoded(
    model: keras.Model,
    preset: str,
    folder: str | pathlib.Path,
    split: str,
    batch_size: int = 16,
) -> Iterator[tuple[str, np.ndarray]]:
    """Decodes a coded data set.

    Args:
        model: the preset's, with `decode`.
        preset: as for `presets.find_preset`; the one that made the codes.
        folder: as written by `dataset.encode_dataset`.
        split: as for `reading.open_codes`, or several joined by commas.
        batch_size: examples that are decoded at once.

    Yields:
        For each example, a path such as `train/NAME.png`, or
        `train/EPISODE/STEP.png`, and a picture, uint8 `[height, width,
        channels]`.

    Raises:
        ValueError: for codes of another preset, or an unknown split.
        FileNotFoundError: if the folder has no complete coded data set.
    """
    plan = reading.read_plan(folder)
    preset_identity.check(preset, plan["preset"], folder)
    taken = {}
    for spelled in split_names(split, plan["splits"]):
        for batch in reading.code_batches(folder, spelled, batch_size):
            names = _names(spelled.partition("[")[0], batch, taken)
            yield from zip(names, decode_arrays(model, batch))


def decode_arrays(
    model: keras.Model, arrays: dict[str, np.ndarray]
) -> np.ndarray:
    """Decodes named arrays of latents or codes; see `array_names_of`.

    Args:
        model: a preset's.
        arrays: of a batch; others are ignored.
    """
    if "latents" in arrays:
        return model.decode(arrays["latents"]).numpy()
    return model.decode(from_arrays(arrays)).numpy()


def _names(split, batch, taken):
    """Returns the PNG to write for each row, a path within the output."""
    if "name" in batch:
        names = [f"{split}/{os.fsdecode(name)}" for name in batch["name"]]
    else:
        pairs = zip(batch["episode"], batch["step"])
        names = [f"{split}/{e:05}/{step:05}" for e, step in pairs]
    rows = [(name, name) for name in names]
    return list(PICTURES.output_names(rows, taken).values())
