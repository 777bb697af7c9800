"""`vqvae-tf demo`: what the package does, on its own photos and clips."""

import math
import pathlib
import subprocess
import sys
import tempfile
import time

import numpy as np

from vqvae_tf import data, presets, recipes
from vqvae_tf.commands.inputs.sequences import is_sequences
from vqvae_tf.commands.outputs import Outputs
from vqvae_tf.evaluation import pictures as evaluation
from vqvae_tf.evaluation.figures import table
from vqvae_tf.export.saved_model import export
from vqvae_tf.media import sheets
from vqvae_tf.models import LatentGenerator, PictureClassifier, VideoGenerator
from vqvae_tf.samples.clips import known_frames, sample_clips
from vqvae_tf.samples.photos import sample_pictures
from vqvae_tf.tasks import speech, two_levels, video
from vqvae_tf.tasks.card_samples import known_images
from vqvae_tf.tasks.pictures import sheets as previews
from vqvae_tf.utils.npz_files import read_npz
from vqvae_tf.utils.paths import expand

PHOTOS = "vqvae_photo128"
GLOBAL, VIDEO = "vqvae_dmlab84_global", "video_dmlab84"
SPEECH = "vqvae_speech8k"
SIZE = 128
# What to expect of samples.
REMARKS = {
    PHOTOS: "; a prior of few photos learns textures, not objects",
    "fsq_vqvae_cifar10": "; colours and textures, not objects",
    "likelihood_vqvae_cifar10": "; colours and textures, not objects",
    "residual_vqvae_cifar10": "; colours and textures, not objects",
    "vae_cifar10": "; independent latents give patches of colour",
}


def run(output: pathlib.Path) -> None:
    """Reconstructs, samples, completes and exports; writes pictures."""
    output = expand(output)
    outputs = Outputs("demo")
    outputs.check_folder(output)
    outputs.check(*(output / name for name in _names()))
    photos = LatentGenerator.from_preset(PHOTOS)
    images = np.stack([data.load_picture(p, SIZE) for p in sample_pictures()])
    rows = _reconstruct(photos, images, output, outputs)
    _sample(output, outputs)
    _frames(output, outputs)
    _voices(output, outputs)
    _complete(photos, images, output, outputs)
    rows += _serve(photos, images, output)
    width = max(len(title) for title, _ in rows)
    text = "\n".join(f"{title:{width}}  {value}" for title, value in rows)
    outputs.text(output / "metrics.txt", text)
    print(f"\n{text}\n\nPictures and the SavedModel are in {output}.")


def _names():
    """Yields the names of the files that are known in advance."""
    yield from ("metrics.txt", "reconstructions.png", "completions.png")
    yield from ("dmlab_codes.png", "dmlab_rollouts.gif")
    for name in presets.BUILT_IN:
        yield from (f"samples_{name}.png", f"reconstructions_{name}.png")


def _reconstruct(photos, images, output, outputs):
    batch = data.array_evaluation_batches(images, len(images))
    figures = evaluation.evaluate(photos, batch, progress=False)
    codes = photos.encode(images)
    sheet = sheets.pairs(images, photos.decode(codes), columns=6)
    outputs.picture(output / "reconstructions.png", sheet)
    print("reconstructions.png: photos, each above its reconstruction.")
    stored = images[0].size * 8
    bits_per_code = math.log2(photos.autoencoder.quantizer.num_embeddings)
    coded = codes[0].numpy().size * bits_per_code
    entropy = figures["prior_bits_per_dim"] * images[0].size
    return [
        ("photos", str(len(images))),
        ("bits of a photo as stored", f"{stored:,}"),
        (
            "bits of its codes",
            f"{coded:,.0f} ({stored / coded:.2f} times fewer)",
        ),
        ("bits of its codes under the prior", f"{entropy:,.0f}"),
        *table(figures),
    ]


def _sample(output, outputs):
    for name in sorted(presets.BUILT_IN):
        if name in (VIDEO, SPEECH) or is_sequences(name):
            continue
        start = time.monotonic()
        model = presets.load(name)
        if isinstance(model, PictureClassifier):
            continue  # it makes no pictures
        if previews.can_sample(model):
            file, sheet, said = _samples_of(name, model)
        else:
            file, sheet, said = _reconstructions_of(name, model)
        outputs.picture(output / file, sheet)
        print(f"{file}: {said} ({time.monotonic() - start:.0f} s).")


def _samples_of(name, model):
    said = "drawn from the prior"
    classes = model.prior and model.prior.global_channels
    if classes:
        columns = classes <= previews.COLUMNS
        said += ", a column for each class" if columns else ", by class"
    said += REMARKS.get(name, "")
    temperature = recipes.load_recipe(name).data.get("drawn_temperature", 1.0)
    sheet = previews.sample_sheet(model, seed=1, temperature=temperature)
    return f"samples_{name}.png", sheet, said


