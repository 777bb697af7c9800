"""Figures of models of speech."""

import math

import keras
import numpy as np
import pytest
import tensorflow as tf

import vqvae_tf as vq
from support import speech
from vqvae_tf.data.audio.source import PackedAudio
from vqvae_tf.encoding import recordings as speech_codes
from vqvae_tf.evaluation import figures as figure_table
from vqvae_tf.evaluation.speech import (
    drawn as speech_drawn,
    evaluate as speech_evaluation,
    samples as speech_samples,
)
from vqvae_tf.evaluation.speech.coded import Coded
from vqvae_tf.evaluation.speech.codes import code_statistics
from vqvae_tf.evaluation.speech.likelihoods import likelihoods
from vqvae_tf.runtime.adam import Adam
from vqvae_tf.utils.padding import pad

QUIET = dict(progress=False)


@pytest.fixture(scope="module")
def audio():
    return speech.tones(7, seed=2, shortest=40, longest=90)


@pytest.fixture(scope="module")
def model():
    return speech.autoencoder()


@pytest.fixture(scope="module")
def codes(model, audio):
    return speech_codes.encode(model, audio, **QUIET)


def prior_of_codes(**options):
    return vq.WaveNet(
        8,
        (16,),
        hidden_channels=8,
        skip_channels=8,
        head_channels=8,
        num_stacks=1,
        layers_per_stack=2,
        **options,
    )


def alone(audio, row, multiple=4):
    """A recording by itself: waveform [1, T], mask [1, T], speaker [1, S]."""
    example = audio.get(row)
    waveform = example["waveform"].numpy()
    missing = -len(waveform) % multiple
    mask = np.pad(np.ones(len(waveform), np.float32), (0, missing))
    speaker = np.eye(audio.num_speakers, dtype=np.float32)[example["speaker"]]
    return np.pad(waveform, (0, missing))[None], mask[None], speaker[None]


def bits(model, audio, codes, speaker_of=lambda s: s):
    """Bits per sample, recording by recording, through the public model."""
    total = 0.0
    for row in range(audio.num_examples):
        waveform, mask, speaker = alone(audio, row)
        local = model.quantizer.decode(codes[row][None])
        context = {"local": local, "global": speaker_of(speaker)}
        total -= float(model.decoder.log_prob(waveform, context, mask=mask)[0])
    return total / math.log(2) / audio.lengths.sum()


def test_codes_are_those_of_each_recording_alone(model, audio, codes):
    assert len(set(audio.lengths.tolist())) > 4
    for row, found in enumerate(codes):
        waveform, _, _ = alone(audio, row)
        np.testing.assert_array_equal(found, model.encode(waveform)[0])
    assert len(np.unique(np.concatenate(codes))) > 2


def test_likelihoods_are_those_of_each_recording_alone(model, audio, codes):
    found = likelihoods(Coded(model, audio, codes), **QUIET)
    right = bits(model, audio, codes)
    assert found["reconstruction_bits_per_sample"] == pytest.approx(right)
    other = bits(model, audio, codes, lambda speaker: 1 - speaker)
    assert found["other_speaker_bits_per_sample"] == pytest.approx(other)
    shuffled = found["shuffled_bits_per_sample"]
    others = found["other_codes_bits_per_sample"]
    assert len({round(b, 6) for b in (right, other, shuffled, others)}) == 4
    assert 0 <= found["speaker_by_likelihood"] <= 1
    # Where nothing is wrong about the codes, nothing changes.
    same = [np.full_like(c, 3) for c in codes]
    found = likelihoods(Coded(model, audio, same), **QUIET)
    right = bits(model, audio, same)
    for name in ("reconstruction", "shuffled", "other_codes"):
        assert found[f"{name}_bits_per_sample"] == pytest.approx(right)


