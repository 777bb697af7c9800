"""What a card of speech shows: spectrograms and recordings."""

import wave

import keras
import numpy as np
import pytest

import vqvae_tf as vq
from support import small
from vqvae_tf import recipes
from vqvae_tf.media import spectrograms, wav
from vqvae_tf.media.wav import save_wav
from vqvae_tf.tasks.speech import card as speech_cards


def read_wav(path):
    with wave.open(str(path)) as file:
        assert (file.getnchannels(), file.getsampwidth()) == (1, 2)
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2")
        return samples / 2**15, file.getframerate()


def test_wav(tmp_path):
    waveform = np.array([0.0, 0.5, -1.0, 1.0, 1.7, -3.0])
    save_wav(tmp_path / "x.wav", waveform, 8000)
    found, rate = read_wav(tmp_path / "x.wav")
    assert rate == 8000
    top = 1 - 2**-15
    np.testing.assert_array_equal(found, [0, 0.5, -1, top, top, -1])
    assert [p.name for p in tmp_path.iterdir()] == ["x.wav"]


def test_joined_leaves_half_a_second_between():
    waves = [np.full(100, 0.1), np.full(50, 0.2)]
    joined, rate = wav.joined(waves, 80)
    assert rate == 80 and len(joined) == 150 + 2 * 40
    np.testing.assert_allclose(joined[140:190], 0.2)
    assert not joined[100:140].any()


def test_sheet_has_a_spectrogram_for_each():
    rows = [list(small.waveforms(2, 4000, seed=s)) for s in (0, 1)]
    sheet = spectrograms.sheet(rows, 8000)
    one = spectrograms.draw(rows[1][0], 8000)
    height, width = one.shape[:2]
    assert sheet.shape == (2 * height + 6, 2 * width + 6, 3)
    cell = sheet[height + 4 : 2 * height + 4, 2 : 2 + width]
    np.testing.assert_array_equal(cell, one)


def test_known_voices_are_as_loud_as_training_data():
    for voice in speech_cards.known_voices(5):
        assert np.abs(voice).max() == pytest.approx(1.0)


def test_the_fast_decoder_is_shown_where_there_is_one():
    config = recipes.load_recipe("vqvae_speech8k")
    layer = "SpectralDecoder"
    for auxiliary, fast in ((layer, None), (None, layer), (None, None)):
        config.auxiliary.name, config.fast_decoder.name = auxiliary, fast
        text = speech_cards.shown(config, True, True)
        has_fast = bool(auxiliary or fast)
        assert ("(fast_conversions.wav)." in text) == has_fast
        text += speech_cards.use_text("p", config, True)
        assert ("fast" in text) == has_fast


def test_other_recordings_are_not_shown():
    config = small.speech_recipe()
    assert speech_cards.draw(None, config) == {}
    assert "vqvae-tf reconstruct" in speech_cards.shown(config, True, True)
    assert "K=8 codes" in speech_cards.summary(config, False)


@pytest.mark.slow
def test_draw():
    config = recipes.load_recipe("vqvae_speech8k")
    model = small.speech()
    names = ("george", "jackson", "nicolas")
    settings = model.autoencoder.get_config()
    settings |= {"speaker_names": names, "sample_rate": 8000}
    auxiliary = small.spectral_decoder(sample_rate=8000)
    settings["auxiliary"] = keras.saving.serialize_keras_object(auxiliary)
    speech = vq.SpeechVQVAE.from_config(settings)
    speech.build()
    files = speech_cards.draw(vq.LatentGenerator(speech, model.prior), config)
    titles = {"originals", "reconstructions", "conversions", "samples"}
    titles |= {"fast_conversions"}
    assert {f for f in files if f.endswith(".wav")} == {
        f"{title}.wav" for title in titles
    }
    assert files["samples.png"].shape[2] == 3
    lengths = {len(files[f"{t}.wav"][0]) for t in titles - {"samples"}}
    assert len(lengths) == 1
