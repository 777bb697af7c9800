"""Figures on held-out data: distortion, code usage, bits."""

from collections.abc import Iterable

import numpy as np
import tensorflow as tf
from numpy.typing import ArrayLike

from vqvae_tf.densities import CodeChain
from vqvae_tf.evaluation.figure import Figure
from vqvae_tf.evaluation.statistics import (
    CodeCounts,
    Distortion,
    Totals,
    examples,
    half_interval,
    ssim,
    unigram_bits,
)
from vqvae_tf.models import CodeModel, LatentGenerator
from vqvae_tf.utils.units import LN2, bits

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
    model: CodeModel | LatentGenerator,
    batches: Iterable,
    training_counts: ArrayLike | dict[str, ArrayLike] | None = None,
    progress: bool = True,
    rows: dict[str, np.ndarray] | None = None,
) -> dict[str, float]:
    """Measures a model on data, each example counted once.

    Args:
        model: a `VQVAE`, a `HierarchicalVQVAE` or a `LatentGenerator`.
        batches: as for `statistics.examples`.
        training_counts: how often each code occurs in the training set,
            `[K]`, `[G, K]` or by level, for the unigram's cross-entropy; or
            None.
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
        frequencies (with one added to each count). Of a `HierarchicalVQVAE`
        also perplexity, usage and bits per code of each level, such as
        `usage_of_top`; those without a level are means over all codes (bits)
        or all levels.
    """
    totals = _Totals(model.autoencoder.quantizers())
    step = _step(model.autoencoder, model.prior)
    for x, context, count in examples(batches, progress):
        found = tf.nest.map_structure(
            lambda value, count=count: value.numpy()[:count], step(x, context)
        )
        totals.add(x.numpy()[:count], **found)
    if rows is not None:
        rows.update(totals.of_each())
    if training_counts is not None:
        training_counts = model.autoencoder.by_grid(training_counts)
    is_exact = model.prior is None or model.prior.exact_log_prob
    return totals.figures(training_counts, "prior" if is_exact else _BOUND)


def _step(autoencoder, prior):
    @tf.function(reduce_retracing=True, autograph=False)
    def step(x, context):
        codes = autoencoder.codes_of(x)
        local = autoencoder.decoder_context(
            context, autoencoder.local_of(codes)
        )
        reconstruction = autoencoder.decoder.mode(local)
        outputs = {
            "codes": autoencoder.by_grid(codes),
            "reconstruction": reconstruction,
            "log_px": autoencoder.decoder.log_prob(x, local),
            **ssim(x, reconstruction),
        }
        if isinstance(prior, CodeChain):
            found = prior.log_probs(codes, context)
            outputs |= {
                f"log_pz_{name}": value for name, value in found.items()
            }
        elif prior is not None:
            outputs["log_pz_codes"] = prior.log_prob(codes, context)
        return outputs

    return step


class _Totals(Totals):
    """The sums over all examples so far."""

    def __init__(self, quantizers):
        super().__init__()
        self._quantizers = quantizers
        self.codes = {k: CodeCounts(own) for k, own in quantizers.items()}

    def add(self, x, codes, **found):
        super().add(x, **found)
        for name, own in codes.items():
            self.codes[name].add(own)

    def _codes_each(self, name):
        """How many codes of a grid an example has."""
        return int(self.codes[name].counts.sum()) // self.examples

    def _log_pz(self):
        """The names of the prior's parts, by grid."""
        named = {name: f"log_pz_{name}" for name in self.codes}
        return {k: key for k, key in named.items() if key in self.bounds}

    def of_each(self):
        """Returns the bounds of each example in bits/dim, by name."""
        bounds, uniform = self.bounds, 0.0
        for name, quantizer in self._quantizers.items():
            positions = self._codes_each(name) / quantizer.num_codebooks
            uniform += positions * quantizer.bits_per_position * LN2
        log_px = bounds.nats("log_px")
        found = {"bits_per_dim_uniform": bounds.bits(log_px - uniform)}
        if parts := self._log_pz():
            log_p = bounds.nats("log_px", *parts.values())
            found["bits_per_dim"] = bounds.bits(log_p)
        return found

    def figures(self, training_counts, prior):
        bounds, of_each = self.bounds, self.of_each()
        log_px = bounds.nats("log_px").mean()
        figures = {
            **self.distortion.figures(),
            **self._code_figures(training_counts),
            "reconstruction_bits_per_dim": bounds.bits(log_px),
            "bits_per_dim_uniform": of_each["bits_per_dim_uniform"].mean(),
            # Of the last bound: with the prior, if there is one.
            "bits_per_dim_error": half_interval(list(of_each.values())[-1]),
        }
        if parts := self._log_pz():
            each = {name: self._codes_each(name) for name in parts}
            nats = {k: -bounds.nats(key).mean() for k, key in parts.items()}
            total = sum(nats.values())
            key = f"{prior}_bits_per_code"
            figures[key] = bits(total, sum(each.values()))
            figures[f"{prior}_bits_per_dim"] = bounds.bits(-total)
            figures["bits_per_dim"] = of_each["bits_per_dim"].mean()
            if len(parts) > 1:
                for name, own in nats.items():
                    figures[f"{key}_of_{name}"] = bits(own, each[name])
        figures = {name: float(value) for name, value in figures.items()}
        return {"examples": self.examples, **figures}

    def _code_figures(self, training_counts):
        """Returns usage and perplexity, of all grids and of each."""
        found, weights = {}, []
        for name, codes in self.codes.items():
            found[name] = codes.figures()
            weights.append(self._codes_each(name))
            if training_counts is not None:
                found[name]["unigram_bits_per_code"] = unigram_bits(
                    training_counts[name], codes.counts
                )
        keys = list(next(iter(found.values())))
        figures = {}
        for key in keys:
            values = [own[key] for own in found.values()]
            in_codes = key == "unigram_bits_per_code"
            figures[key] = np.average(
                values, weights=weights if in_codes else None
            )
        if len(found) > 1:
            for name, own in found.items():
                figures |= {f"{key}_of_{name}": own[key] for key in keys}
        return figures


def reconstruction_psnr(
    autoencoder: CodeModel, batches: Iterable, progress: bool = True
) -> float:
    """Returns the PSNR of reconstructions in dB, pooled over pixels.

    Args:
        autoencoder: a `VQVAE` or a `HierarchicalVQVAE`.
        batches, progress: as for `evaluate`.
    """
    reconstruct = tf.function(
        autoencoder.reconstruct, reduce_retracing=True, autograph=False
    )
    found = Distortion()
    for x, context, count in examples(batches, progress):
        again = reconstruct(x, autoencoder.decoder.known_context(context or {}))
        found.add(x.numpy()[:count], again.numpy()[:count])
    return found.psnr


def count_codes(
    autoencoder: CodeModel, batches: Iterable, progress: bool = True
) -> np.ndarray | dict[str, np.ndarray]:
    """Returns how often each code occurs in the data, float64 `[G, K]`.

    Args:
        autoencoder: a `VQVAE` or a `HierarchicalVQVAE`.
        batches, progress: as for `evaluate`.

    Returns:
        The counts; of a `HierarchicalVQVAE` a dict of those of each level.
    """
    encode = tf.function(
        lambda x: autoencoder.by_grid(autoencoder.codes_of(x)),
        reduce_retracing=True,
        autograph=False,
    )
    codes = {k: CodeCounts(own) for k, own in autoencoder.quantizers().items()}
    for x, _, count in examples(batches, progress):
        for name, own in encode(x).items():
            codes[name].add(own.numpy()[:count])
    return autoencoder.as_codes({k: own.counts for k, own in codes.items()})
