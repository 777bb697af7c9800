"""The card of a model of speech; see `Task`."""

import keras
import numpy as np
from ml_collections import ConfigDict

from vqvae_tf.data.audio import reading as audio_reading
from vqvae_tf.media import spectrograms, wav
from vqvae_tf.models import LatentGenerator
from vqvae_tf.recipes import building
from vqvae_tf.samples.voices import sample_voices
from vqvae_tf.tasks.speech.recipe import has_fast_decoder
from vqvae_tf.utils.code_sizes import in_words

# How many of the package's recordings the card shows.
_COUNT = 5


def summary(config: ConfigDict, has_prior: bool) -> str:
    """Returns what the model is, in a sentence."""
    rate, sizes = config.data.sample_rate, building.code_sizes(config)
    prior = f", with a {config.prior.name} prior" if has_prior else ""
    return (
        f"A VQ-VAE of speech at {rate} Hz with K={in_words(sizes)} "
        f"codes and a decoder conditioned on one of {config.data.num_speakers} "
        f"speakers{prior}."
    )


def shown(config: ConfigDict, has_prior: bool, built_in: bool) -> str:
    """Returns the part of the card with its pictures and recordings."""
    del built_in
    if not shows_voices(config):
        return "What it makes of recordings: `vqvae-tf reconstruct`.\n"
    text = """![spectrograms](reconstructions.png)

Five test recordings (CC BY-SA 4.0, `vqvae_tf/samples/voices/LICENCES.md`);
below, their reconstructions; below that, the same codes in the next speaker's
voice{fast}. To listen, with pauses of half a second:
[originals](originals.wav), [from their codes](reconstructions.wav),
[in another voice](conversions.wav){fast_file}.
"""
    has_fast = has_fast_decoder(config)
    text = text.format(
        fast="; last, the same by the fast decoder (a network that predicts "
        "the\nspectrogram, and Griffin-Lim)" * has_fast,
        fast_file=", [the same, fast](fast_conversions.wav)" * has_fast,
    )
    if has_prior:
        text += """
![spectrograms of samples](samples.png)

Samples: codes drawn from the prior, one speaker each ([listen](samples.wav)).
"""
    return text


def shows_voices(config: ConfigDict) -> bool:
    """Returns whether the card shows the package's own recordings."""
    return config.card.samples == "voices" and config.data.sample_rate == 8000


def use_text(name: str, config: ConfigDict, has_prior: bool) -> str:
    """Returns example code."""
    lines = [
        "from vqvae_tf import SpeechVQVAE",
        "from vqvae_tf.data import load_waveform",
        "",
        f'model = SpeechVQVAE.from_preset("{name}")',
        'waveform = load_waveform("spoken.wav", model.sample_rate)[None]',
        "codes = model.encode(waveform)  # of float [batch, time]",
        "again = model.decode(codes, speaker=model.speaker_names[0])",
        "other = model.convert(waveform, model.speaker_names[1])",
    ]
    if has_fast_decoder(config):
        lines.append(
            "rough = model.convert(waveform, model.speaker_names[1], fast=True)"
        )
    if has_prior:
        lines += [
            "",
            "from vqvae_tf import LatentGenerator",
            "",
            f'generator = LatentGenerator.from_preset("{name}")',
            "context = model.speaker_context(0, batch=4)",
            "spoken = generator.sample(context=context, seed=0)",
        ]
    return "\n".join(lines)


# Pictures and recordings ------------------------------------------------------


def draw(
    model: keras.Model, config: ConfigDict, data_dir: str | None = None
) -> dict:
    """Returns the card's files, which use the package's own recordings."""
    if not shows_voices(config):
        return {}
    autoencoder = model.autoencoder
    waves, own = known_voices(_COUNT), _own_speakers(autoencoder)
    others = [(n + 1) % len(autoencoder.speaker_names) for n in own]
    rows = {
        "originals": waves,
        "reconstructions": _decoded(autoencoder, waves, own),
        "conversions": _decoded(autoencoder, waves, others),
    }
    if autoencoder.has_fast_decoder:
        fast = _decoded(autoencoder, waves, others, fast=True)
        rows["fast_conversions"] = fast
    drawn = spectrograms.sheet(list(rows.values()), autoencoder.sample_rate)
    files = {"reconstructions.png": drawn}
    for title, row in rows.items():
        files[f"{title}.wav"] = wav.joined(row, autoencoder.sample_rate)
    if isinstance(model, LatentGenerator):
        files |= _samples(model)
    return files


def known_voices(count: int) -> list[np.ndarray]:
    """Returns recordings of the package, with mean 0 and peak 1."""
    return [
        audio_reading.loudness(voice.waveform, "peak")
        for voice in sample_voices()[:count]
    ]


def _own_speakers(model):
    """Returns the speakers of the package's recordings, or substitutes."""
    voices, names = sample_voices()[:_COUNT], model.speaker_names
    if {voice.speaker for voice in voices} <= set(names):
        return [names.index(voice.speaker) for voice in voices]
    return [i % len(names) for i in range(len(voices))]


def _decoded(model, waves, speakers, **options):
    """Returns recordings decoded from their codes, each by a speaker."""
    longest = max(map(len, waves))
    padded = np.stack([np.pad(w, [0, longest - len(w)]) for w in waves])
    drawn = model.convert(padded, speakers, seed=0, **options).numpy()
    return [x[: len(wave)] for x, wave in zip(drawn, waves)]


def _samples(model):
    autoencoder = model.autoencoder
    speakers = list(range(len(autoencoder.speaker_names)))
    context = autoencoder.speaker_context(speakers)
    drawn = list(model.sample(context=context, seed=0).numpy())
    rate = autoencoder.sample_rate
    return {
        "samples.png": spectrograms.sheet([drawn], rate),
        "samples.wav": wav.joined(drawn, rate),
    }
