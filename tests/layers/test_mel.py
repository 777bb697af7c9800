"""Log-mel spectrograms against NumPy, and what they refuse."""

import numpy as np
import pytest

from support.harness import run_layer_test
from vqvae_tf.layers import LogMel


def noise(*shape, seed=0):
    generator = np.random.default_rng(seed)
    return generator.uniform(-1, 1, shape).astype(np.float32)


def mel(hertz):
    return 1127 * np.log1p(np.asarray(hertz) / 700)


def reference(waveform, rate, bands, window, hop, low, high, floor):
    """Log-mel energies, float64, frame by frame and band by band."""
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(window) / window)
    edges = np.linspace(mel(low), mel(high), bands + 2)
    place = mel(np.arange(window // 2 + 1) * rate / window)
    frames = []
    for first in range(0, len(waveform), hop):
        frame = np.zeros(window)
        part = waveform[first : first + window]
        frame[: len(part)] = part
        power = np.abs(np.fft.rfft(frame * hann)) ** 2
        power[0] = 0  # a band holds no constant
        energies = []
        for left, middle, right in zip(edges, edges[1:], edges[2:]):
            rising = (place - left) / (middle - left)
            falling = (right - place) / (right - middle)
            weight = np.maximum(np.minimum(rising, falling), 0)
            energies.append((weight * power).sum())
        frames.append(energies)
    return np.log(np.array(frames) + floor)


@pytest.mark.parametrize(
    "time, rate, options",
    [
        (1000, 8000, dict(num_mels=40, window=256, hop=64)),
        (640, 8000, dict(num_mels=20, window=200, hop=80, low=0.0)),
        (100, 16000, dict(num_mels=12, window=512, hop=160, high=4000.0)),
    ],
)
def test_against_numpy(time, rate, options):
    waveform = noise(2, time)
    found = LogMel(rate, **options)(waveform).numpy()
    options = {"low": 40.0, "high": rate / 2, "floor": 1e-5, **options}
    bands = options.pop("num_mels")
    for row, expected in zip(found, waveform):
        expected = reference(expected, rate, bands, **options)
        np.testing.assert_allclose(row, expected, rtol=1e-3, atol=1e-3)


def test_harness():
    run_layer_test(
        lambda **kwargs: LogMel(8000, num_mels=16, **kwargs),
        noise(2, 1000),
        (2, 16, 16),
    )


@pytest.mark.parametrize("hertz", [300, 1000, 3000])
def test_a_tone_is_in_its_band(hertz):
    tone = np.sin(2 * np.pi * hertz * np.arange(4000) / 8000)[None]
    mels = LogMel(8000)(tone.astype(np.float32)).numpy()[0, 10]
    centres = np.linspace(mel(40), mel(4000), 42)[1:-1]
    assert mels.argmax() == np.abs(centres - mel(hertz)).argmin()


def test_louder_is_more_by_the_square_and_silence_is_the_floor():
    layer = LogMel(8000, floor=1e-9)
    quiet, loud = layer(noise(1, 640) / 8), layer(noise(1, 640) / 2)
    np.testing.assert_allclose(loud - quiet, np.log(16), atol=1e-3)
    silence = layer(np.zeros([1, 640], np.float32))
    np.testing.assert_allclose(silence, np.log(1e-9), rtol=1e-6)


def test_padding_changes_only_frames_that_reach_it():
    layer, waveform = LogMel(8000), noise(1, 1000)
    padded = np.pad(waveform, [[0, 0], [0, 280]])
    short, long = layer(waveform), layer(padded)
    assert (short.shape[1], long.shape[1]) == (16, 20)
    np.testing.assert_allclose(long[:, :16], short, rtol=1e-5, atol=1e-5)
    mask = np.zeros([1, 1280], np.float32)
    mask[:, :1000] = 1
    assert layer.frame_mask(mask).tolist() == [[1] * 16 + [0] * 4]


@pytest.mark.parametrize(
    "options, message",
    [
        ({"num_mels": 0}, "num_mels must be a positive integer. Received: 0"),
        ({"hop": 1.5}, "hop must be a positive integer. Received: 1.5"),
        ({"low": 4000.0}, "0 <= low < high.*low=4000.0, high=None"),
        ({"high": 5000.0}, "high <= sample_rate / 2.*high=5000.0"),
        ({"floor": 0.0}, "floor must be above 0. Received: 0.0"),
        ({"num_mels": 128}, "fewer bands, a longer window.*num_mels=128"),
    ],
)
def test_refuses(options, message):
    with pytest.raises(ValueError, match=message):
        LogMel(8000, **options)
