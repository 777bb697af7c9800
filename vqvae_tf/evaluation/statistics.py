"""What evaluations accumulate over batches: distortion, codes, bounds.

All sums are float64. Figures are of all examples together and do not depend on
how these were batched.
"""

import math
from collections.abc import Iterable, Iterator

import numpy as np
import tensorflow as tf
from numpy.typing import ArrayLike

from vqvae_tf.quantizers import Quantizer, lookup, usage
from vqvae_tf.utils.progress import bar
from vqvae_tf.utils.units import bits

_SSIM_WINDOW = 11


def psnr(mse: float) -> float:
    """Returns the peak signal-to-noise ratio of 8-bit data, in dB.

    Args:
        mse: the mean squared error in squared pixel levels.

    Example:

    >>> round(psnr(1.0), 2), psnr(0.0)
    (48.13, inf)
    """
    return float(10 * np.log10(255.0**2 / mse)) if mse > 0 else math.inf


def half_interval(values: ArrayLike) -> float:
    """Returns half of the 95 % confidence interval of a mean.

    Args:
        values: float `[n]`, of independent examples. A single example has no
            interval: 0 is returned.
    """
    values = np.asarray(values, np.float64)
    if len(values) < 2:
        return 0.0
    return float(1.96 * values.std(ddof=1) / math.sqrt(len(values)))


def unigram_bits(training_counts: ArrayLike, test_counts: ArrayLike) -> float:
    """Returns the cross-entropy of test codes under training frequencies.

    Args:
        training_counts: how often each code occurs in training, `[K]` or
            `[G, K]`; one is added to each count.
        test_counts: the same for the test set.

    Returns:
        Bits per code.
    """
    test = np.atleast_2d(np.asarray(test_counts, np.float64))
    training = np.atleast_2d(np.asarray(training_counts, np.float64)) + 1
    log_p = np.log2(training / training.sum(axis=1, keepdims=True))
    return float(-(test * log_p).sum() / test.sum())


def examples(
    batches: Iterable, progress: bool = True
) -> Iterator[tuple[tf.Tensor, dict | None, int]]:
    """Yields each batch with the number of examples in it.

    Args:
        batches: (x, context, sample_weight) batches, such as those of
            `data.evaluation_batches`; rows of weight 0, at the end, are
            padding.
        progress: show a progress bar, where stderr is a terminal.

    Yields:
        x, the context (None if it is empty), and the number of rows without
        padding.
    """
    for x, context, weight in bar(batches, progress):
        count = int(np.sum(weight.numpy() > 0))
        yield x, dict(context.items()) or None, count


def ssim(x: tf.Tensor, y: tf.Tensor) -> dict[str, tf.Tensor]:
    """Returns {"ssim": float32 `[batch]`} for pictures `[batch, h, w, C]`.

    Empty if they are smaller than the window of 11x11 pixels.

    References:
        Wang et al. 2004, doi:10.1109/TIP.2003.819861.
    """
    if min(x.shape[1:3]) < _SSIM_WINDOW:
        return {}
    x, y = tf.cast(x, tf.float32), tf.cast(y, tf.float32)
    return {"ssim": tf.image.ssim(x, y, max_val=255.0)}


class Distortion:
    """The error of reconstructions, pooled over all values.

    Example:

    >>> distortion = Distortion()
    >>> distortion.add(np.array([0, 2], np.uint8), np.array([1.0, 3.0]))
    >>> distortion.figures()
    {'mse': 1.0, 'nmse': 1.0, 'psnr': 48.13...}
    """

    def __init__(self) -> None:
        self._values, self._error = 0, 0.0
        self._x, self._x2 = 0.0, 0.0
        self._ssim = []

    def add(
        self, x: ArrayLike, reconstruction: ArrayLike, ssim: ArrayLike = ()
    ) -> None:
        """Adds a batch.

        Args:
            x: levels 0..255, `[batch, ...]`.
            reconstruction: of the same shape.
            ssim: float `[batch]`, the structural similarity of each picture.
        """
        x = np.asarray(x, np.float64)
        error = x - np.asarray(reconstruction, np.float64)
        self._values += x.size
        self._x += x.sum()
        self._x2 += (x**2).sum()
        self._error += (error**2).sum()
        self._ssim.extend(np.asarray(ssim, np.float64))

    @property
    def psnr(self) -> float:
        """The peak signal-to-noise ratio in dB."""
        return psnr(self._error / self._values)

    def figures(self) -> dict[str, float]:
        """Returns `mse`, `nmse`, `psnr` and, if it was given, `ssim`.

        `mse` is in squared levels, `nmse` relative to the scalar variance of
        the data; `ssim` is the mean over pictures.
        """
        mse = self._error / self._values
        variance = self._x2 / self._values - (self._x / self._values) ** 2
        figures = {"mse": mse, "nmse": mse / variance, "psnr": psnr(mse)}
        if self._ssim:
            figures["ssim"] = np.mean(self._ssim)
        return {name: float(value) for name, value in figures.items()}


class CodeCounts:
    """How often each code occurs.

    Args:
        quantizer: the quantizer whose codes are counted.

    Attributes:
        counts: float64 `[G, K]`.
    """

    def __init__(self, quantizer: Quantizer) -> None:
        self.counts = np.zeros(
            [quantizer.num_codebooks, quantizer.num_embeddings]
        )
        self._num_codes = quantizer.num_codes

    def add(self, codes: ArrayLike) -> None:
        """Adds codes, integers of any shape; `[..., G]` for G codebooks."""
        groups, size = self.counts.shape
        flat = np.asarray(codes).reshape(-1, groups).T
        self.counts += lookup.code_counts(flat, size).numpy()

    def figures(self) -> dict[str, float]:
        """Returns `perplexity` and `usage`, the means over codebooks."""
        counts = tf.constant(self.counts, tf.float32)
        return {
            "perplexity": float(usage.perplexity(counts)),
            "usage": float(usage.usage(counts, self._num_codes)),
        }


class Bounds:
    """Log-likelihoods of all examples, converted to bits/dim."""

    def __init__(self) -> None:
        self._rows, self._values = {}, 0

    def add(self, values: int, **nats: np.ndarray) -> None:
        """Adds a batch.

        Args:
            values: the number of dimensions of all its examples together.
            nats: log-likelihoods by name, float `[batch]` each.
        """
        self._values += values
        for name, rows in nats.items():
            self._rows.setdefault(name, []).extend(rows.astype(np.float64))

    def __contains__(self, name: str) -> bool:
        return name in self._rows

    def nats(self, *names: str) -> np.ndarray:
        """Returns the sum of log-likelihoods by name, float64 `[examples]`."""
        return sum(np.array(self._rows[name]) for name in names)

    def bits(self, nats: np.ndarray) -> np.ndarray:
        """Converts log-likelihoods of examples, in nats, to bits/dim."""
        count = len(next(iter(self._rows.values())))
        return bits(-nats, self._values / count)


class Totals:
    """The number of examples, their `Distortion` and their `Bounds`."""

    def __init__(self) -> None:
        self.examples = 0
        self.distortion, self.bounds = Distortion(), Bounds()

    def add(
        self,
        x: np.ndarray,
        reconstruction: ArrayLike,
        ssim: ArrayLike = (),
        **nats: np.ndarray,
    ) -> None:
        """Adds a batch; see `Distortion.add` and `Bounds.add`."""
        self.examples += len(x)
        self.distortion.add(x, reconstruction, ssim)
        self.bounds.add(x.size, **nats)
