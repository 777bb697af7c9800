"""Pictures of sound."""

import numpy as np
import pytest

from vqvae_tf.media import spectrograms


@pytest.mark.parametrize("hertz", [500, 1500, 3000])
def test_a_tone_is_a_line_at_its_height(hertz):
    wave = np.sin(2 * np.pi * hertz / 8000 * np.arange(4000))
    picture = spectrograms.draw(wave, 8000, height=80).astype(int)
    assert picture.shape == (80, 100, 3) and picture.max() <= 255
    middle = picture[:, 20:80].sum(axis=(1, 2))
    assert abs((79 - middle.argmax()) - hertz / 4000 * 80) <= 1
    # Most of the rest is dark.
    assert np.median(middle) < 0.2 * middle.max()


def test_silence_is_black_and_loudness_bright():
    tone = np.sin(2 * np.pi * 0.1 * np.arange(2000))
    black, quiet, loud = (
        spectrograms.draw(tone * gain, 8000).astype(int).sum()
        for gain in (0.0, 0.01, 1.0)
    )
    silence = spectrograms.draw(np.zeros(800), 8000)
    np.testing.assert_array_equal(silence, silence[:1, :1] + 0 * silence)
    assert silence.max() < 10
    assert black < quiet < loud


def test_columns():
    assert spectrograms.draw(np.zeros(801), 8000, hop=100).shape[1] == 9


def test_frames_are_drawn_from_low_bands_up():
    frames = np.full([30, 40], -12.0)
    frames[10:20, 5] = 8.0
    picture = spectrograms.draw_frames(frames).astype(int).sum(axis=-1)
    assert picture.shape == (40, 30)
    assert (picture[34, 10:20] == picture.max()).all()
    picture[34, 10:20] = 0
    assert picture.max() < 10


def test_a_tone_of_full_scale_is_nearly_the_brightest_frame():
    from vqvae_tf.layers.mel import LogMel

    tone = np.sin(2 * np.pi * 1000 / 8000 * np.arange(4000))[None]
    frames = LogMel(8000)(tone)[0].numpy()
    assert 7 < frames.max() < 8.5
