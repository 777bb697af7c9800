"""Figures on held-out data: distortion, code usage, bits."""

import math

import numpy as np
import tensorflow as tf

from vqvae_tf.evaluation.figure import Figure
from vqvae_tf.models import LatentGenerator
from vqvae_tf.quantizers import lookup, usage
from vqvae_tf.utils.progress import bar

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


def psnr(mse) -> float:
    """Returns the peak signal-to-noise ratio of 8-bit data, in dB.

    Args:
        mse: the mean squared error in squared pixel levels.
    """
    return float(10 * np.log10(255.0**2 / mse)) if mse > 0 else math.inf


def half_interval(values) -> float:
    """Returns half of the 95 % confidence interval of a mean.

    Args:
        values: float [n], of independent examples; of one there is no
            interval, and 0 is returned.
    """
    values = np.asarray(values, np.float64)
    if len(values) < 2:
        return 0.0
    return float(1.96 * values.std(ddof=1) / math.sqrt(len(values)))


def evaluate(
    model, batches, training_counts=None, progress=True, rows=None
) -> dict:
    """Measures a model on data, each example counted once.

    Args:
        model: a `VQVAE` or a `LatentGenerator`.
        batches: (x, context, sample_weight) batches, from
            `data.evaluation_batches`; rows of weight 0 are padding.
        training_counts: how often each code occurs in the training set,
            `[K]` or `[G, K]`, for the unigram's cross-entropy; or None.
        progress: show a progress bar, where stderr is a terminal.
        rows: a dict that gets the bounds of each example, in bits/dim
            `[examples]`, by the names of their means.

    Returns:
        A dict of floats. `examples`; `mse` in squared pixel levels; `nmse`,
        that over the scalar variance of the data; `psnr` in dB, pooled over
        all pixels; `ssim`, the mean of pictures (Wang et al. 2004);
        `perplexity` (the mean over codebooks) and `usage`, over all codes;
        `reconstruction_bits_per_dim` and `bits_per_dim_uniform` (with log2 K
        bits a code); `bits_per_dim_error`, half of the 95 % confidence
        interval of the bound over examples. With a prior `bits_per_dim`, its
        parts, and `prior_bits_per_code`; with training counts
        `unigram_bits_per_code`, the cross-entropy of the training codes'
        frequencies (with one added to each count).
    """
    generator = model if isinstance(model, LatentGenerator) else None
    autoencoder = generator.autoencoder if generator else model
    totals = _Totals(autoencoder.quantizer)
    step = _step(autoencoder, generator)
    for x, context, weight in bar(batches, progress):
        count = int(np.sum(weight.numpy() > 0))
        context = {k: v for k, v in context.items()} or None
        totals.add(x.numpy()[:count], count, step(x, context))
    if rows is not None:
        rows.update(totals.bounds_of_each())
    return totals.figures(training_counts, generator is not None)


def _step(autoencoder, generator):
    @tf.function(reduce_retracing=True)
    def step(x, context):
        codes = autoencoder.quantizer.encode(autoencoder.latents(x))
        local = autoencoder.decoder_context(
            context, autoencoder.quantizer.decode(codes)
        )
        outputs = {
            "codes": codes,
            "reconstruction": autoencoder.decoder.mode(local),
            "log_px": autoencoder.decoder.log_prob(x, local),
        }
        if generator is not None:
            outputs["log_pz"] = generator.prior.log_prob(codes, context)
        outputs["ssim"] = tf.image.ssim(
            tf.cast(x, tf.float32),
            tf.cast(outputs["reconstruction"], tf.float32),
            max_val=255.0,
        )
        return outputs

    return step


