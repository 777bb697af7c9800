"""Decoded waveforms: their distance from recordings, and how judges rate them.

`judged` are pairs of a `judges.Judge` and the recordings' correct labels.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from vqvae_tf.data.audio.source import AudioSource
from vqvae_tf.evaluation.figure import Figure
from vqvae_tf.evaluation.speech.coded import Coded
from vqvae_tf.evaluation.speech.judges import TARGETS, Judged
from vqvae_tf.evaluation.speech.likelihoods import OTHER_VOICES
from vqvae_tf.evaluation.speech.spectral_distance import log_spectral_distance
from vqvae_tf.layers.mel import frame_window
from vqvae_tf.utils.checks import check_labels, check_positive

# Each decoder's prefix of keys, and its name in titles.
_DECODERS = (("", ""), ("fast_", " by the fast decoder"))


def _judged(decoder, how):
    """Returns the judges' figures for one decoder."""
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


# Tolerances are wide, since rounding that changes one level changes every
# sample drawn after it.
FIGURES = (
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
)


def drawn_figures(
    coded: Coded, judged: Judged, **drawing: object
) -> dict[str, float]:
    """Returns the figures of each of a model's decoders.

    Args:
        coded: recordings and their codes.
        judged: see above.
        drawing: temperature, seed, batch_size and progress of `Coded.draw`.

    Returns:
        Those of `reconstruction_figures` and, with several speakers,
        `conversion_figures`; if there is a fast decoder (see
        `SpeechVQVAE.decode`), its own as `fast_...`.
    """
    fast = getattr(coded.autoencoder, "has_fast_decoder", False)
    figures = {}
    for name, _ in _DECODERS[: 1 + fast]:
        options = {**drawing, "fast": bool(name)}
        drawn = reconstructions(coded, **options)
        found = reconstruction_figures(coded, drawn, judged)
        if judged and coded.audio.num_speakers > 1:
            pairs, drawn = conversions(coded, **options)
            found |= conversion_figures(coded.audio, pairs, drawn, judged)
        figures |= {f"{name}{key}": value for key, value in found.items()}
    return figures


def reconstructions(coded: Coded, **drawing: object) -> list[np.ndarray]:
    """Decodes the codes of each recording in its own speaker's voice.

    Args:
        coded: recordings and their codes.
        drawing: temperature, seed, batch_size, progress and fast of
            `Coded.draw`.

    Returns:
        float32 `[time]` for each, as long as the recording.
    """
    rows = np.arange(len(coded.codes))
    return coded.draw(rows, coded.speakers, **drawing)


def reconstruction_figures(
    coded: Coded, reconstructed: Sequence[np.ndarray], judged: Judged
) -> dict[str, float]:
    """Compares reconstructions with their originals.

    Args:
        coded: the original recordings.
        reconstructed: from `reconstructions`.
        judged: see above.

    Returns:
        `log_spectral_distance` in dB, the mean over recordings, in frames of
        32 ms; for each judge `reconstructed_class_accuracy` or
        `reconstructed_speaker_accuracy`.
    """
    window = frame_window(coded.audio.sample_rate)
    distances = [
        log_spectral_distance(a, b, window, window // 4)
        for a, b in zip(coded.waveforms, reconstructed)
    ]
    return {
        "log_spectral_distance": float(np.mean(distances)),
        **accuracies("reconstructed_", reconstructed, judged),
    }


def accuracies(
    prefix: str, waveforms: Sequence[np.ndarray], judged: Judged
) -> dict[str, float]:
    """Returns each judge's `PREFIXclass_accuracy`, `PREFIXspeaker_accuracy`."""
    return {
        f"{prefix}{judge.target}_accuracy": judge.accuracy(waveforms, labels)
        for judge, labels in judged
    }


def conversions(
    coded: Coded, **drawing: object
) -> tuple[np.ndarray, list[np.ndarray]]:
    """Converts each recording to other speakers' voices, the next four at most.

    Args:
        coded, drawing: see `reconstructions`.

    Returns:
        int64 `[m, 2]`, the recording and target of each conversion, and the
        waveforms, float32 `[time]` each.
    """
    pairs = conversion_pairs(coded.speakers, coded.audio.num_speakers)
    rows, targets = pairs.T
    return pairs, coded.draw(rows, targets, **drawing)


def conversion_pairs(speakers: ArrayLike, count: int) -> np.ndarray:
    """Returns the recording and target of each conversion, int64 `[m, 2]`.

    Args:
        speakers: integers `[n]` in 0..count-1, the recordings' own.
        count: the number of speakers.

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


def conversion_figures(
    audio: AudioSource,
    pairs: np.ndarray,
    converted: Sequence[np.ndarray],
    judged: Judged,
) -> dict:
    """Has judges classify conversions.

    Args:
        audio: the original recordings.
        pairs, converted: from `conversions`.
        judged: see above, with the labels of the originals.

    Returns:
        For a judge of speakers, `converted_speaker_accuracy`, the share that
        sound like the target; for a judge of classes,
        `converted_class_accuracy`, the share whose class is unchanged. For
        each, also each target's share, `..._to_NAME`, and the lowest of these,
        `..._least`.
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
