"""Quantizers replace each latent vector by one of finitely many."""

from vqvae_tf.quantizers.base import Quantizer
from vqvae_tf.quantizers.usage import CodebookUsage
from vqvae_tf.quantizers.vector_quantizer import VectorQuantizer
from vqvae_tf.quantizers.vector_quantizer_ema import VectorQuantizerEMA

__all__ = [
    "CodebookUsage",
    "Quantizer",
    "VectorQuantizer",
    "VectorQuantizerEMA",
]
