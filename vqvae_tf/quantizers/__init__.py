"""Quantizers: each latent vector becomes one of finitely many."""

from vqvae_tf.quantizers.base import Quantizer
from vqvae_tf.quantizers.fsq import FSQ
from vqvae_tf.quantizers.grouped import GroupedQuantizer
from vqvae_tf.quantizers.kmeans import KMeans
from vqvae_tf.quantizers.lfq import BSQ, LFQ
from vqvae_tf.quantizers.random_projection import RandomProjectionQuantizer
from vqvae_tf.quantizers.regularization import (
    CodebookRegularizer,
    Diversity,
    Orthogonality,
)
from vqvae_tf.quantizers.residual import ResidualQuantizer
from vqvae_tf.quantizers.sampling import GumbelSoftmax, SoftmaxSampling
from vqvae_tf.quantizers.simvq import SimVQ
from vqvae_tf.quantizers.usage import CodebookUsage
from vqvae_tf.quantizers.vector_quantizer import VectorQuantizer
from vqvae_tf.quantizers.vector_quantizer_ema import VectorQuantizerEMA

__all__ = [
    "BSQ",
    "CodebookRegularizer",
    "CodebookUsage",
    "Diversity",
    "FSQ",
    "GroupedQuantizer",
    "GumbelSoftmax",
    "KMeans",
    "LFQ",
    "Orthogonality",
    "Quantizer",
    "RandomProjectionQuantizer",
    "ResidualQuantizer",
    "SimVQ",
    "SoftmaxSampling",
    "VectorQuantizer",
    "VectorQuantizerEMA",
]
