"""A figure: its title, unit, digits and tolerance."""

import dataclasses
import math


@dataclasses.dataclass(frozen=True)
class Figure:
    """A number that an evaluation measures and a card shows.

    Attributes:
        key: its name in the metadata of presets.
        title: what it is.
        unit: shown after the title; "" if it has none.
        digits: decimal places to show.
        tolerance: the absolute difference up to which two measurements agree.
            On another machine, sums in a different order change a code now and
            then; changing one in 300 changes vqvae_photo128's figures by less
            than half of their tolerances.
        later: whether older cards may lack it, because it was added later.

    Example:

    >>> figure = Figure("psnr", "PSNR", "dB", digits=2, tolerance=0.02)
    >>> figure.words, figure.text(26.513)
    ('PSNR (dB)', '26.51')
    """

    key: str
    title: str
    unit: str = ""
    digits: int = 4
    tolerance: float = 2e-3
    later: bool = False

    @property
    def words(self) -> str:
        """The title with its unit."""
        if self.unit == "dB":
            return f"{self.title} (dB)"
        return f"{self.title}, {self.unit}" if self.unit else self.title

    def text(self, value: float | None) -> str:
        """Returns a value as it is shown; "nothing" for None."""
        return "nothing" if value is None else f"{value:.{self.digits}f}"

    def agree(self, a: float | None, b: float | None) -> bool:
        """Returns whether two values differ by no more than the tolerance."""
        if a is None or b is None:
            return a is b
        # Not abs(a - b): the PSNR of a perfect reconstruction is infinite.
        return math.isclose(a, b, rel_tol=0.0, abs_tol=self.tolerance)