def test_codes_of_others_are_of_the_next_longer_recording():
    from vqvae_tf.evaluation.speech.likelihoods import _of_others

    codes = [np.array(c) for c in ([1, 2, 3, 4], [5, 6], [7, 8, 9])]
    others = [c.tolist() for c in _of_others(codes)]
    assert others == [[7, 8, 9, 7], [7, 8], [1, 2, 3]]


def test_a_trained_decoder_tells_speakers_and_codes_apart():
    """Recordings of which codes and speaker say all: levels are a function."""
    model, audio = speech.autoencoder(), speech.tones(12, 0, 200, 260)
    codes = speech_codes.encode(model, audio, **QUIET)
    waveform, mask = speech_codes.read(audio, range(12), 4)
    values, kept = pad(codes)
    context = speech_codes.decoder_context(
        model, values, kept, speech_codes.speakers(audio)
    )
    model.decoder.compile(Adam(1e-2))
    batch = tf.data.Dataset.from_tensors((waveform, context, mask))
    model.decoder.fit(batch.repeat(120), verbose=0)
    found = likelihoods(Coded(model, audio, codes), **QUIET)
    right = found["reconstruction_bits_per_sample"]
    assert right < found["other_speaker_bits_per_sample"] - 0.02
    assert right < found["shuffled_bits_per_sample"] - 0.02
    assert found["speaker_by_likelihood"] >= 0.75


def test_what_is_drawn_is_as_long_and_by_whom_it_should_be(model, audio, codes):
    coded = Coded(model, audio, codes)
    drawing = dict(temperature=0.0, batch_size=3, **QUIET)
    pairs, converted = speech_drawn.conversions(coded, **drawing)
    speakers = speech_codes.speakers(audio)
    assert pairs.tolist() == [[row, 1 - s] for row, s in enumerate(speakers)]
    drawn = speech_drawn.reconstructions(coded, **drawing)
    for voices, waveforms in ((speakers, drawn), (1 - speakers, converted)):
        for row, waveform in enumerate(waveforms):
            assert waveform.shape == (audio.lengths[row],)
            alone = model.decoder.sample(
                context={
                    "local": model.quantizer.decode(codes[row][None]),
                    "global": np.eye(2, dtype=np.float32)[voices[row]][None],
                },
                temperature=0.0,
            )
            # At the very end the decoder's upsampling sees what follows.
            same = waveform == alone[0, : len(waveform)]
            assert np.all(same[:-8])


def test_draws_are_functions_of_their_seed(model, audio, codes):
    coded = Coded(model, audio, codes)

    def draw(seed):
        found = speech_drawn.reconstructions(coded, seed=seed, **QUIET)
        return np.concatenate(found)

    np.testing.assert_array_equal(draw(1), draw(1))
    assert np.mean(draw(1) != draw(2)) > 0.2


class Hears:
    """Stands in for a judge: says what a table says of each length."""

    def __init__(self, target, names, answers):
        self.target, self.names, self.answers = target, names, answers

    def probabilities(self, recordings):
        return np.eye(len(self.names))[
            [self.answers[len(r)] for r in recordings]
        ]

    def accuracy(self, recordings, labels):
        found = self.probabilities(recordings).argmax(axis=1)
        return float(np.mean(found == labels))


def test_each_is_converted_to_four_others_at_most():
    pairs = speech_drawn.conversion_pairs(range(5), 5)
    every = {(a, b) for a in range(5) for b in range(5) if a != b}
    assert set(map(tuple, pairs)) == every and len(pairs) == 20
    pairs = speech_drawn.conversion_pairs([6], 7)
    assert pairs.tolist() == [[0, 0], [0, 1], [0, 2], [0, 3]]


