"""All figures in the order of cards, as tables and compared.

Each evaluation declares the figures that it measures, as its `FIGURES`.
"""

from collections.abc import Iterable

from vqvae_tf.evaluation import (
    autoencoder_properties,
    autoencoders,
    disentanglement,
    neighbour_bound,
    pictures,
    two_levels,
    video,
)
from vqvae_tf.evaluation.figure import Figure
from vqvae_tf.evaluation.speech import evaluate as speech, probes

FIGURES: dict[str, Figure] = {}


def register(figures: Iterable[Figure]) -> None:
    """Makes figures known to tables and comparisons, after those before them.

    Args:
        figures: those of a new evaluation.

    Raises:
        ValueError: for a key that another figure has.
    """
    for figure in figures:
        if FIGURES.setdefault(figure.key, figure) != figure:
            raise ValueError(
                "A figure's key must be its own. Received: "
                f"{figure.key!r}, which is: {FIGURES[figure.key].words}."
            )


for _evaluation in (
    pictures,
    neighbour_bound,
    autoencoders,
    autoencoder_properties,
    disentanglement,
    two_levels,
    video,
    speech,
    probes,
):
    register(_evaluation.FIGURES)


def compare(measured: dict, expected: dict) -> list[str]:
    """Lists the figures that do not agree within their tolerance.

    Args:
        measured: figures, such as those of an evaluation.
        expected: figures, such as those of a card. A figure that only one of
            the two has is a difference, unless it is one that cards written
            before it was added lack.

    Returns:
        A line of text for each difference.

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

    A mean over speakers, `KEY`, is followed by the value of each speaker,
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
        figures: all figures of the same model, which tell whether it has
            codes.
    """
    return _known(figures)[key].words


def _known(figures):
    """Returns `FIGURES`, named as they are for the model that was measured."""
    if "usage" in figures:  # of codes
        return FIGURES
    return FIGURES | {figure.key: figure for figure in autoencoders.RENAMED}