class _Totals:
    """Sums over batches, in float64."""

    def __init__(self, quantizer):
        self.shape = (quantizer.num_codebooks, quantizer.num_embeddings)
        self.counts = np.zeros(self.shape)
        self.sums = {}
        self.rows = {}
        self.codes_each = 0

    def _sum(self, **items):
        for name, value in items.items():
            self.sums[name] = self.sums.get(name, 0.0) + float(value)

    def add(self, x, count, outputs):
        outputs = {k: v.numpy()[:count] for k, v in outputs.items()}
        codes = outputs.pop("codes").reshape(-1, self.shape[0]).T
        self.counts += lookup.code_counts(codes, self.shape[1]).numpy()
        self.codes_each = codes.size // count
        x = x.astype(np.float64)
        error = x - outputs.pop("reconstruction")
        self._sum(
            examples=count,
            values=x.size,
            x=x.sum(),
            x2=(x**2).sum(),
            error=(error**2).sum(),
        )
        outputs = {k: v.astype(np.float64) for k, v in outputs.items()}
        self._sum(**{k: v.sum() for k, v in outputs.items()})
        for name in {"log_px", "log_pz"} & outputs.keys():
            self.rows.setdefault(name, []).extend(outputs[name])

    def bounds_of_each(self):
        """Returns the bounds of each example, bits/dim, by their names."""
        log_px = np.array(self.rows["log_px"])
        bits = len(log_px) / (self.sums["values"] * math.log(2))
        uniform = self.codes_each * math.log(self.shape[1])
        bounds = {"bits_per_dim_uniform": (uniform - log_px) * bits}
        if "log_pz" in self.rows:
            log_p = log_px + np.array(self.rows["log_pz"])
            bounds["bits_per_dim"] = -log_p * bits
        return bounds

    def figures(self, training_counts, has_prior):
        s = self.sums
        mse = s["error"] / s["values"]
        variance = s["x2"] / s["values"] - (s["x"] / s["values"]) ** 2
        bits = s["values"] * math.log(2)
        codes = s["examples"] * self.codes_each
        bounds = self.bounds_of_each()
        figures = {
            "examples": int(s["examples"]),
            "mse": mse,
            "nmse": mse / variance,
            "psnr": psnr(mse),
            "ssim": s["ssim"] / s["examples"],
            "perplexity": float(usage.perplexity(_float32(self.counts))),
            "usage": float(usage.usage(_float32(self.counts))),
            "reconstruction_bits_per_dim": -s["log_px"] / bits,
            "bits_per_dim_uniform": float(
                bounds["bits_per_dim_uniform"].mean()
            ),
            # Of the last: with the prior, where there is one.
            "bits_per_dim_error": half_interval(list(bounds.values())[-1]),
        }
        if training_counts is not None:
            figures["unigram_bits_per_code"] = unigram_bits(
                training_counts, self.counts
            )
        if has_prior:
            figures["prior_bits_per_code"] = -s["log_pz"] / math.log(2) / codes
            figures["prior_bits_per_dim"] = -s["log_pz"] / bits
            figures["bits_per_dim"] = float(bounds["bits_per_dim"].mean())
        return figures


def _float32(counts):
    return tf.constant(counts, tf.float32)


def unigram_bits(training_counts, test_counts) -> float:
    """Returns the cross-entropy of test codes under training frequencies.

    Args:
        training_counts, test_counts: `[K]` or `[G, K]`.

    Returns:
        Bits per code; one is added to each training count.
    """
    test = np.atleast_2d(np.asarray(test_counts, np.float64))
    training = np.atleast_2d(np.asarray(training_counts, np.float64)) + 1
    log_p = np.log2(training / training.sum(axis=1, keepdims=True))
    return float(-(test * log_p).sum() / test.sum())


def count_codes(autoencoder, batches, progress=True) -> np.ndarray:
    """Counts the codes of (x, context, sample_weight) batches.

    Returns:
        float64 `[G, K]`.
    """
    quantizer = autoencoder.quantizer
    encode = tf.function(
        lambda x: quantizer.encode(autoencoder.latents(x)),
        reduce_retracing=True,
    )
    counts = np.zeros((quantizer.num_codebooks, quantizer.num_embeddings))
    for x, _, weight in bar(batches, progress):
        codes = encode(x).numpy()[weight.numpy() > 0]
        codes = codes.reshape(-1, quantizer.num_codebooks).T
        counts += lookup.code_counts(codes, quantizer.num_embeddings).numpy()
    return counts
