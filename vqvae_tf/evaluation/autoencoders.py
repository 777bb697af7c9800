"""Figures of autoencoders on held-out data: distortion and bounds."""

from collections.abc import Iterable

import numpy as np
import tensorflow as tf

from vqvae_tf.bottlenecks import log_mean_exp
from vqvae_tf.evaluation.figure import Figure
from vqvae_tf.evaluation.statistics import Totals, examples, half_interval, ssim
from vqvae_tf.models import Autoencoder
from vqvae_tf.runtime import random
from vqvae_tf.utils.checks import check_positive

# Decodings at once, at most: samples of z times rows of a batch.
_AT_ONCE = 640


# The bounds of `pictures` with other titles, since these latents are not codes.
RENAMED = (
    Figure("reconstruction_bits_per_dim", "-log2 p(x given z)", "bits/dim"),
    Figure(
        "prior_bits_per_dim",
        "log2 q(z given x) - log2 p(z)",
        "bits/dim",
        4,
        2e-4,
    ),
    Figure("bits_per_dim", "bound of one draw", "bits/dim"),
)
FIGURES = (
    Figure("bound_samples", "S, draws of the tighter bound", "", 0, 0.5),
    Figure("bits_per_dim_S", "bound of S draws", "bits/dim"),
    Figure(
        "bits_per_dim_S_error",
        "half of its 95 % interval over examples",
        "bits/dim",
        4,
        1e-3,
        later=True,
    ),
    Figure("nats", "bound of S draws", "nats an example", 2, 0.2),
    Figure(
        "nats_error",
        "half of its 95 % interval over examples",
        "nats",
        2,
        0.05,
        later=True,
    ),
)


def evaluate(
    model: Autoencoder,
    batches: Iterable,
    num_samples: int = 1,
    seed: int = 0,
    progress: bool = True,
    rows: dict[str, np.ndarray] | None = None,
) -> dict[str, float]:
    """Measures an autoencoder on data, each example counted once.

    Args:
        model: an `Autoencoder`.
        batches: as for `statistics.examples`.
        num_samples: S, samples of z in the importance-weighted bound.
        seed: of the posterior's and the observation's samples.
        progress, rows: as for `evaluation.evaluate`.

    Returns:
        A dict of floats. `examples`; `mse`, `nmse`, `psnr` and `ssim` of the
        reconstruction from `encode`, as in `evaluation.evaluate`. With a prior:
        `bits_per_dim`, the bound with one sample, its parts
        `reconstruction_bits_per_dim` and `prior_bits_per_dim` (log q(z | x) -
        log p(z)), and `bits_per_dim_error`, half of its 95 % confidence
        interval over examples; with S > 1 also `bound_samples`, S, and the
        bound with S samples, `bits_per_dim_S` and `nats`, with
        `bits_per_dim_S_error` and `nats_error`. Without a prior:
        `reconstruction_bits_per_dim`, given z without noise.
    """
    num_samples = check_positive("num_samples", num_samples)
    totals = _Totals(num_samples)
    step = tf.function(
        lambda x, context, at: _measure(model, x, context, num_samples, at),
        reduce_retracing=True,
        autograph=False,
    )
    for number, (x, context, count) in enumerate(examples(batches, progress)):
        found = step(x, context, batch_seed(seed, number))
        totals.add(**{k: v.numpy()[:count] for k, v in found.items()})
    if rows is not None:
        rows.update(totals.of_each())
    return totals.figures()


def batch_seed(seed: int, batch: int) -> tf.Tensor:
    """Returns the seed of a batch, given its number.

    Folding in 0 gives the observation's seed; 1 + s, that of a chunk of samples
    of z whose first is number s.
    """
    return random.fold_in(random.make_seed(seed), batch)


def _measure(model, x, context, num_samples, seed):
    """Returns each row's pixels, reconstruction and log-likelihoods."""
    if model.observation is not None:
        x = model.observation(x, seed=random.fold_in(seed, 0))
    z = model.bottleneck.encode(model.latents(x))
    local = {**(context or {}), "local": z}
    reconstruction = model.decoder.mode(local)
    found = {
        "x": x,
        "reconstruction": reconstruction,
        **ssim(x, reconstruction),
    }
    if not model.bottleneck.has_prior:
        return {**found, "log_px": model.decoder.log_prob(x, local)}
    chunk = max(1, min(num_samples, _AT_ONCE // max(x.shape[0] or 1, 1)))
    terms = [
        model.log_terms(
            x,
            min(chunk, num_samples - start),
            context,
            random.fold_in(seed, 1 + start),
        )
        for start in range(0, num_samples, chunk)
    ]
    log_px, log_ratio = (tf.concat(term, axis=0) for term in zip(*terms))
    return {
        **found,
        "log_px": log_px[0],
        "log_ratio": log_ratio[0],
        "log_p": log_mean_exp(log_px + log_ratio),
    }


class _Totals(Totals):
    """The sums over all examples so far."""

    def __init__(self, num_samples):
        super().__init__()
        self.num_samples = num_samples

    def of_each(self):
        """Returns the bounds of each example in bits/dim, by name."""
        bounds = self.bounds
        if "log_ratio" not in bounds:
            return {}
        of_one = bounds.nats("log_px", "log_ratio")
        found = {"bits_per_dim": bounds.bits(of_one)}
        if self.num_samples > 1:
            found["bits_per_dim_S"] = bounds.bits(bounds.nats("log_p"))
        return found

    def figures(self):
        figures, bounds = self.distortion.figures(), self.bounds
        log_px = bounds.nats("log_px").mean()
        figures["reconstruction_bits_per_dim"] = bounds.bits(log_px)
        if "log_ratio" in bounds:
            log_ratio = bounds.nats("log_ratio").mean()
            figures["prior_bits_per_dim"] = bounds.bits(log_ratio)
            for name, bound in self.of_each().items():
                figures[name] = bound.mean()
                figures[f"{name}_error"] = half_interval(bound)
            if self.num_samples > 1:
                log_p = bounds.nats("log_p")
                figures["bound_samples"] = self.num_samples
                figures["nats"] = -log_p.mean()
                figures["nats_error"] = half_interval(log_p)
        figures = {name: float(value) for name, value in figures.items()}
        return {"examples": self.examples, **figures}
