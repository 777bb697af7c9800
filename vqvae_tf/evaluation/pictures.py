"""Figures on held-out data: distortion, code usage, bits."""

import math
from collections.abc import Iterable

import numpy as np
import tensorflow as tf
from numpy.typing import ArrayLike

from vqvae_tf.evaluation.figure import Figure
from vqvae_tf.evaluation.statistics import (
    CodeCounts,
    Totals,
    examples,
    half_interval,
    ssim,
    unigram_bits,
)
from vqvae_tf.models import VQVAE, LatentGenerator
from vqvae_tf.utils.units import bits

FIGURES = (
    Figure("psnr", "PSNR, pooled over pixels", "dB", 2, 0.02),
    Figure("mse", "mean squared error", "squared levels", 1, 1.0),
    Figure("nmse", "mean squared error / variance of the data", "", 4, 1e-4),
    Figure("ssim", "SSIM, mean of pictures", "", 4, 1e-3),
    Figure("perplexity", "perplexity over all codes", "", 1, 0.5),
    Figure("usage", "usage (share of codes used)", "", 3, 2e-3),
    Figure("reconstruction_bits_per_dim", "-log2 p(x given codes)", "bits/dim"),
    Figure("bits_per_dim_uniform", "bound with a uniform prior", "bits/dim"),
    Figure(
        "unigram_bits_per_code",
        "unigram of the training codes",
        "bits/code",
        3,
        3e-3,
    ),
    Figure("prior_bits_per_code", "the prior", "bits/code", 3, 3e-3),
    Figure("prior_bits_per_dim", "the prior", "bits/dim", 4, 2e-4),
    Figure(
        "prior_bound_bits_per_code", "the prior, at most", "bits/code", 3, 3e-3
    ),
    Figure(
        "prior_bound_bits_per_dim", "the prior, at most", "bits/dim", 4, 2e-4
    ),
    Figure("bits_per_dim", "bound with the prior", "bits/dim"),
    Figure(
        "bits_per_dim_error",
        "half of the bound's 95 % interval over examples",
        "bits/dim",
        4,
        1e-3,
        later=True,
    ),
)


# Begins the keys of a prior whose log_prob is a bound.
_BOUND = "prior_bound"


def evaluate(
    model: VQVAE | LatentGenerator,
    batches: Iterable,
    training_counts: ArrayLike | None = None,
    progress: bool = True,
    rows: dict[str, np.ndarray] | None = None,
) -> dict[str, float]:
    """Measures a model on data, each example counted once.

    Args:
        model: a `VQVAE` or a `LatentGenerator`.
        batches: as for `statistics.examples`.
        training_counts: how often each code occurs in the training set,
            `[K]` or `[G, K]`, for the unigram's cross-entropy; or None.
        progress: show a progress bar, where stderr is a terminal.
        rows: a dict to which the bounds of each example are added, in bits/dim
            `[examples]`, under the keys of their means.

    Returns:
        A dict of floats. `examples`; `mse` in squared pixel levels; `nmse`, the
        same over the scalar variance of the data; `psnr` in dB, pooled over
        all pixels; `ssim`, the mean over pictures (Wang et al. 2004);
        `perplexity` (the mean over codebooks) and `usage`, over all codes;
        `reconstruction_bits_per_dim` and `bits_per_dim_uniform` (with log2 K
        bits a code); `bits_per_dim_error`, half of the 95 % confidence
        interval of the bound over examples. With a prior: `bits_per_dim`, its
        parts, and `prior_bits_per_code`; of a prior whose `log_prob` is a
        bound, `prior_bound_bits_per_code`. With training counts:
        `unigram_bits_per_code`, the cross-entropy under the training codes'
        frequencies (with one added to each count).
    """
    totals = _Totals(model.autoencoder.quantizer)
    step = _step(model.autoencoder, model.prior)
    for x, context, count in examples(batches, progress):
        found = {k: v.numpy()[:count] for k, v in step(x, context).items()}
        totals.add(x.numpy()[:count], **found)
    if rows is not None:
        rows.update(totals.of_each())
    is_exact = model.prior is None or model.prior.exact_log_prob
    return totals.figures(training_counts, "prior" if is_exact else _BOUND)


def _step(autoencoder, prior):
    @tf.function(reduce_retracing=True, autograph=False)
    def step(x, context):
        codes = autoencoder.quantizer.encode(autoencoder.latents(x))
        local = autoencoder.decoder_context(
            context, autoencoder.quantizer.decode(codes)
        )
        reconstruction = autoencoder.decoder.mode(local)
        outputs = {
            "codes": codes,
            "reconstruction": reconstruction,
            "log_px": autoencoder.decoder.log_prob(x, local),
            **ssim(x, reconstruction),
        }
        if prior is not None:
            outputs["log_pz"] = prior.log_prob(codes, context)
        return outputs

    return step


class _Totals(Totals):
    """The sums over all examples so far."""

    def __init__(self, quantizer):
        super().__init__()
        self.codes = CodeCounts(quantizer)

    def add(self, x, codes, **found):
        super().add(x, **found)
        self.codes.add(codes)

    def _codes_each(self):
        return int(self.codes.counts.sum()) // self.examples

    def of_each(self):
        """Returns the bounds of each example in bits/dim, by name."""
        bounds, values = self.bounds, self.codes.counts.shape[1]
        uniform = self._codes_each() * math.log(values)
        log_px = bounds.nats("log_px")
        found = {"bits_per_dim_uniform": bounds.bits(log_px - uniform)}
        if "log_pz" in bounds:
            log_p = bounds.nats("log_px", "log_pz")
            found["bits_per_dim"] = bounds.bits(log_p)
        return found

    def figures(self, training_counts, prior):
        bounds, of_each = self.bounds, self.of_each()
        log_px = bounds.nats("log_px").mean()
        figures = {
            **self.distortion.figures(),
            **self.codes.figures(),
            "reconstruction_bits_per_dim": bounds.bits(log_px),
            "bits_per_dim_uniform": of_each["bits_per_dim_uniform"].mean(),
            # Of the last bound: with the prior, if there is one.
            "bits_per_dim_error": half_interval(list(of_each.values())[-1]),
        }
        if training_counts is not None:
            figures["unigram_bits_per_code"] = unigram_bits(
                training_counts, self.codes.counts
            )
        if "log_pz" in bounds:
            log_pz = bounds.nats("log_pz").mean()
            each = self._codes_each()
            figures[f"{prior}_bits_per_code"] = bits(-log_pz, each)
            figures[f"{prior}_bits_per_dim"] = bounds.bits(log_pz)
            figures["bits_per_dim"] = of_each["bits_per_dim"].mean()
        figures = {name: float(value) for name, value in figures.items()}
        return {"examples": self.examples, **figures}


def count_codes(
    autoencoder: VQVAE, batches: Iterable, progress: bool = True
) -> np.ndarray:
    """Returns how often each code occurs in the data, float64 `[G, K]`.

    Args:
        autoencoder: a `VQVAE`.
        batches, progress: as for `evaluate`.
    """
    encode = tf.function(
        lambda x: autoencoder.quantizer.encode(autoencoder.latents(x)),
        reduce_retracing=True,
        autograph=False,
    )
    codes = CodeCounts(autoencoder.quantizer)
    for x, _, count in examples(batches, progress):
        codes.add(encode(x).numpy()[:count])
    return codes.counts
