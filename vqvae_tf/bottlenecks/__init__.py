"""Bottlenecks between encoder and decoder, one for each family of models."""

from vqvae_tf.bottlenecks.base import Bottleneck
from vqvae_tf.bottlenecks.categorical import IndependentCategorical
from vqvae_tf.bottlenecks.estimators import log_mean_exp
from vqvae_tf.bottlenecks.gaussian import DiagonalGaussian
from vqvae_tf.bottlenecks.identity import Identity
from vqvae_tf.bottlenecks.ksparse import KSparse
from vqvae_tf.bottlenecks.sparse import Sparse

__all__ = [
    "Bottleneck",
    "DiagonalGaussian",
    "Identity",
    "IndependentCategorical",
    "KSparse",
    "Sparse",
    "log_mean_exp",
]
