"""Layers for use in any Keras model."""

from vqvae_tf.layers.adversary import LabelAdversary
from vqvae_tf.layers.attention_block import AttentionBlock
from vqvae_tf.layers.binarization import Binarization
from vqvae_tf.layers.contractive import Contractive
from vqvae_tf.layers.corruption import (
    GaussianCorruption,
    MaskingNoise,
    SaltAndPepperNoise,
)
from vqvae_tf.layers.dropout import Dropout
from vqvae_tf.layers.griffin_lim import GriffinLim
from vqvae_tf.layers.group_norm import GroupNorm
from vqvae_tf.layers.group_norm_block import GroupNormBlock
from vqvae_tf.layers.mel import LogMel
from vqvae_tf.layers.mu_law import MuLaw
from vqvae_tf.layers.preprocessing import CodeEmbedding, PixelScaling
from vqvae_tf.layers.residual import ResidualBlock, ResidualStack
from vqvae_tf.layers.spectral_conv import SpectralConv2D
from vqvae_tf.layers.spectral_decoder import SpectralDecoder
from vqvae_tf.quantizers import (
    CodebookUsage,
    VectorQuantizer,
    VectorQuantizerEMA,
)

__all__ = [
    "AttentionBlock",
    "Binarization",
    "CodeEmbedding",
    "CodebookUsage",
    "Contractive",
    "Dropout",
    "GaussianCorruption",
    "GriffinLim",
    "GroupNorm",
    "GroupNormBlock",
    "LabelAdversary",
    "LogMel",
    "MaskingNoise",
    "MuLaw",
    "PixelScaling",
    "ResidualBlock",
    "ResidualStack",
    "SaltAndPepperNoise",
    "SpectralConv2D",
    "SpectralDecoder",
    "VectorQuantizer",
    "VectorQuantizerEMA",
]
