"""What a measured number is called, its unit, digits and tolerance."""

import dataclasses
import math


@dataclasses.dataclass(frozen=True)
class Figure:
    """A number that an evaluation measures and a card shows.

    Attributes:
        key: str, its name in the metadata of presets.
        title: str, what it is.
        unit: str, shown after the title; "" if it has none.
        digits: int, decimal places that are shown.
        tolerance: float, the absolute difference at which two measurements
            still agree. On another machine, sums in another order move a code
            now and then; one in 300 moved changes vqvae_photo128's figures by
            less than half of their tolerances.
        later: bool, whether cards written before the figure was added lack
            it, which is no difference.

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
        """Returns a value as it is shown, "nothing" for None."""
        return "nothing" if value is None else f"{value:.{self.digits}f}"

    def agree(self, a: float | None, b: float | None) -> bool:
        """Returns whether two values differ by no more than the tolerance."""
        if a is None or b is None:
            return a is b
        # Not abs(a - b): the PSNR of a perfect reconstruction is infinite.
        return math.isclose(a, b, rel_tol=0.0, abs_tol=self.tolerance)
