"""Figures of models of speech on held-out recordings.

All are over the recordings themselves: padding counts nowhere.
"""

import math

import numpy as np

from vqvae_tf.data.audio.source import AudioSource
from vqvae_tf.encoding import recordings as speech_codes
from vqvae_tf.evaluation.figure import Figure
from vqvae_tf.evaluation.speech.judges import TARGETS, waveforms_of
from vqvae_tf.evaluation.speech.likelihoods import (
    FIGURES as OF_LIKELIHOODS,
    OTHER_VOICES,
    likelihoods,
    prior_figures,
)
from vqvae_tf.evaluation.speech.samples import (
    FIGURES as OF_SAMPLES,
    sample_figures,
)
from vqvae_tf.evaluation.speech.spectral_distance import log_spectral_distance
from vqvae_tf.evaluation.statistics import CodeCounts, unigram_bits
from vqvae_tf.layers.mel import frame_window
from vqvae_tf.models import LatentGenerator
from vqvae_tf.utils.checks import check_labels, check_positive

# What comes before the keys of each decoder's figures, and how to say it.
_DECODERS = (("", ""), ("fast_", " by the fast decoder"))


def _judged(decoder, how):
    """Returns how often a judge is right of what a decoder draws."""
    drawn = [
        ("reconstructed_", "reconstructions", ("",)),
        ("converted_", "conversions to each other speaker", ("", "_least")),
    ]
    if not decoder:
        drawn.insert(0, ("", "originals", ("",)))
    return tuple(
        Figure(
            f"{decoder}{prefix}{target}_accuracy{least}",
            f"{what}{how}: {target} is right"
            + (", least of the targets" if least else "")
            + ", by the judge",
            digits=3,
            tolerance=0.05 if prefix else 0.01,
            later=bool(decoder),
        )
        for prefix, what, suffixes in drawn
        for target in TARGETS
        for least in suffixes
    )


# One level that rounding moves changes all that is drawn after it, hence the
# wide tolerances.
FIGURES = (
    Figure("codes_per_second", "codes a second", "", 1, 0.1),
    Figure("code_bits_per_second", "the same in bits, log2 K each", "", 0, 1.0),
    Figure(
        "level_bits_per_second",
        "bits a second of the waveform's levels",
        digits=0,
        tolerance=1.0,
    ),
    Figure("uniform_bits_per_code", "log2 K", "bits/code", 3, 1e-3),
    *OF_LIKELIHOODS,
    *(
        Figure(
            f"{decoder}log_spectral_distance",
            f"log-spectral distance of reconstructions{how}",
            "dB",
            2,
            0.1,
            later=bool(decoder),
        )
        for decoder, how in _DECODERS
    ),
    *(figure for each in _DECODERS for figure in _judged(*each)),
    *OF_SAMPLES,
)


def evaluate(
    model,
    audio_test: AudioSource,
    audio_train: AudioSource,
    judges=(),
    codes=None,
    temperature=1.0,
    seed=0,
    batch_size=128,
    progress=True,
) -> dict:
    """Measures a model of speech on recordings with their speakers.

    Args:
        model: a `VQVAE` of waveforms whose decoder is given the speaker, or
            a `LatentGenerator` of one.
        audio_test: the recordings that it is measured on.
        audio_train: those that it was trained on, whose codes are counted.
        judges: of `speech_judges.train_judge`; without, nothing is said of
            classes and speakers.
        codes: those of `audio_test` and of `audio_train`, as from
            `speech_codes.encode`; by default they are made here.
        temperature, seed, batch_size: of what is drawn; `speech_codes.decode`.
        progress: show progress bars.

    Returns:
        A dict of `examples`, and of floats: what `code_statistics`,
        `likelihoods`, `original_figures`, `reconstruction_figures`,
        `conversion_figures` and, with a prior, `prior_figures` and
        `sample_figures` return; with a fast decoder those of
        reconstructions and conversions once more, as `fast_...`, of what it
        makes (see `SpeechVQVAE.decode`).

    Raises:
        ValueError: for a source of another rate or of other speakers than the
            model's, or a judge of others.
    """
    autoencoder = model.autoencoder
    for audio in (audio_test, audio_train):
        check_source(autoencoder, audio)
    judged = [(judge, judge.labels(audio_test)) for judge in judges]
    drawing = dict(
        temperature=temperature,
        seed=seed,
        batch_size=batch_size,
        progress=progress,
    )
    codes, trained = codes or (
        speech_codes.encode(autoencoder, audio, progress)
        for audio in (audio_test, audio_train)
    )
    figures = {"examples": audio_test.num_examples}
    figures |= code_statistics(autoencoder, audio_test, codes, trained)
    if isinstance(model, LatentGenerator):
        stride = autoencoder.downsampling
        figures |= prior_figures(
            model.prior, audio_test, codes, stride, progress
        )
    figures |= likelihoods(autoencoder, audio_test, codes, seed, progress)
    for name, fast in _decoders(autoencoder):
        found = _drawn_figures(
            autoencoder, audio_test, codes, judged, fast=fast, **drawing
        )
        figures |= {f"{name}{key}": value for key, value in found.items()}
    figures |= original_figures(audio_test, judged)
    if judged and isinstance(model, LatentGenerator):
        figures |= sample_figures(model, audio_test, judged, **drawing)
    examples = figures.pop("examples")
    figures = {name: float(value) for name, value in figures.items()}
    return {"examples": examples, **figures}


