"""What single codes stand for: the paper's mapping of codes to phonemes.

Each code is mapped to its most frequent label in the training part, and the
map is scored on the test part (van den Oord et al. 2017, arXiv:1711.00937,
section 4.3: 49.3 % accuracy for 41 phonemes, against 7.2 % for always choosing
the most frequent one).
"""

import dataclasses
import os
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from vqvae_tf.utils.checks import check_labels, check_positive
from vqvae_tf.utils.paths import expand

# The label of frames that no interval covers.
UNLABELLED = -1


@dataclasses.dataclass(frozen=True)
class Interval:
    """A labelled interval [start, end) in seconds."""

    start: float
    end: float
    label: str


def read_alignment(
    path: str | os.PathLike, unit: float = 1.0
) -> list[Interval]:
    """Reads an alignment, with a line `start end label` for each interval.

    Fields are separated by spaces, tabs or commas; empty lines and lines that
    start with # are skipped.

    Args:
        path: the text file.
        unit: the unit of time in seconds; 1 / 16000 for TIMIT, which counts
            samples.

    Returns:
        The intervals, sorted by start.

    Raises:
        ValueError: for a malformed line, an interval that does not end after
            its start, and intervals that overlap.
    """
    intervals, path = [], expand(path)
    for number, line in enumerate(path.read_text().split("\n")):
        if line.strip() and not line.lstrip().startswith("#"):
            place = f"{path}, line {number + 1}"
            intervals.append(_interval(line, unit, place))
    intervals.sort(key=lambda interval: interval.start)
    for before, after in zip(intervals, intervals[1:]):
        if after.start < before.end - 1e-9:
            raise ValueError(
                f"{path}: intervals may not overlap. Received: "
                f"{before.label!r} until {before.end} s and {after.label!r} "
                f"from {after.start} s."
            )
    return intervals


def _interval(line, unit, place):
    words = line.replace(",", " ").split()
    try:
        start, end = float(words[0]), float(words[1])
        label = " ".join(words[2:])
    except (ValueError, IndexError):
        start, end, label = 0.0, 0.0, ""
    if not (0 <= start < end and label):
        raise ValueError(
            f"{place}: expected `start end label` with 0 <= start < end. "
            f"Received: {line!r}."
        )
    return Interval(start * unit, end * unit, label)


def frame_labels(
    intervals: Sequence[Interval],
    num_frames: int,
    frame_seconds: float,
    names: Sequence[str],
) -> np.ndarray:
    """Returns the label at the middle of each frame.

    Args:
        intervals: from `read_alignment`.
        num_frames: number of frames, one for each code.
        frame_seconds: length of a frame: a VQ-VAE's stride over the sample
            rate.
        names: the labels, of which the indices are returned.

    Returns:
        int32 `[num_frames]`, `UNLABELLED` where there is no interval.

    Raises:
        ValueError: for a label that is not in `names`.

    Example:

    >>> spoken = [Interval(0.0, 0.02, "s"), Interval(0.02, 0.05, "ih")]
    >>> frame_labels(spoken, 4, 0.016, ["ih", "s"]).tolist()
    [1, 0, 0, -1]
    """
    num_frames = check_positive("num_frames", num_frames)
    number = {name: i for i, name in enumerate(names)}
    middles = (np.arange(num_frames) + 0.5) * frame_seconds
    labels = np.full([num_frames], UNLABELLED, np.int32)
    for interval in intervals:
        if interval.label not in number:
            raise ValueError(
                f"Labels must be among {', '.join(names)}. "
                f"Received: {interval.label!r}."
            )
        inside = (middles >= interval.start) & (middles < interval.end)
        labels[inside] = number[interval.label]
    return labels


@dataclasses.dataclass(frozen=True)
class CodeLabels:
    """The score of a map from codes to labels.

    Attributes:
        label_of: int32 `[K]`, the label of each code; codes that do not occur
            in training get the most frequent label.
        accuracy: the share of test frames whose code maps to their label.
        majority: the accuracy of always choosing the most frequent training
            label.
        frames: the number of labelled test frames.
    """

    label_of: np.ndarray
    accuracy: float
    majority: float
    frames: int


def code_labels(
    codes: ArrayLike,
    labels: ArrayLike,
    test_codes: ArrayLike,
    test_labels: ArrayLike,
    num_embeddings: int,
    num_labels: int,
) -> CodeLabels:
    """Maps each code to its most frequent label, and scores the map.

    Args:
        codes, labels: integers of one shape: a code and a label for each
            training frame; frames with a label below 0 are ignored.
        test_codes, test_labels: the same for the test part.
        num_embeddings: K, codes are in 0..K-1.
        num_labels: L, labels are in 0..L-1.

    Raises:
        ValueError: for shapes that differ, values out of range, or a part
            without labelled frames.

    Example:

    >>> found = code_labels([0, 0, 0, 1], [2, 2, 1, 1], [0, 1], [2, 2], 3, 3)
    >>> found.label_of.tolist(), found.accuracy, found.majority
    ([2, 1, 1], 0.5, 0.0)
    """
    codes, labels = _labelled("training", codes, labels, num_embeddings)
    test_codes, test_labels = _labelled(
        "test", test_codes, test_labels, num_embeddings
    )
    highest = max(labels.max(), test_labels.max())
    if highest >= num_labels:
        raise ValueError(
            f"Labels must be below num_labels={num_labels}. "
            f"Received: label {highest}."
        )
    counts = np.zeros([num_embeddings, num_labels], np.int64)
    np.add.at(counts, (codes, labels), 1)
    most = int(counts.sum(axis=0).argmax())
    label_of = np.where(counts.any(axis=1), counts.argmax(axis=1), most)
    return CodeLabels(
        label_of=label_of.astype(np.int32),
        accuracy=float(np.mean(label_of[test_codes] == test_labels)),
        majority=float(np.mean(test_labels == most)),
        frames=len(test_labels),
    )


def _labelled(part, codes, labels, num_embeddings):
    """Returns the codes and labels of labelled frames, flattened."""
    codes, labels = np.asarray(codes), np.asarray(labels)
    if codes.shape != labels.shape:
        raise ValueError(
            "There must be one label for each code. Received: "
            f"{part} codes of shape {codes.shape}, labels of {labels.shape}."
        )
    if labels.dtype.kind not in "iu":
        raise ValueError(
            f"The {part} labels must be integers. Received: labels of dtype "
            f"{labels.dtype}."
        )
    known = labels >= 0
    codes, labels = codes[known], labels[known]
    if not codes.size:
        raise ValueError(
            f"The {part} part has no labelled frame. Received: {known.size} "
            "frames, all with labels below 0."
        )
    return check_labels(f"The {part} codes", codes, num_embeddings), labels
