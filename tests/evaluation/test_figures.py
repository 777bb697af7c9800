"""What figures are called, and which may be declared."""

import pytest

from vqvae_tf.evaluation import autoencoders, figures
from vqvae_tf.evaluation.figure import Figure


@pytest.mark.parametrize(
    "unit, words", [("", "x"), ("dB", "x (dB)"), ("bits", "x, bits")]
)
def test_a_unit_follows_the_title(unit, words):
    assert Figure("key", "x", unit).words == words


def test_keys_are_unique(monkeypatch):
    monkeypatch.setattr(figures, "FIGURES", dict(figures.FIGURES))
    before = list(figures.FIGURES)
    figures.register([figures.FIGURES["psnr"], Figure("new", "a new one")])
    assert list(figures.FIGURES) == [*before, "new"]
    assert figures.table({"new": 1.0, "psnr": 2.0})[-1] == (
        "a new one",
        "1.0000",
    )
    with pytest.raises(ValueError, match="Received: 'psnr', which is: PSNR"):
        figures.register([Figure("psnr", "another")])


def test_bounds_are_named_after_the_latents():
    codes = {"bits_per_dim": 4.0, "usage": 1.0}
    assert figures.title("bits_per_dim", codes).startswith("bound with the")
    del codes["usage"]
    assert figures.title("bits_per_dim", codes).startswith("bound of one draw")
    for figure in autoencoders.RENAMED:  # nothing but the name is another
        known = figures.FIGURES[figure.key]
        assert (figure.unit, figure.digits, figure.tolerance, figure.later) == (
            known.unit,
            known.digits,
            known.tolerance,
            known.later,
        )


def test_levels_are_listed_from_the_top_down():
    names = ("bottom", "middle_2", "top", "middle_1")
    levels = {f"usage_of_{name}": 1.0 for name in names}
    found = [title for title, _ in figures.table({"usage": 1.0, **levels})]
    parts = [title.rpartition(": ")[2] for title in found[1:]]
    assert parts == ["top", "middle 1", "middle 2", "bottom"]
