"""Waveforms of log-mel frames, against NumPy."""

import numpy as np
import pytest
import tensorflow as tf

from vqvae_tf.layers import GriffinLim, LogMel
from vqvae_tf.layers.spectral_decoder import SpectralDecoder
from vqvae_tf.runtime import random

RATE, WINDOW, HOP, BANDS = 800, 32, 8, 6
SIZES = dict(num_mels=BANDS, window=WINDOW, hop=HOP)
HANN = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(WINDOW) / WINDOW)


def voice(count=1, size=400, seed=0):
    """Noise that is loud now and then."""
    noise = np.random.default_rng(seed).uniform(-1, 1, [count, size])
    loudness = np.sin(np.arange(size) / 40) ** 2
    return (0.5 * noise * loudness).astype(np.float32)


def frames_of(waveform):
    """Frames around the samples of each hop, as the model's are."""
    return SpectralDecoder(RATE, HOP, WINDOW, BANDS).targets(waveform)


def stft(x):
    starts = range(0, len(x) - WINDOW + 1, HOP)
    return np.array([np.fft.rfft(x[s : s + WINDOW] * HANN) for s in starts])


def istft(spectrum):
    """The waveform whose spectrum is nearest: windows' squares weigh."""
    size = (len(spectrum) - 1) * HOP + WINDOW
    total, weight = np.zeros(size), np.zeros(size)
    for f, frame in enumerate(np.fft.irfft(spectrum, WINDOW)):
        place = slice(f * HOP, f * HOP + WINDOW)
        total[place] += frame * HANN
        weight[place] += HANN**2
    # As in the middle, where all windows are.
    return total / weight[size // 2 - HOP // 2 :][:HOP].mean()


def reference(frames, steps, momentum, angles):
    mels = LogMel(RATE, **SIZES)
    bands = mels.bands.astype(np.float64)
    energies = np.maximum(np.exp(frames) - mels.floor, 0)
    powers = target = energies @ bands.T
    for _ in range(30):
        powers = powers * target / np.maximum(powers @ bands @ bands.T, 1e-9)
    size = np.sqrt(powers)
    estimate, before = size * np.exp(1j * angles), 0
    for _ in range(steps):
        phase = estimate / np.maximum(np.abs(estimate), 1e-9)
        found = stft(istft(size * phase))
        estimate, before = found + momentum * (found - before), found
    phase = estimate / np.maximum(np.abs(estimate), 1e-9)
    return istft(size * phase)


@pytest.mark.parametrize("steps, momentum", [(1, 0.0), (3, 0.9)])
def test_against_numpy(steps, momentum):
    layer = GriffinLim(
        RATE, **SIZES, steps=steps, momentum=momentum, seed=3, floor=1e-5
    )
    frames = frames_of(voice(2)).numpy()
    found = layer(frames).numpy()
    assert found.shape == (2, 400)
    beyond = WINDOW // HOP
    shape = [len(frames[0]) + 2 * beyond, WINDOW // 2 + 1]
    angles = 2 * np.pi * random.uniform(shape, random.make_seed(3)).numpy()
    first = beyond * HOP + (WINDOW - HOP) // 2
    for row, wave in zip(frames, found):
        silence = np.full([beyond, BANDS], np.log(1e-5))
        padded = np.concatenate([silence, row, silence])
        expected = reference(padded, steps, momentum, angles)
        expected = expected[first : first + 400]
        np.testing.assert_allclose(wave, expected, atol=2e-3)
        assert np.abs(expected).max() > 0.05


def error(waveform, frames):
    return float(tf.reduce_mean((frames_of(waveform) - frames) ** 2))


def test_steps_and_momentum_bring_the_frames_nearer():
    frames = frames_of(voice(8, 1200))
    errors = [
        error(
            GriffinLim(RATE, **SIZES, steps=steps, momentum=m)(frames), frames
        )
        for steps, m in ((1, 0.0), (40, 0.0), (40, 0.99))
    ]
    assert errors[0] > errors[1] > errors[2]


def test_rows_do_not_depend_on_the_batch_and_graphs_agree():
    layer = GriffinLim(RATE, **SIZES, steps=8)
    frames = frames_of(voice(3))
    count, graphs = frames.shape[1], []
    for sizes in ((None, None), (None, count), (3, None)):
        spec = [tf.TensorSpec([*sizes, BANDS])]
        graphs.append(tf.function(lambda x: layer(x), input_signature=spec))
    drawn = [layer(frames), *(graph(frames) for graph in graphs)]
    for row in range(3):
        alone = layer(frames[row : row + 1])[0]
        for found in drawn:
            np.testing.assert_allclose(found[row], alone, atol=1e-4)


def test_silence_is_silent_and_noise_is_not_clipped_to_more_than_one():
    layer = GriffinLim(RATE, **SIZES)
    silence = np.full([1, 10, BANDS], np.log(1e-5), np.float32)
    np.testing.assert_allclose(layer(silence), np.zeros([1, 80]), atol=1e-6)
    loud = layer(np.full([1, 10, BANDS], 12.0, np.float32)).numpy()
    assert np.abs(loud).max() == 1.0 and np.isfinite(loud).all()


def test_configuration_is_kept():
    layer = GriffinLim(RATE, **SIZES, steps=5, momentum=0.5, seed=2)
    again = GriffinLim.from_config(layer.get_config())
    frames = frames_of(voice())
    np.testing.assert_array_equal(layer(frames), again(frames))
    assert layer.compute_output_shape((2, 7, BANDS)) == (2, 56)


@pytest.mark.parametrize(
    "options, received",
    [
        (dict(hop=17), "hop=17, window=32"),
        (dict(momentum=1.0), "momentum.* Received: 1.0"),
        (dict(steps=0), "steps.* Received: 0"),
    ],
)
def test_refuses(options, received):
    with pytest.raises(ValueError, match=received):
        GriffinLim(RATE, **{**SIZES, **options})


def test_frames_of_other_bands():
    with pytest.raises(ValueError, match=r"n, 6\]. Received: shape \(1, 9, 4"):
        GriffinLim(RATE, **SIZES)(tf.zeros([1, 9, 4]))
