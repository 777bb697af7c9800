"""What each member of the autoencoder family has of its own, as numbers."""

import math
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from vqvae_tf import data, systems
from vqvae_tf.disentanglement import mutual_information_gap
from vqvae_tf.evaluation import psnr
from vqvae_tf.layers import Contractive

# Two-sided 95 % quantiles of Student's t, by the degrees of freedom.
STUDENT = (math.nan, 12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306)


class Interval(NamedTuple):
    """A mean of n numbers and half of its 95 % interval, by Student's t."""

    mean: float
    half: float


def interval(values) -> Interval:
    """Returns the mean of 2 to 9 numbers and half of its 95 % interval."""
    values = np.asarray(values, np.float64)
    freedom = len(values) - 1
    if not 1 <= freedom < len(STUDENT):
        raise ValueError(f"Expected 2 to 9 numbers. Received: {len(values)}.")
    spread = values.std(ddof=1) / math.sqrt(len(values))
    return Interval(float(values.mean()), float(STUDENT[freedom] * spread))


def held_out(description, data_dir=None) -> np.ndarray:
    """Returns the pictures of the held-out split, uint8 [n, S, S, C]."""
    batches = systems.pictures.eval_batches(
        description, description["eval_split"], data_dir, batch_size=250
    )
    parts = [x.numpy()[w.numpy() > 0] for x, _, w in batches]
    return np.concatenate(parts)


def in_batches(function, images, size=250) -> np.ndarray:
    """Joins `function(rows, first_row)` of batches of rows."""
    parts = [
        np.asarray(function(images[i : i + size], i))
        for i in range(0, len(images), size)
    ]
    return np.concatenate(parts)


# Of each member -------------------------------------------------------------


def denoised(model, images, seed=0):
    """Returns corrupted pictures and what the model makes of them.

    Args:
        model: an `Autoencoder` with a corruption.
        images: uint8 `[n, S, S, C]`.
        seed: of the noise; a picture's is the same in batches of any size.

    Returns:
        Two uint8 arrays shaped as images. The first is the noisy input in
        grey levels, cut to 0..255; the model gets it uncut, as in training.
    """

    def corrupt(rows, first):
        return model.corruption.corrupt(model.preprocess(rows), seed, first)

    def restore(rows, _):
        latents = tf.cast(model.encoder(rows), tf.float32)
        return model.decode(model.bottleneck.encode(latents))

    noisy = in_batches(corrupt, images)
    levels = np.clip(np.round((noisy + 1) * 127.5), 0, 255).astype(np.uint8)
    return levels, in_batches(restore, noisy)


def mean_squared_error(images, others) -> float:
    """Returns the mean squared error of uint8 arrays, in squared levels."""
    return float(np.mean((images.astype(np.float64) - others) ** 2))


def denoising(model, images) -> dict:
    """Returns the PSNR of noisy and of denoised pictures, dB, and the gain."""
    noisy, clean = denoised(model, images)
    before = psnr(mean_squared_error(images, noisy))
    after = psnr(mean_squared_error(images, clean))
    return {
        "psnr_noisy": before,
        "psnr_denoised": after,
        "gain": after - before,
    }


def sparsity(model, images) -> dict:
    """Returns how many units average near rho, over all the pictures."""
    z = in_batches(lambda x, _: model.encode(x), images)
    return sparsity_of(z.reshape(len(z), -1), model.bottleneck.rho)


def sparsity_of(activations, rho) -> dict:
    """Returns the share of units whose mean is within 20 % of rho.

    Args:
        activations: float `[n, units]`.
        rho: the mean aimed at.
    """
    means = np.asarray(activations, np.float64).mean(axis=0)
    return {
        "share_within_20_percent": float(
            np.mean(np.abs(means - rho) <= 0.2 * rho)
        ),
        "least_mean": float(means.min()),
        "greatest_mean": float(means.max()),
    }


