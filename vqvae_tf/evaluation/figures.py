"""All figures in the order of cards: tables and comparisons.

Each evaluation declares the figures it measures in its `FIGURES`.
"""

import dataclasses
from collections.abc import Iterable

from vqvae_tf.evaluation import (
    autoencoder_properties,
    autoencoders,
    disentanglement,
    levels,
    neighbour_bound,
    pictures,
    samples,
    two_levels,
    video,
)
from vqvae_tf.evaluation.figure import Figure
from vqvae_tf.evaluation.sequences import (
    futures,
    moving,
    oscillators,
    prediction,
)
from vqvae_tf.evaluation.speech import evaluate as speech, probes

FIGURES: dict[str, Figure] = {}


def register(figures: Iterable[Figure]) -> None:
    """Adds an evaluation's figures to tables and comparisons.

    Raises:
        ValueError: if another figure has the same key.
    """
    for figure in figures:
        if FIGURES.setdefault(figure.key, figure) != figure:
            raise ValueError(
                "A figure's key must be unique. Received: "
                f"{figure.key!r}, which is: {FIGURES[figure.key].words}."
            )


for _evaluation in (
    pictures,
    levels,
    samples,
    neighbour_bound,
    autoencoders,
    autoencoder_properties,
    disentanglement,
    two_levels,
    video,
    speech,
    probes,
    prediction,
    moving,
    oscillators,
    futures,
):
    register(_evaluation.FIGURES)
register(samples.CLASSIFIER_FIGURES)


def compare(measured: dict, expected: dict) -> list[str]:
    """Returns a line of text for each figure that differs.

    A figure that only one of the two has is a difference, too, unless older
    cards may lack it (`Figure.later`).

    Args:
        measured: figures from an evaluation.
        expected: figures from a card.

    Example:

    >>> compare({"psnr": 25.0}, {"psnr": 26.0})
    ['PSNR, pooled over pixels (dB): measured 25.00, the card says 26.00']
    """
    differences = []
    for key, figure in _known({**expected, **measured}).items():
        a, b = measured.get(key), expected.get(key)
        if figure.agree(a, b) or (b is None and figure.later):
            continue
        differences.append(
            f"{figure.words}: measured {figure.text(a)}, "
            f"the card says {figure.text(b)}"
        )
    return differences


def table(figures: dict) -> list[tuple[str, str]]:
    """Returns (title, value) rows of the known figures.

    A mean over speakers, `KEY`, is followed by each speaker's value,
    `KEY_to_SPEAKER`.

    Example:

    >>> table({"examples": 12, "psnr": 26.513})
    [('PSNR, pooled over pixels (dB)', '26.51')]
    """
    rows = []
    for key, figure in _known(figures).items():
        if key not in figures:
            continue
        rows.append((figure.words, figure.text(figures[key])))
        prefix = f"{key}_to_"
        rows += [
            (f"the same, to {other.removeprefix(prefix)}", figure.text(value))
            for other, value in sorted(figures.items())
            if other.startswith(prefix)
        ]
    return rows


def title(key: str, figures: dict) -> str:
    """Returns the title of a figure with its unit.

    Args:
        key: one of `FIGURES`.
        figures: all figures of the model; they tell whether it has codes.
    """
    return _known(figures)[key].words


def _known(figures):
    """Returns `FIGURES`, as they suit the measured model.

    A figure of a level of codes, or of another filter, `KEY_of_LEVEL`,
    follows that of all; levels from the top down, whatever the figures' order.
    """
    known = FIGURES
    if "usage" not in figures:  # not of codes
        known = known | {figure.key: figure for figure in autoencoders.RENAMED}
    found = {}
    for key, figure in known.items():
        found[key] = figure
        prefix = f"{key}_of_"
        parts = [
            own.removeprefix(prefix)
            for own in figures
            if own.startswith(prefix) and own not in known
        ]
        for part in sorted(parts, key=_from_the_top):
            own, words = f"{key}_of_{part}", part.replace("_", " ")
            title = f"{figure.title}: {words}"
            found[own] = dataclasses.replace(figure, key=own, title=title)
    return found


def _from_the_top(level):
    """A key that sorts levels: the top, those between, the bottom."""
    return {"top": 0, "bottom": 2}.get(level, 1), level