def _decoders(autoencoder):
    """Returns what comes before the figures of each decoder, and `fast`."""
    decoders = [("", False)]
    if getattr(autoencoder, "has_fast_decoder", False):
        decoders.append(("fast_", True))
    return decoders


def _drawn_figures(autoencoder, audio, codes, judged, **drawing):
    drawn = reconstructions(autoencoder, audio, codes, **drawing)
    figures = reconstruction_figures(audio, drawn, judged)
    if judged and audio.num_speakers > 1:
        pairs, drawn = conversions(autoencoder, audio, codes, **drawing)
        figures |= conversion_figures(audio, pairs, drawn, judged)
    return figures


def check_source(autoencoder, audio: AudioSource):
    """Raises ValueError unless a source is of the model's rate and speakers."""
    rate = getattr(autoencoder, "sample_rate", audio.sample_rate)
    if rate != audio.sample_rate:
        raise ValueError(
            f"The model is for {rate} samples a second. Received: "
            f"{audio.name} at {audio.sample_rate}."
        )
    count = autoencoder.decoder.global_channels
    if count is None:
        return
    numbers = tuple(str(i) for i in range(count))
    names = tuple(getattr(autoencoder, "speaker_names", numbers))
    # Numbers are the names of a model that was not told any.
    fits = names in (numbers, audio.speaker_names)
    if count != audio.num_speakers or not fits:
        raise ValueError(
            f"The model is of {count} speakers: {', '.join(names)}. "
            f"Received: {audio.name}, of {', '.join(audio.speaker_names)}."
        )


# Codes ----------------------------------------------------------------------


def code_statistics(autoencoder, audio, codes, training_codes) -> dict:
    """Counts codes.

    Args:
        autoencoder: a `VQVAE` of waveforms.
        audio: the source that `codes` are of.
        codes, training_codes: of `speech_codes.encode`.

    Returns:
        `perplexity` (the mean over codebooks), `usage`, and
        `unigram_bits_per_code`, the cross-entropy of the training codes'
        frequencies (with one added to each count); `uniform_bits_per_code`,
        log2 K; `codes_per_second`; `code_bits_per_second`, those with log2 K
        bits each; `level_bits_per_second`, that of the decoder's levels, where
        it has some.
    """
    quantizer, decoder = autoencoder.quantizer, autoencoder.decoder
    test, training = (_counts(quantizer, c) for c in (codes, training_codes))
    rate = audio.sample_rate / autoencoder.downsampling
    rate *= quantizer.num_codebooks
    bits = math.log2(quantizer.num_embeddings)
    figures = {
        **test.figures(),
        "unigram_bits_per_code": unigram_bits(training.counts, test.counts),
        "uniform_bits_per_code": bits,
        "codes_per_second": rate,
        "code_bits_per_second": rate * bits,
    }
    if hasattr(decoder, "companding"):
        levels = math.log2(decoder.companding.num_levels)
        figures["level_bits_per_second"] = audio.sample_rate * levels
    return figures


def _counts(quantizer, codes):
    found = CodeCounts(quantizer)
    found.add(np.concatenate(codes))
    return found


