"""The probes of what sequences of codes tell."""

import types

import numpy as np
import pytest

from support import speech
from vqvae_tf.data.audio.source import PackedAudio
from vqvae_tf.evaluation import classifiers
from vqvae_tf.evaluation.speech import judges as speech_judges
from vqvae_tf.evaluation.speech.coded import Coded
from vqvae_tf.evaluation.speech.probes import (
    Probed,
    figures,
    log_mel_frames,
    probe,
)

CODES = 12
QUICK = dict(progress=False, seeds=(0,), epochs=12)


def spoken(count, seed):
    """Codes that hold the class, and nothing of who speaks.

    Each class has four codes of its own, drawn at random.
    """
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, count)
    speakers = rng.integers(0, 2, count)
    codes = [
        4 * label + rng.integers(0, 4, rng.integers(8, 20)) for label in labels
    ]
    return codes, labels, speakers


@pytest.mark.slow
def test_finds_what_codes_hold_and_nothing_else():
    codes, labels, speakers = spoken(200, 0)
    test_codes, test_labels, test_speakers = spoken(200, 1)
    found = probe(
        codes,
        labels,
        test_codes,
        test_labels,
        CODES,
        seeds=(1, 1),
        epochs=6,
        progress=False,
    )
    assert found.accuracy >= 0.98
    assert found.accuracies[0] == found.accuracies[1]
    assert found.majority == np.mean(
        test_labels == np.bincount(labels).argmax()
    )
    # Right answers about speakers are coin tosses, whatever the probe is: 200
    # of them are outside of 69..131 less than once in 100,000 times.
    found = probe(codes, speakers, test_codes, test_speakers, CODES, **QUICK)
    assert 69 / 200 <= found.accuracy <= 131 / 200


@pytest.mark.slow
def test_order_and_several_codebooks_are_seen():
    """The label is whether one codebook's ramp goes as the other's does.

    Neither counts of codes nor one of the codebooks tell it.
    """
    rng = np.random.default_rng(0)

    def made(count):
        ways = rng.integers(0, 2, [count, 2])
        ramp = np.arange(8)
        codes = [
            np.stack([ramp[:: 1 - 2 * way] for way in pair], axis=-1)
            for pair in ways
        ]
        return codes, ways.sum(axis=1) % 2

    found = probe(*made(240), *made(60), CODES, **QUICK)
    assert found.accuracy >= 0.95


@pytest.mark.slow
def test_figures_are_of_codes_and_of_frames():
    """Codes of the class alone; frames hold it as well."""
    train, test = speech.tones(96), speech.tones(36, seed=1)
    nobody = [
        PackedAudio(
            "tones",
            speech.RATE,
            speech_judges.waveforms_of(audio),
            labels=speech_judges.target_labels(audio, "class")[1],
            class_names=audio.class_names,
        )
        for audio in (train, test)
    ]
    codes = [
        [
            np.full(-(-length // 64), label)
            for length, label in zip(
                audio.lengths, speech_judges.target_labels(audio, "class")[1]
            )
        ]
        for audio in nobody
    ]
    coder = types.SimpleNamespace(
        quantizer=types.SimpleNamespace(num_embeddings=3), downsampling=64
    )
    parts = [Coded(coder, *part) for part in zip(nobody, codes)]
    found = figures(*parts, **QUICK)
    assert found.pop("probe_class_codes") == 1.0
    assert found.pop("probe_class_mels") >= 0.95
    assert found == {
        "probe_class_codes_spread": 0.0,
        "probe_class_mels_spread": 0.0,
        "probe_class_majority": pytest.approx(1 / 3),
    }


def test_log_mel_frames_are_as_many_as_codes():
    recordings = [np.ones(64), np.ones(65), np.ones(1000)]
    frames = log_mel_frames(recordings, 8000)
    assert [f.shape for f in frames] == [(1, 40), (2, 40), (16, 40)]
    # The same sound at another rate has its frames at the same times.
    frames = log_mel_frames([np.ones(2000)], 16000, hop=128)
    assert frames[0].shape == (16, 40)


def test_mean_and_spread_are_those_of_the_seeds():
    found = Probed((0.5, 0.7, 0.9), 0.1)
    assert found.accuracy == pytest.approx(0.7)
    assert found.spread == pytest.approx(0.2)
    assert Probed((0.5,), 0.1).spread == 0.0


def test_batches_of_like_lengths_hold_every_sequence_once():
    rng = np.random.default_rng(0)
    values = [np.full(rng.integers(1, 90), i) for i in range(64)]
    batches, steps = classifiers.training_batches(
        values, np.arange(64, dtype=np.int32), 8, seed=1
    )
    assert steps == 8
    seen, padding = [], []
    for inputs, labels in batches.take(2 * steps):
        x, mask = inputs["values"].numpy(), inputs["mask"].numpy()
        np.testing.assert_array_equal(x, labels.numpy()[:, None] * mask)
        seen.extend(labels.numpy())
        padding.append(1 - mask.mean())
    assert sorted(seen[:64]) == sorted(seen[64:]) == list(range(64))
    assert seen[:64] != seen[64:]
    unsorted = 1 - np.mean([len(v) for v in values]) / 85
    assert np.mean(padding) < unsorted / 2


def test_refuses_what_does_not_fit():
    codes, frames = [np.array([0, 1])] * 4, [np.ones([3, 2])] * 4
    labels = [0, 1, 0, 1]
    with pytest.raises(ValueError, match=r"in 0\.\.0\. Received: .* 0\.\.1"):
        probe(codes, labels, codes, labels, 1)
    with pytest.raises(ValueError, match="integers .* such as float64"):
        probe(frames, labels, frames, labels, 5)
    with pytest.raises(ValueError, match="float .* such as int64"):
        probe(codes, labels, codes, labels)
    with pytest.raises(ValueError, match=r"labels of shape \(3,\)"):
        probe(codes, labels[:3], codes, labels, 2)
    with pytest.raises(ValueError, match="Received: labels in 0..2"):
        probe(codes, labels, codes, [0, 1, 2, 0], 2)
    with pytest.raises(ValueError, match="Received: 1 empty sequences"):
        probe([*codes[:3], codes[0][:0]], labels, codes, labels, 2)
    with pytest.raises(ValueError, match="at least two .* Received: 1."):
        probe(codes[:1], [0], codes, [0] * 4, 2)
