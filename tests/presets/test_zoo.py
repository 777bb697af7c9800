"""The presets that the package carries are whole, and do what they say."""

import numpy as np
import pytest

import vqvae_tf as vq
from support import small
from vqvae_tf import presets, recipes
from vqvae_tf.commands.inputs import recordings as audio_inputs
from vqvae_tf.samples.voices import sample_voices
from vqvae_tf.tasks import card_samples
from vqvae_tf.tasks.speech import card as speech_cards

SPEAKERS = ["george", "jackson", "nicolas", "theo", "yweweler"]


@pytest.mark.parametrize("name", sorted(presets.BUILT_IN))
def test_built_in_presets_are_whole(name):
    folder = presets.find_preset(name)
    metadata = presets.verify(folder)
    assert presets.sha256(folder / "metadata.json") == presets.BUILT_IN[name]
    # The oldest presets are all of pictures, and do not say so.
    kind = metadata["data"].get("kind", "pictures")
    figures = metadata["metrics"]
    files = {"README.md", "samples.png", "reconstructions.png"}
    if metadata["class"] == "Autoencoder":
        files -= {"samples.png"} - set(metadata["files"])
        assert figures["psnr"] > 14
    elif kind == "classifier":
        files = {"README.md"}
        assert figures["accuracy"] > 0.7
    elif kind == "video":
        files = {"README.md", "rollouts.gif", "rollouts.png", "long.gif"}
        bits = ["", "_unknown", "_wrong"]
        bits = [figures[f"next_frame_bits{name}"] for name in bits]
        assert bits == sorted(bits)
        assert figures["greedy_psnr"] > figures["repeat_psnr"] + 1
    elif kind == "levels":
        files = {"README.md", "samples.png", "levels.png"}
        assert figures["usage_of_top"] > 0.9 < figures["usage_of_bottom"]
        other = figures["lower_bits_with_others_of_top"]
        assert other > 1.1 * figures["prior_bits_per_code_of_bottom"]
    elif kind == "codes":
        files |= {"swaps.png"}
        assert figures["global_usage"] > 0.9
        assert figures["map_bits_swapped"] > 1.1 * figures["map_bits"]
    elif kind == "speech":
        names = ("originals", "reconstructions", "conversions", "samples")
        names += ("fast_conversions",)
        files |= {f"{name}.wav" for name in names}
        bits = ["reconstruction", "shuffled", "other_speaker"]
        bits = [figures[f"{name}_bits_per_sample"] for name in bits]
        assert bits[0] < min(bits[1:])
        assert figures["usage"] > 0.9
    else:
        assert figures["usage"] > 0.9
    assert files < set(metadata["files"])


def _known(name):
    """Pictures like those that a preset of the family was trained on."""
    config = recipes.load_recipe(name)
    data = config.data
    return card_samples.known_images(
        config.card.samples, data.image_size, data.channels
    )


def _bits(model, waveform, speaker, codes):
    """Bits per sample of a recording, given a speaker and codes."""
    local = model.quantizer.decode(codes)
    context = {**model.speaker_context(speaker), "local": local}
    x = model.pad(waveform[None])
    return (
        -float(model.decoder.log_prob(x, context)[0]) / np.log(2) / x.shape[1]
    )


NAMES = sorted(presets.BUILT_IN)


SPOKEN = [name for name in NAMES if audio_inputs.is_speech(name)]


@pytest.mark.parametrize("name", SPOKEN)
def test_built_in_presets_of_speech_listen(name):
    """To codes and speakers, of recordings that the package carries."""
    model = vq.SpeechVQVAE.from_preset(name)
    waves = speech_cards.known_voices(5)
    for voice, wave in zip(sample_voices(), waves):
        codes = model.encode(wave[None]).numpy()
        assert model.decode(codes[:, :4], speaker=0).shape == (1, 256)
        of_speakers = [_bits(model, wave, name, codes) for name in SPEAKERS]
        assert np.argmin(of_speakers) == SPEAKERS.index(voice.speaker)
        mixed = np.random.default_rng(0).permutation(codes, axis=1)
        assert _bits(model, wave, voice.speaker, mixed) > min(of_speakers)


NAMING = [name for name in NAMES if name.startswith("classifier_")]


@pytest.mark.parametrize("name", sorted({*NAMES} - {*SPOKEN, *NAMING}))
def test_built_in_presets_reconstruct(name):
    model = presets.load(name)
    metadata = presets.load_metadata(presets.find_preset(name))
    description = metadata["data"]
    images = small.pictures(6, description["image_size"])
    most = 0.2
    if metadata["class"] == "Autoencoder":
        # A beta-VAE keeps no more than place and size, a VAE of binary pixels
        # no grey.
        images, most = _known(name), 0.4
    if description.get("kind") == "video":
        images = images[np.newaxis]
    error = np.mean((model.reconstruct(images).numpy() - 1.0 * images) ** 2)
    # Of a constant picture of the mean it is the variance.
    assert error < most * images.var()
