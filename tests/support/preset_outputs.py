"""What the built-in presets answer, to compare one version with another.

    python tests/support/preset_outputs.py write FILE.npz
    python tests/support/preset_outputs.py compare FILE.npz

`compare` names every output that is not the same bit for bit, which those of
one machine are. `answers` with few examples is what a test compares with a
committed file on any processor.
"""

import sys

import numpy as np

from vqvae_tf import presets, recipes
from vqvae_tf.models import PictureClassifier
from vqvae_tf.samples.clips import sample_clips
from vqvae_tf.samples.voices import sample_voices
from vqvae_tf.tasks.card_samples import known_images
from vqvae_tf.utils.code_levels import to_arrays

SPEECH = "vqvae_speech8k"


def answers(name, count):
    """Returns the outputs of one preset, by names that say what they are."""
    model = presets.load(name)
    if name == SPEECH:
        found = _speech(model, count)
    elif name.startswith("video"):
        found = _video(model, count)
    elif isinstance(model, PictureClassifier):
        images = _images(name, count)
        found = {
            "features": model.features(images),
            "probabilities": model.probabilities(images),
        }
    elif model.prior is not None:
        found = _generator(model, _images(name, count))
    else:
        found = _autoencoder(model, _images(name, count))
    return {f"{name}/{key}": np.asarray(x) for key, x in found.items()}


def _images(name, count):
    config = recipes.load_recipe(name)
    size, channels = config.data.image_size, config.data.channels
    return known_images(config.card.samples, size, channels)[:count]


def _generator(model, images):
    codes = model.encode(images)
    channels = model.global_channels
    classes = np.eye(channels or 1)
    many = {"global": classes[: len(images)]} if channels else None
    context = {"global": classes[:1]} if channels else None
    return {
        **to_arrays(codes),
        "reconstructions": model.reconstruct(images),
        "log_prob": model.log_prob(images, many),
        "sample": model.sample(1, context, seed=3),
        "cooler_sample": model.sample(
            1, context, temperature=0.8, top_p=0.9, seed=4
        ),
    }


def _autoencoder(model, images):
    found = {
        "latents": model.encode(images),
        "reconstructions": model.reconstruct(images),
    }
    if model.bottleneck.has_prior:
        found["log_prob"] = model.log_prob(images, num_samples=2, seed=1)
        found["sample"] = model.sample(2, seed=3)
    return found


def _video(model, count):
    frames, actions = (x[:count] for x in sample_clips())
    past = model.num_past
    known = frames[:, :past]
    next_codes = model.encode(frames[:, past : past + 1])[:, 0]
    context = {
        "past": model.encode(known),
        "action": actions[:, past - 1],
    }
    return {
        "codes": next_codes,
        "log_prob": model.prior.log_prob(next_codes, context),
        "rollout": model.rollout(known[:1], actions[:1], num_frames=2, seed=2),
    }


def _speech(model, count):
    waves = [voice.waveform[None, :1024] for voice in sample_voices()[:count]]
    wave = np.concatenate(waves)
    speakers = np.arange(count) % 5
    context = model.autoencoder.speaker_context(speakers, count)
    codes = model.encode(wave)
    return {
        "codes": codes,
        "log_prob": model.log_prob(wave, context),
        "waveform": model.autoencoder.decode(
            codes[:1, :4], speaker=0, length=256, seed=1
        ),
        "fast_waveform": model.autoencoder.decode(
            codes, speaker=speakers, fast=True
        ),
        "sampled_codes": model.prior.sample(1, seed=5, event_shape=[16]),
    }


def collect(count):
    """Returns the outputs of all built-in presets."""
    found = {}
    for name in sorted(presets.BUILT_IN):
        found |= answers(name, count)
        print(name, flush=True)
    return found


def main(command, path, count="4"):
    found = collect(int(count))
    if command == "write":
        np.savez_compressed(path, **found)
        return 0
    with np.load(path) as stored:
        before = dict(stored)
    differ = [key for key in before if not _same(before[key], found.get(key))]
    print("\n".join(differ) or f"all {len(before)} outputs are the same")
    return bool(differ)


def _same(before, after):
    return (
        after is not None
        and before.dtype == after.dtype
        and np.array_equal(before, after)
    )


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