# Waveforms that are drawn ---------------------------------------------------


def reconstructions(autoencoder, audio, codes, **drawing) -> list[np.ndarray]:
    """Draws each recording anew, given its codes and its speaker.

    Args:
        autoencoder: a `VQVAE` of waveforms.
        audio: the source that `codes` are of.
        codes: of `speech_codes.encode`.
        drawing: temperature, seed, batch_size, progress and fast of
            `speech_codes.decode`.

    Returns:
        float32 `[time]` for each, as long as the recording.
    """
    return speech_codes.decode(
        autoencoder,
        codes,
        speech_codes.speakers(audio),
        audio.lengths,
        **drawing,
    )


def reconstruction_figures(audio, reconstructed, judged) -> dict:
    """Compares reconstructions with their originals.

    Args:
        audio: the source of the originals.
        reconstructed: of `reconstructions`.
        judged: pairs of a `Judge` and the labels that are right.

    Returns:
        `log_spectral_distance` in dB, the mean over recordings, in frames of
        32 ms; for each judge `reconstructed_class_accuracy` or
        `reconstructed_speaker_accuracy`.
    """
    originals = waveforms_of(audio)
    window = frame_window(audio.sample_rate)
    distances = [
        log_spectral_distance(a, b, window, window // 4)
        for a, b in zip(originals, reconstructed)
    ]
    figures = {"log_spectral_distance": float(np.mean(distances))}
    for judge, labels in judged:
        name = f"reconstructed_{judge.target}_accuracy"
        figures[name] = judge.accuracy(reconstructed, labels)
    return figures


def original_figures(audio, judged) -> dict:
    """Returns each judge's `class_accuracy` or `speaker_accuracy`."""
    originals = waveforms_of(audio)
    return {
        f"{judge.target}_accuracy": judge.accuracy(originals, labels)
        for judge, labels in judged
    }


def conversions(autoencoder, audio, codes, **drawing):
    """Draws each recording in other speakers' voices, the next four at most.

    Of five speakers those are all others.

    Args:
        autoencoder, audio, codes, drawing: as of `reconstructions`.

    Returns:
        int64 `[n, 2]`, recording and target of each conversion, and the
        waveforms, float32 `[time]` each.
    """
    pairs = conversion_pairs(speech_codes.speakers(audio), audio.num_speakers)
    rows, targets = pairs.T
    drawn = speech_codes.decode(
        autoencoder,
        [codes[row] for row in rows],
        targets,
        audio.lengths[rows],
        **drawing,
    )
    return pairs, drawn


def conversion_pairs(speakers, count) -> np.ndarray:
    """Returns which recording is converted to whom.

    Args:
        speakers: integers `[n]` in 0..count-1.
        count: how many speakers there are.

    Returns:
        int64 `[m, 2]`, recording and target.

    Example:

    >>> conversion_pairs([2, 0], 3).tolist()
    [[0, 0], [0, 1], [1, 1], [1, 2]]
    """
    count = check_positive("count", count)
    speakers = check_labels("speakers", speakers, count)
    return np.array(
        [
            (row, (speaker + step) % count)
            for row, speaker in enumerate(speakers)
            for step in range(1, min(count, OTHER_VOICES + 1))
        ],
        np.int64,
    )


def conversion_figures(audio, pairs, converted, judged) -> dict:
    """Asks judges what conversions sound like.

    Args:
        audio: the source of the originals.
        pairs, converted: of `conversions`.
        judged: pairs of a `Judge` and the labels of the originals.

    Returns:
        For a judge of speakers `converted_speaker_accuracy`, the share that
        sound like the target; for one of classes `converted_class_accuracy`,
        the share that still are what was said. Of each also the least one of
        all targets, `..._least`, and each target's, `..._to_NAME`.
    """
    rows, targets = pairs.T
    figures = {}
    for judge, labels in judged:
        right = targets if judge.target == "speaker" else labels[rows]
        found = judge.probabilities(converted).argmax(axis=1) == right
        name = f"converted_{judge.target}_accuracy"
        each = [float(found[targets == t].mean()) for t in np.unique(targets)]
        figures[name] = float(found.mean())
        figures[f"{name}_least"] = min(each)
        for target, share in zip(np.unique(targets), each):
            figures[f"{name}_to_{audio.speaker_names[target]}"] = share
    return figures