def kept_units(model, images) -> dict:
    """Returns how many units are not zero, in training and at test."""
    bottleneck = model.bottleneck

    def in_training(x, _):
        return bottleneck.sample(model.latents(x), training=True)[0][0]

    def counts(z):
        return np.count_nonzero(z.reshape(len(z), -1), axis=1)

    training = counts(in_batches(in_training, images))
    test = counts(in_batches(lambda x, _: model.encode(x), images))
    return {
        "k": bottleneck.k,
        "test_factor": bottleneck.test_factor,
        "training": [int(training.min()), int(training.max())],
        "test": [int(test.min()), int(test.max())],
    }


def sensitivity(model, images, size=50) -> dict:
    """Returns how much the representation follows the input.

    `jacobian` is the mean over pictures of the Frobenius norm of dz/dx (x in
    -1..1), `spread` is sqrt(tr Cov z) over the pictures, and `relative` the
    first over the second, which does not change where z is scaled.
    """
    penalty = Contractive(1.0)

    @tf.function
    def norms(x):
        return penalty(
            lambda y: model.bottleneck.encode(model.encoder(y)),
            model.preprocess(x),
        )

    squares = in_batches(lambda x, _: norms(x), images, size)
    z = in_batches(lambda x, _: model.encode(x), images)
    jacobian = float(np.sqrt(squares.astype(np.float64)).mean())
    spread = float(np.sqrt(z.reshape(len(z), -1).var(axis=0).sum()))
    return {
        "jacobian": jacobian,
        "spread": spread,
        "relative": jacobian / spread,
    }


def information_gap(model) -> dict:
    """Returns the mutual information gap on the test shapes.

    Of the posterior's means, `[n, d]`, and the five factors.
    """
    shapes = data.load_shapes("test")
    z = in_batches(lambda x, _: model.encode(x), shapes.images)
    gap = mutual_information_gap(z.reshape(len(z), -1), shapes.factors)
    return {"mig": gap.score, "gaps": dict(zip(shapes.names, gap.gaps))}


# Together -------------------------------------------------------------------


def verdicts(figures) -> dict:
    """Returns what is promised of the family: (figure, bound, whether).

    Args:
        figures: of `family.py`, a dict of dicts by member.
    """
    found = {}
    if "dae" in figures:
        gain = figures["dae"]["gain"]
        found["denoising gains 5 dB"] = (gain, 5.0, gain >= 5)
    if "sae" in figures:
        share = figures["sae"]["share_within_20_percent"]
        found["90 % of sparse units are near rho"] = (share, 0.9, share >= 0.9)
    if "ksparse" in figures:
        f = figures["ksparse"]
        wanted = [[f["k"]] * 2, [round(f["k"] * f["test_factor"])] * 2]
        counts = [f["training"], f["test"]]
        found["k-sparse keeps k"] = (counts, wanted, counts == wanted)
    if {"ae", "cae"} <= figures.keys():
        ae, cae = figures["ae"], figures["cae"]
        ratio = cae["relative"] / ae["relative"]
        found["contraction halves dz/dx"] = (ratio, 0.5, ratio <= 0.5)
        ratio = cae["mse"] / ae["mse"]
        found["at an error within 5 %"] = (ratio, 1.05, ratio <= 1.05)
    if "vae" in figures:
        nats = figures["vae"]["nats"]
        found["VAE within 3 nats of 87 to 90"] = (nats, 93.0, nats <= 93)
    difference = beta_difference(figures)
    if difference:
        low = difference.mean - difference.half
        found["beta raises the gap"] = (low, 0.0, low > 0)
    return found


def beta_difference(figures) -> Interval | None:
    """Returns MIG(beta) - MIG(1), paired by seed; None without two pairs."""
    scores = {
        tuple(name.split("_")[1:]): f["mig"]
        for name, f in figures.items()
        if name.startswith("beta_")
    }
    pairs = [
        score - scores["1", seed]
        for (beta, seed), score in scores.items()
        if beta != "1" and ("1", seed) in scores
    ]
    return interval(pairs) if len(pairs) > 1 else None
