"""Quantizers: each latent is replaced by an embedding of a codebook."""

from vqvae_tf.quantizers.usage import CodebookUsage
from vqvae_tf.quantizers.vector_quantizer import VectorQuantizer
from vqvae_tf.quantizers.vector_quantizer_ema import VectorQuantizerEMA

__all__ = ["CodebookUsage", "VectorQuantizer", "VectorQuantizerEMA"]
