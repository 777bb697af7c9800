"""Small hierarchical models and their codes."""

import keras
import numpy as np

import vqvae_tf as vq
from vqvae_tf.models.level_priors import context_options
from vqvae_tf.utils.code_sizes import as_argument

K, D, HIDDEN, SIZE = 8, 4, 8, 16
# The zoo's recipes that are too large for two cores; those of the paper.
LARGE = ("vqgan_imagenet_f16", "vqvae2_imagenet256", "vqvae2_ffhq1024")


def encoder(factor):
    return vq.Encoder(
        None, HIDDEN, num_downsamples=factor, num_residual_layers=0
    )


def decoder(channels, factor):
    return vq.Decoder(
        channels, HIDDEN, num_upsamples=factor, num_residual_layers=0
    )


def levels(count=2, quantizers=None):
    """Levels whose grids are 4, 8, 16 ... times smaller than pictures."""
    if quantizers is None:
        quantizers = [
            vq.VectorQuantizerEMA(K, D, initialize_from_data=True, seed=i)
            for i in range(count)
        ]
    upper = [
        vq.CodeLevel(encoder(1), quantizer, decoder(HIDDEN, 1))
        for quantizer in quantizers[:-1]
    ]
    return [*upper, vq.CodeLevel(encoder(2), quantizers[-1])]


def model(count=2, quantizers=None, event_shape=(SIZE, SIZE, 3), **options):
    """A hierarchical VQ-VAE, the same at each call."""
    keras.utils.set_random_seed(0)
    likelihood = vq.Gaussian()
    network = decoder(likelihood.num_parameters(event_shape[-1]), 2)
    made = vq.HierarchicalVQVAE(
        levels(count, quantizers),
        vq.FactorizedDensity(network, likelihood),
        event_shape=event_shape,
        **options,
    )
    made.build()
    return made


def pixel_cnn(quantizer, grid, **options):
    sizes = dict(hidden_channels=8, num_layers=2, head_channels=8)
    return vq.PixelCNN(
        as_argument(quantizer.num_codes),
        grid,
        num_codebooks=quantizer.num_codebooks,
        **{**sizes, **options},
    )


def chain(autoencoder, num_classes=None):
    """The prior of a model's codes, each level a PixelCNN."""
    keras.utils.set_random_seed(1)
    quantizers = autoencoder.quantizers()
    factors = autoencoder.downsamplings()
    densities = []
    for name, quantizer in quantizers.items():
        grid = tuple(n // factors[name] for n in autoencoder.event_shape[:-1])
        options = dict(global_channels=num_classes)
        if densities:
            options["local_channels"] = HIDDEN
        density = pixel_cnn(quantizer, grid, **options)
        if densities:
            network = vq.UpperCodes(
                **context_options(name, quantizers, factors),
                embedding_dim=4,
                hidden_channels=HIDDEN,
                num_residual_layers=1,
            )
            density = vq.ConditionalDensity(network, density)
        densities.append(density)
    made = vq.CodeChain(densities)
    made.build()
    return made


def pictures(count=4, size=SIZE, channels=3):
    """A coarse pattern of 2x2 colours, and a fine one."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 200, [count, 2, 2, channels])
    fine = 40 * rng.integers(0, 2, [count, size // 4, size // 4, channels])
    x = coarse.repeat(size // 2, 1).repeat(size // 2, 2)
    return (x + fine.repeat(4, 1).repeat(4, 2)).astype(np.uint8)


def codes(made, count=3, seed=0):
    """Random codes by level."""
    rng = np.random.default_rng(seed)
    factors, found = made.downsamplings(), {}
    for name, quantizer in made.quantizers().items():
        grid = [n // factors[name] for n in made.event_shape[:-1]]
        shape = quantizer.codes_shape((count, *grid, quantizer.channels))
        found[name] = rng.integers(0, quantizer.num_codes, shape)
    return {name: value.astype(np.int32) for name, value in found.items()}
