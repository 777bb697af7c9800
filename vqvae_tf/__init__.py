"""vqvae_tf: discrete representations for TensorFlow 2 and Keras 3.

VQ-VAE (van den Oord et al. 2017, arXiv:1711.00937) and related models, with
their quantizers, encoders, decoders, densities, priors and pretrained weights.
"""

from vqvae_tf import _moved, _versions

_versions.check()

# `tasks` is imported because it registers the kinds of recipes.
from vqvae_tf import (  # noqa: E402
    bottlenecks,
    data,
    densities,
    layers,
    models,
    networks,
    quantizers,
    tasks as _tasks,  # noqa: E402, F401
)
from vqvae_tf.densities import (  # noqa: E402
    Bernoulli,
    Categorical,
    CodeChain,
    CodeTransformer,
    ConditionalDensity,
    DensityModel,
    DiscretizedLogistic,
    DiscretizedLogisticMixture,
    FactorizedDensity,
    Gaussian,
    MaskedCodeTransformer,
    PixelCNN,
    PixelSNAIL,
    WaveformDensity,
    WaveNet,
    WindowedDensity,
)
from vqvae_tf.layers import (  # noqa: E402
    CodeEmbedding,
    Dropout,
    MuLaw,
    PixelScaling,
    ResidualBlock,
    ResidualStack,
)
from vqvae_tf.models import (  # noqa: E402
    TDVAE,
    VQGAN,
    VQVAE,
    Autoencoder,
    CodeLevel,
    HierarchicalVQVAE,
    LatentGenerator,
    PerceptualDistance,
    PictureClassifier,
    SpeechVQVAE,
    VideoGenerator,
)
from vqvae_tf.networks import (  # noqa: E402
    Decoder,
    DenseDecoder,
    DenseEncoder,
    Encoder,
    GlobalEncoder,
    GroupNormDecoder,
    GroupNormEncoder,
    PastFrames,
    PatchDiscriminator,
    ResidualFeatures,
    UpperCodes,
)
from vqvae_tf.quantizers import (  # noqa: E402
    VectorQuantizer,
    VectorQuantizerEMA,
)

__version__ = _versions.__version__
_moved.install()

__all__ = [
    "Autoencoder",
    "Bernoulli",
    "Categorical",
    "CodeChain",
    "CodeEmbedding",
    "CodeLevel",
    "CodeTransformer",
    "ConditionalDensity",
    "Decoder",
    "DenseDecoder",
    "DenseEncoder",
    "DensityModel",
    "DiscretizedLogistic",
    "DiscretizedLogisticMixture",
    "Dropout",
    "Encoder",
    "FactorizedDensity",
    "Gaussian",
    "GlobalEncoder",
    "GroupNormDecoder",
    "GroupNormEncoder",
    "HierarchicalVQVAE",
    "LatentGenerator",
    "MaskedCodeTransformer",
    "MuLaw",
    "PastFrames",
    "PatchDiscriminator",
    "PerceptualDistance",
    "PictureClassifier",
    "PixelCNN",
    "PixelSNAIL",
    "PixelScaling",
    "ResidualBlock",
    "ResidualFeatures",
    "ResidualStack",
    "SpeechVQVAE",
    "TDVAE",
    "UpperCodes",
    "VQGAN",
    "VQVAE",
    "VectorQuantizer",
    "VectorQuantizerEMA",
    "VideoGenerator",
    "WaveNet",
    "WaveformDensity",
    "WindowedDensity",
    "bottlenecks",
    "data",
    "densities",
    "layers",
    "models",
    "networks",
    "quantizers",
]
