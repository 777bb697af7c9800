"""What each member of the autoencoder family is meant for, measured."""

from collections.abc import Iterable

import numpy as np
import tensorflow as tf

from vqvae_tf.bottlenecks import KSparse, Sparse
from vqvae_tf.evaluation.figure import Figure
from vqvae_tf.evaluation.statistics import Distortion, examples
from vqvae_tf.layers import Contractive
from vqvae_tf.models import Autoencoder
from vqvae_tf.runtime import random

_PROBES = 16
_JACOBIANS = 3000  # examples; more take minutes with thousands of units


FIGURES = (
    Figure("corrupted_psnr", "PSNR of the corrupted input", "dB", 2, 0.02),
    Figure("denoised_psnr", "PSNR of what is made of it", "dB", 2, 0.02),
    Figure("mean_activation", "mean activation of a unit", "", 4, 5e-4),
    Figure(
        "near_rho", "units whose mean is within 20 % of rho", "share", 3, 5e-3
    ),
    Figure("active_in_training", "units kept in training", "", 0, 0.5),
    Figure("active", "units kept", "", 0, 0.5),
    Figure(
        "contraction",
        "norm of dz/dx over sqrt(tr Cov z), root of mean square",
        tolerance=1e-3,
    ),
)


def evaluate(
    model: Autoencoder, batches: Iterable, seed: int = 0, progress: bool = True
) -> dict[str, float]:
    """Measures what a model's parts are meant to achieve.

    Args:
        model: an `Autoencoder`.
        batches: as for `statistics.examples`.
        seed: of the corruption. The probes of the Jacobian are the same for
            each batch.
        progress: show a progress bar, where stderr is a terminal.

    Returns:
        A dict of floats. With a corruption: `corrupted_psnr` and
        `denoised_psnr`, the PSNR in dB of corrupted pictures and of their
        reconstructions. With `Sparse`: `mean_activation`, and `near_rho`, the
        share of units whose mean over all examples is within 20 % of rho. With
        `KSparse`: `active_in_training` and `active`, the non-zero units of an
        example in training and in inference (-1 if examples differ). Without a
        prior: `contraction`, the Frobenius norm of the encoder's Jacobian (root
        mean square over the first 3,000 examples, estimated with 16 probes
        each) over sqrt(tr Cov z), so that the scale of z does not matter;
        missing if all examples have the same z.

    References:
        Rifai et al. 2011, "Contractive auto-encoders", section 5.2.
    """
    measures = _measures(model)
    if not measures:
        return {}
    done = 0
    for x, _, count in examples(batches, progress):
        x = x[:count]
        inputs = model.preprocess(x)
        for measure in measures:
            measure.add(x, inputs, random.make_seed(seed), done)
        done += len(x)
    figures = {}
    for measure in measures:
        figures |= measure.figures()
    return {name: float(value) for name, value in figures.items()}


class _Measure:
    """Something to measure, batch by batch."""

    def __init__(self, model):
        self.model = model

    def encode(self, inputs):
        return self.model.bottleneck.encode(self.model.encoder(inputs))


class _Denoising(_Measure):
    """The PSNR of corrupted inputs and of their reconstructions."""

    def __init__(self, model):
        super().__init__(model)
        self.corrupted, self.denoised = Distortion(), Distortion()

    def add(self, x, inputs, seed, first_row):
        corrupted = self.model.corruption.corrupt(inputs, seed, first_row)
        pixels = tf.clip_by_value((corrupted + 1.0) * 127.5, 0.0, 255.0)
        self.corrupted.add(x, pixels)
        self.denoised.add(x, self.model.decode(self.encode(corrupted)))

    def figures(self):
        return {
            "corrupted_psnr": self.corrupted.psnr,
            "denoised_psnr": self.denoised.psnr,
        }


class _Sparsity(_Measure):
    """The mean activation of each unit."""

    def __init__(self, model):
        super().__init__(model)
        self.sums, self.rows = 0.0, 0

    def add(self, x, inputs, seed, first_row):
        active = self.encode(inputs).numpy().astype(np.float64)
        self.sums = self.sums + active.sum(axis=0)
        self.rows += len(x)

    def figures(self):
        mean, rho = self.sums / self.rows, self.model.bottleneck.rho
        near = np.abs(mean - rho) <= 0.2 * rho
        return {"mean_activation": mean.mean(), "near_rho": near.mean()}


class _Active(_Measure):
    """The number of non-zero units of an example."""

    def __init__(self, model):
        super().__init__(model)
        self.counts = {"active_in_training": set(), "active": set()}

    def add(self, x, inputs, seed, first_row):
        latents = self.model.encoder(inputs)
        for name, training in (("active_in_training", True), ("active", False)):
            z = self.model.bottleneck.sample(latents, training=training)[0]
            active = tf.math.count_nonzero(z[0], [1, 2, 3])
            self.counts[name].update(active.numpy().tolist())

    def figures(self):
        return {
            name: found.pop() if len(found) == 1 else -1
            for name, found in self.counts.items()
        }


class _Contraction(_Measure):
    """The encoder's Jacobian relative to the spread of the latents."""

    def __init__(self, model):
        super().__init__(model)
        norm = Contractive(1.0, "hutchinson", _PROBES)
        # A graph prunes the weights' gradients, half of the work.
        self.norm = tf.function(
            lambda inputs: norm(self.encode, inputs),
            reduce_retracing=True,
            autograph=False,
        )
        self.squares, self.squared = 0.0, 0
        self.rows, self.z, self.z2 = 0, 0.0, 0.0

    def add(self, x, inputs, seed, first_row):
        z = np.asarray(self.encode(inputs), np.float64).reshape([len(x), -1])
        self.z, self.z2 = self.z + z.sum(axis=0), self.z2 + (z**2).sum(axis=0)
        self.rows += len(x)
        inputs = inputs[: _JACOBIANS - self.squared]
        if len(inputs):
            self.squares += float(tf.reduce_sum(self.norm(inputs)))
            self.squared += len(inputs)

    def figures(self):
        variance = (self.z2 / self.rows - (self.z / self.rows) ** 2).sum()
        jacobian = self.squares / self.squared
        if not jacobian:  # all pictures have the same z
            return {}
        return {"contraction": np.sqrt(jacobian / variance)}


def _measures(model):
    bottleneck = model.bottleneck
    wanted = {
        _Denoising: model.corruption is not None,
        _Sparsity: isinstance(bottleneck, Sparse),
        _Active: isinstance(bottleneck, KSparse),
        _Contraction: not bottleneck.has_prior,
    }
    return [measure(model) for measure, fits in wanted.items() if fits]
