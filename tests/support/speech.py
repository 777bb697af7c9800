"""Small speech: tones whose pitch is the class, whose timbre the speaker."""

import keras
import numpy as np

import vqvae_tf as vq
from vqvae_tf.data.audio.source import PackedAudio

RATE = 8000
PITCHES = (250.0, 400.0, 650.0)
SPEAKERS = ("flute", "reed")


def tone(label, speaker, length, phase=0.0):
    """A tone of the class's pitch, with the speaker's own one above."""
    t = np.arange(length) / RATE
    wave = np.sin(2 * np.pi * PITCHES[label] * t + phase)
    wave += 0.7 * np.sin(2 * np.pi * (1500.0, 2800.0)[speaker] * t)
    return wave / np.abs(wave).max()


def tones(count, seed=0, shortest=600, longest=1200) -> PackedAudio:
    """`count` recordings of differing length, all pairs equally often."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % len(PITCHES)
    speakers = np.arange(count) // len(PITCHES) % len(SPEAKERS)
    waveforms = [
        tone(label, speaker, rng.integers(shortest, longest), rng.uniform(0, 6))
        for label, speaker in zip(labels, speakers)
    ]
    return PackedAudio(
        "tones",
        RATE,
        waveforms,
        speakers,
        SPEAKERS,
        labels,
        [str(int(pitch)) for pitch in PITCHES],
    )


def autoencoder(speakers=2, levels=16, seed=3):
    """An untrained VQ-VAE of waveforms: 4 samples for each of 8 codes."""
    keras.utils.set_random_seed(seed)
    law = vq.MuLaw(levels)
    wavenet = vq.WaveNet(
        levels,
        hidden_channels=8,
        skip_channels=8,
        head_channels=8,
        num_stacks=1,
        layers_per_stack=3,
        global_channels=speakers,
        local_channels=4,
        local_upsampling=4,
    )
    model = vq.models.SpeechVQVAE(
        vq.Encoder(4, hidden_channels=8, num_downsamples=2, rank=1),
        vq.VectorQuantizer(8, 4, seed=1),
        vq.densities.WaveformDensity(wavenet, law),
        preprocess=law,
        sample_rate=RATE,
        speaker_names=SPEAKERS if speakers == 2 else None,
    )
    model.build()
    # So that several codes are used, and contexts matter.
    rng = np.random.default_rng(seed)
    table = model.quantizer.embeddings
    table.assign(rng.normal(size=table.shape) * 0.1)
    for variable in wavenet.trainable_variables:
        variable.assign(variable + 0.3 * rng.normal(size=variable.shape))
    return model
