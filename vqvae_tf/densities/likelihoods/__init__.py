"""Factorized likelihoods of pixels, given a decoder's outputs.

Each is the distribution of one value given the outputs of a network. All are
probability *masses* of the values as stored, 0..255, so their bits per
dimension can be compared. Discrete distributions are from
tensorflow_probability, which is slow to import and therefore imported on first
use; masses of bins are computed here, and tests compare them with its.

In network units pixels x in 0..255 are `x / 127.5 - 1`: an output of -1 is
black.
"""

from vqvae_tf.densities.likelihoods.base import Likelihood
from vqvae_tf.densities.likelihoods.discrete import Bernoulli, Categorical
from vqvae_tf.densities.likelihoods.location_scale import (
    DiscretizedLogistic,
    Gaussian,
)
from vqvae_tf.densities.likelihoods.mixture import DiscretizedLogisticMixture

__all__ = [
    "Bernoulli",
    "Categorical",
    "DiscretizedLogistic",
    "DiscretizedLogisticMixture",
    "Gaussian",
    "Likelihood",
]