def test_conversions_are_counted_by_target():
    """Three speakers; the judge hears "c" in all that is 5 long."""
    waveforms = [np.ones(n) for n in (5, 6, 7)]
    audio = PackedAudio("x", 8000, waveforms, [0, 1, 2], "abc", [0, 1, 0], "yn")
    pairs = np.array([[0, 1], [0, 2], [1, 0], [1, 2], [2, 0], [2, 1]])
    converted = [np.ones(5 + row) for row, _ in pairs]
    who = Hears("speaker", "abc", {5: 2, 6: 0, 7: 0})
    what = Hears("class", "yn", {5: 0, 6: 0, 7: 0})
    judged = [(who, np.array([0, 1, 2])), (what, np.array([0, 1, 0]))]
    found = speech_drawn.conversion_figures(audio, pairs, converted, judged)
    assert found == {
        "converted_speaker_accuracy": 3 / 6,
        "converted_speaker_accuracy_least": 0.0,
        "converted_speaker_accuracy_to_a": 1.0,
        "converted_speaker_accuracy_to_b": 0.0,
        "converted_speaker_accuracy_to_c": 0.5,
        "converted_class_accuracy": 4 / 6,
        "converted_class_accuracy_least": 0.5,
        "converted_class_accuracy_to_a": 0.5,
        "converted_class_accuracy_to_b": 1.0,
        "converted_class_accuracy_to_c": 0.5,
    }


class Sure(Hears):
    """Says "y" with 0.8, and that the first speaker is the second."""

    def probabilities(self, recordings):
        self.heard = recordings
        if self.target == "class":
            return np.tile([0.8, 0.2], [len(recordings), 1])
        return super().probabilities(recordings)


def test_samples_are_judged_without_labels(model):
    generator = vq.LatentGenerator(model, prior_of_codes())
    audio = speech.tones(5, seed=2, shortest=40, longest=90)
    length = int(np.median(audio.lengths))
    who = Sure("speaker", speech.SPEAKERS, {length: 1})
    what = Sure("class", "yn", None)
    judged = [(who, None), (what, None)]
    found = speech_samples.sample_figures(
        generator, audio, judged, count=4, batch_size=4, **QUIET
    )
    entropy = -0.8 * math.log(0.8) - 0.2 * math.log(0.2)
    assert found == pytest.approx(
        {
            "sampled_speaker_accuracy": 0.5,
            "class_confidence": 0.8,
            "sampled_class_confidence": 0.8,
            "sampled_classes": math.exp(entropy),
        }
    )
    assert [len(x) for x in who.heard] == [length] * 4
    assert len({x.tobytes() for x in who.heard}) == 4


def test_perfect_reconstructions_lose_nothing(audio):
    who = Hears("speaker", "ab", dict.fromkeys(audio.lengths.tolist(), 1))
    labels = speech_codes.speakers(audio)
    coded = Coded(None, audio, [])
    found = speech_drawn.reconstruction_figures(
        coded, coded.waveforms, [(who, labels)]
    )
    assert found == {
        "log_spectral_distance": 0.0,
        "reconstructed_speaker_accuracy": labels.mean(),
    }
    found = speech_drawn.accuracies("", coded.waveforms, [(who, labels)])
    assert found == {"speaker_accuracy": labels.mean()}


def test_statistics_of_codes(model, audio):
    codes = [np.array([0, 0, 1]), np.array([1, 1, 0, 0, 1])]
    found = code_statistics(Coded(model, audio, codes), codes)
    assert found["perplexity"] == pytest.approx(2.0)
    assert found["usage"] == 2 / 8
    # Four of each, one added to each of eight counts.
    assert found["unigram_bits_per_code"] == pytest.approx(-np.log2(5 / 16))
    assert found["uniform_bits_per_code"] == 3.0
    assert found["codes_per_second"] == 2000.0
    assert found["code_bits_per_second"] == 6000.0
    assert found["level_bits_per_second"] == 32000.0


