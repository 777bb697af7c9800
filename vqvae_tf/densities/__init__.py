"""Densities: decoders p(x | z) and priors p(z) behind one interface."""

from vqvae_tf.densities.autoregressive.code_transformer import (
    CodeTransformer,
)
from vqvae_tf.densities.autoregressive.masked_code_transformer import (
    MaskedCodeTransformer,
)
from vqvae_tf.densities.autoregressive.pixel_cnn import PixelCNN
from vqvae_tf.densities.autoregressive.pixel_snail import PixelSNAIL
from vqvae_tf.densities.autoregressive.wavenet import WaveNet
from vqvae_tf.densities.base import DensityModel
from vqvae_tf.densities.code_chain import CodeChain
from vqvae_tf.densities.conditional import ConditionalDensity
from vqvae_tf.densities.factorized import FactorizedDensity
from vqvae_tf.densities.layered_gaussian import LayeredGaussian
from vqvae_tf.densities.likelihoods import (
    Bernoulli,
    Categorical,
    DiscretizedLogistic,
    DiscretizedLogisticMixture,
    Gaussian,
    Likelihood,
)
from vqvae_tf.densities.sampling import Sampling
from vqvae_tf.densities.waveform import WaveformDensity
from vqvae_tf.densities.windowed import WindowedDensity

__all__ = [
    "Bernoulli",
    "Categorical",
    "CodeChain",
    "CodeTransformer",
    "ConditionalDensity",
    "DensityModel",
    "DiscretizedLogistic",
    "DiscretizedLogisticMixture",
    "FactorizedDensity",
    "Gaussian",
    "LayeredGaussian",
    "Likelihood",
    "MaskedCodeTransformer",
    "PixelCNN",
    "PixelSNAIL",
    "Sampling",
    "WaveNet",
    "WaveformDensity",
    "WindowedDensity",
]