def _reconstructions_of(name, model):
    config = recipes.load_recipe(name)
    images = known_images(
        config.card.samples, config.data.image_size, config.data.channels
    )
    said = "pictures, each above its reconstruction"
    sheet = previews.reconstruction_sheet(model, images)
    return f"reconstructions_{name}.png", sheet, said


def _frames(output, outputs):
    """Draws frames of DeepMind Lab from codes, and continues clips of it."""
    if GLOBAL in presets.BUILT_IN:
        model = LatentGenerator.from_preset(GLOBAL)
        sheet = two_levels.card.global_sheet(model, known_frames())
        outputs.picture(output / "dmlab_codes.png", sheet)
        print(
            "dmlab_codes.png: frames, reconstructed from 21x21 codes, and two "
            "samples given three codes (27 bits)."
        )
    if VIDEO in presets.BUILT_IN:
        start = time.monotonic()
        model = VideoGenerator.from_preset(VIDEO)
        film = video.card.rollout_film(model, *sample_clips())
        outputs.animation(output / "dmlab_rollouts.gif", film)
        print(
            "dmlab_rollouts.gif: true frames; six frames continued with the "
            "same actions; looking left; looking right "
            f"({time.monotonic() - start:.0f} s)."
        )


def _voices(output, outputs):
    """Writes recordings decoded in two voices each, and samples."""
    if SPEECH not in presets.BUILT_IN:
        return
    start = time.monotonic()
    model = presets.load(SPEECH)
    shown = speech.card.draw(model, recipes.load_recipe(SPEECH))
    for name, content in shown.items():
        outputs.shown(output / "voices" / name, content)
    print(
        f"voices: {', '.join(shown)}: recordings, decoded from their codes, "
        "the same in another voice, and samples of the prior "
        f"({time.monotonic() - start:.0f} s)."
    )


def _complete(photos, images, output, outputs):
    mask = np.zeros(images.shape[:3], bool)
    mask[:, : SIZE // 2] = True
    completed = photos.sample(given=images, given_mask=mask, seed=1)
    sheet = sheets.pairs(images, completed, columns=6)
    outputs.picture(output / "completions.png", sheet)
    print("completions.png: photos, each above a sample of its lower half.")


# A client that has only TensorFlow, like a server.
_CLIENT = """
import sys
sys.modules["keras"] = sys.modules["vqvae_tf"] = None
import numpy as np
import tensorflow as tf
model = tf.saved_model.load(sys.argv[1])
images = np.load(sys.argv[2])["images"]
codes = model.signatures["encode"](images=tf.constant(images))["codes"]
again = model.signatures["decode"](codes=codes)["images"]
bits = model.signatures["score"](images=tf.constant(images))["bits_per_dim"]
np.savez(sys.argv[3], codes=codes, images=again, bits=bits)
"""


def _serve(photos, images, output):
    folder = output / "saved_model"
    # A new version, since the demo may be run twice.
    path = export(photos, folder, version=_next_version(folder))
    answer = _served(path, images)
    same_codes = np.mean(answer["codes"] == photos.encode(images))
    same_values = np.mean(answer["images"] == photos.reconstruct(images))
    bits = float(answer["bits"].mean())
    # Another graph may round differently where two codes are equally near.
    if min(same_codes, same_values) < 0.99:
        raise ValueError(
            "The SavedModel and the model disagree: "
            f"{same_codes:.2%} of the codes and {same_values:.2%} of the "
            "pixel values are equal, but at least 99% should be."
        )
    return [
        ("SavedModel without this package, codes equal", f"{same_codes:.2%}"),
        ("the same, values of pictures equal", f"{same_values:.2%}"),
        ("the same, score (bits/dim)", f"{bits:.4f}"),
    ]


def _next_version(folder) -> int:
    """Returns one more than the highest version, ignoring other names."""
    names = [path.name for path in folder.glob("*")]
    versions = [int(n) for n in names if n.isascii() and n.isdecimal()]
    return 1 + max(versions, default=0)


def _served(path, images) -> dict:
    """Returns the answer of a process that has only TensorFlow."""
    with tempfile.TemporaryDirectory() as folder:
        sent = pathlib.Path(folder, "request.npz")
        answer = pathlib.Path(folder, "answer.npz")
        np.savez(sent, images=images)
        client = subprocess.run(
            [sys.executable, "-c", _CLIENT, str(path), str(sent), str(answer)],
            capture_output=True,  # TensorFlow's log lines, unless it fails
            text=True,
        )
        if client.returncode:
            raise RuntimeError(
                f"The SavedModel's client failed:\n{client.stderr}"
            )
        return read_npz(answer, "the client's answer")