def test_all_figures_are_on_the_card(model, audio):
    prior = prior_of_codes(global_channels=2)
    generator = vq.LatentGenerator(model, prior)
    generator.build()
    labels = dict(zip(audio.lengths.tolist(), speech_codes.speakers(audio)))
    judge = Hears("speaker", speech.SPEAKERS, labels)
    judge.labels = speech_codes.speakers
    coded = Coded.of(model, audio, **QUIET)
    figures = speech_evaluation.evaluate(
        generator, coded, coded, [judge], batch_size=4, **QUIET
    )
    assert figures["converted_speaker_accuracy"] == 0.0
    assert figures["reconstructed_speaker_accuracy"] == 1.0
    assert 2.5 < figures["prior_bits_per_code"] < 5
    extra = {f"converted_speaker_accuracy_to_{s}" for s in speech.SPEAKERS}
    assert set(figures) - set(figure_table.FIGURES) == {"examples"} | extra
    assert all(math.isfinite(value) for value in figures.values())
    # All but the number of recordings.
    assert len(rows := figure_table.table(figures)) == len(figures) - 1
    assert ("the same, to flute", "0.000") in rows
    assert 0 <= figures["sampled_speaker_accuracy"] <= 1
    assert figure_table.compare(figures, figures) == []
    # By hand, one recording after the other.
    nats = sum(
        prior.log_prob(code[None], {"global": alone(audio, row)[2]})[0]
        for row, code in enumerate(coded.codes)
    )
    by_hand = -float(nats) / math.log(2) / sum(map(len, coded.codes))
    assert figures["prior_bits_per_code"] == pytest.approx(by_hand)


def test_what_the_fast_decoder_makes_is_judged_too(model, audio):
    config = model.get_config()
    auxiliary = vq.layers.SpectralDecoder(8000, 4, 16, num_mels=3, channels=4)
    config["auxiliary"] = keras.saving.serialize_keras_object(auxiliary)
    model = vq.SpeechVQVAE.from_config(config)
    model.build()
    labels = dict(zip(audio.lengths.tolist(), speech_codes.speakers(audio)))
    judge = Hears("speaker", speech.SPEAKERS, labels)
    judge.labels = speech_codes.speakers
    coded = Coded.of(model, audio, **QUIET)
    figures = speech_evaluation.evaluate(
        model, coded, coded, [judge], batch_size=4, **QUIET
    )
    known = set(figures) & set(figure_table.FIGURES)
    fast = {name.removeprefix("fast_") for name in known if "fast_" in name}
    assert fast == {
        "log_spectral_distance",
        "reconstructed_speaker_accuracy",
        "converted_speaker_accuracy",
        "converted_speaker_accuracy_least",
    }
    # The cards of before have none of them.
    old = {k: v for k, v in figures.items() if "fast_" not in k}
    assert figure_table.compare(figures, old) == []
    drawn = speech_drawn.reconstructions(
        coded, fast=True, batch_size=4, **QUIET
    )
    assert [len(wave) for wave in drawn] == audio.lengths.tolist()
    expected = speech_drawn.reconstruction_figures(coded, drawn, [])
    expected = expected["log_spectral_distance"]
    assert figures["fast_log_spectral_distance"] == pytest.approx(expected)
    assert figures["log_spectral_distance"] != pytest.approx(expected)


def test_refuses_another_source(model, audio):
    other = PackedAudio("x", 8000, [np.ones(9)] * 2, [0, 1], "ab")
    model = speech.autoencoder(speakers=3)
    with pytest.raises(ValueError, match="Received: x, of a, b."):
        speech_evaluation.check_source(model, other)
    with pytest.raises(ValueError, match="speakers: flute, reed. Received: x"):
        speech_evaluation.check_source(speech.autoencoder(), other)
    fast = PackedAudio("x", 16000, [np.ones(9)] * 2, [0, 1], speech.SPEAKERS)
    with pytest.raises(ValueError, match="8000 .* Received: x at 16000"):
        speech_evaluation.check_source(speech.autoencoder(), fast)
    with pytest.raises(ValueError, match="Received: x with 1."):
        one = PackedAudio("x", 8000, [np.ones(9)], [0], "a")
        likelihoods(Coded(model, one, [np.zeros(3, np.int32)]))
