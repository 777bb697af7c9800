"""The judges of speech."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from support import speech
from vqvae_tf.data.audio.source import PackedAudio
from vqvae_tf.evaluation.speech import judges as speech_judges
from vqvae_tf.evaluation.speech.judge_network import _Masks, judge_network


@pytest.fixture(scope="module")
def judges():
    return {target: trained(target) for target in speech_judges.TARGETS}


def trained(target):
    audio = speech.tones(64)
    return speech_judges.train_judge(audio, target, epochs=5, progress=False)


@pytest.mark.parametrize("target", speech_judges.TARGETS)
def test_learns_what_it_is_asked_for(judges, target):
    test = speech.tones(36, seed=1)
    judge, recordings = judges[target], speech_judges.waveforms_of(test)
    labels = judge.labels(test)
    assert judge.accuracy(recordings, labels) >= 0.95
    # Nor do noise and loudness mislead it.
    rng = np.random.default_rng(0)
    noisy = [r * 0.2 + rng.normal(size=len(r)) * 0.01 for r in recordings]
    assert judge.accuracy(noisy, labels) >= 0.95
    # Labels of another recording are right by chance only.
    chance = 1 / len(judge.names)
    assert judge.accuracy(recordings, np.roll(labels, 1)) <= chance + 0.4


def test_padding_changes_nothing(judges):
    judge = judges["class"]
    short, long = speech.tone(0, 0, 650), speech.tone(1, 1, 1180)
    alone = judge.predict(short[np.newaxis])
    rng = np.random.default_rng(0)
    waveforms = rng.normal(size=[2, 1500])  # noise, where it is masked
    mask = np.zeros([2, 1500])
    waveforms[0, :650], mask[0, :650] = short, 1
    waveforms[1, :1180], mask[1, :1180] = long, 1
    together = judge.predict(waveforms, mask)
    np.testing.assert_allclose(together[0], alone[0], atol=2e-4)
    np.testing.assert_allclose(together.sum(axis=1), 1.0, atol=1e-5)


def test_the_network_itself_masks(judges):
    """Whatever stands after the end, and however much of it."""
    model = judges["speaker"].model
    waveform = speech.tone(2, 0, 700).astype(np.float32)

    def found(size, after, counted=0):
        values = np.full([1, size], after, np.float32)
        mask = np.zeros([1, size], np.float32)
        values[0, :700], mask[0, : 700 + counted] = waveform, 1
        return model({"values": values, "mask": mask}).numpy()

    alone = found(700, 0.0)
    np.testing.assert_allclose(found(1024, 0.5), alone, atol=2e-4)
    np.testing.assert_allclose(found(2000, 0.1), alone, atol=2e-4)
    # What counts does change something.
    assert np.abs(found(2000, 0.1, counted=1000) - alone).max() > 2e-3


def test_padding_is_not_heard_whatever_was_learned():
    """Untrained normalisations make 0 of 0, which hides what passes them."""
    model = judge_network(8000, 3)
    rng = np.random.default_rng(0)
    for layer in model.layers:
        if isinstance(layer, keras.layers.LayerNormalization):
            layer.beta.assign(rng.normal(size=layer.beta.shape))
    waveform = speech.tone(2, 0, 700)

    def found(size):
        values, mask = np.zeros([2, 1, size], np.float32)
        values[0, :700], mask[0, :700] = waveform, 1
        return model({"values": values, "mask": mask}).numpy()

    np.testing.assert_allclose(found(2000), found(700), atol=1e-6)


def test_judges_are_in_float32_whatever_the_policy():
    keras.config.set_dtype_policy("mixed_bfloat16")
    judge = speech_judges.train_judge(
        speech.tones(8), "speaker", epochs=1, progress=False
    )
    assert keras.config.dtype_policy().name == "mixed_bfloat16"
    dtypes = {layer.compute_dtype for layer in judge.model.layers}
    assert dtypes == {"float32"}


def test_weights_are_a_function_of_the_seed():
    values = speech.tone(0, 0, 700).astype(np.float32)[np.newaxis]
    inputs = {"values": values, "mask": np.ones_like(values)}
    first, second, other = (
        judge_network(8000, 2, seed)(inputs) for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, second)
    assert np.abs(first - other).max() > 0.01


@pytest.mark.slow
def test_training_is_a_function_of_the_seed(judges):
    recordings = speech_judges.waveforms_of(speech.tones(36, seed=1))
    again = trained("speaker").probabilities(recordings)
    first = judges["speaker"].probabilities(recordings)
    np.testing.assert_allclose(again, first, atol=1e-4)


def test_masks_hide_stretches_in_training_alone():
    layer, frames = _Masks(seed=1), tf.ones([64, 50, 40])
    np.testing.assert_array_equal(layer(frames), frames)
    kept = layer(frames, training=True).numpy()
    rows, columns = kept.max(axis=2) == 0, kept.max(axis=1) == 0
    assert 0 < rows.sum(axis=1).mean() < rows.sum(axis=1).max() <= 10
    assert 0 < columns.sum(axis=1).mean() < columns.sum(axis=1).max() <= 8
    # Apart from those, nothing changes.
    rest = ~rows[:, :, None] & ~columns[:, None, :]
    np.testing.assert_array_equal(kept, rest.astype(np.float32))


def test_its_model_is_saved_by_keras(judges, tmp_path):
    judge, values = judges["class"], np.ones([1, 800], np.float32)
    judge.model.save(tmp_path / "judge.keras")
    model = keras.saving.load_model(tmp_path / "judge.keras")
    inputs = {"values": values, "mask": values}
    np.testing.assert_allclose(model(inputs), judge.model(inputs), atol=1e-6)


def test_refuses_what_does_not_fit(judges):
    judge, nobody = judges["class"], PackedAudio("mine", 8000, [np.ones(99)])
    with pytest.raises(ValueError, match='Received: target="speaker"'):
        speech_judges.train_judge(nobody, "speaker")
    with pytest.raises(ValueError, match="Received: 'digit'"):
        speech_judges.train_judge(nobody, "digit")
    other = PackedAudio("mine", 8000, [np.ones(99)], None, (), [0], ["yes"])
    with pytest.raises(ValueError, match="Received: mine with yes at 8000"):
        judge.labels(other)
    with pytest.raises(ValueError, match=r"shapes \(9,\) and \(9,\)"):
        judge.predict(np.ones(9))
    with pytest.raises(ValueError, match="Received: 1 rows"):
        judge.predict(np.ones([2, 9]), [[1] * 9, [0] * 9])
    with pytest.raises(ValueError, match=r"in 0\.\.2\. Received: .* 3\.\.3"):
        judge.accuracy([np.ones(9)], [3])
    with pytest.raises(ValueError, match=r"Received: 2 sequences"):
        judge.accuracy([np.ones(9)] * 2, [0])
