"""A small VQ-VAE, the same at each call, and pictures that it learns soon."""

import keras
import numpy as np

from vqvae_tf import (
    VQVAE,
    Decoder,
    Encoder,
    FactorizedDensity,
    Gaussian,
    VectorQuantizerEMA,
)

K, D, SIZE = 8, 4, 8


def make(
    quantizer=VectorQuantizerEMA,
    num_codebooks=1,
    likelihood=None,
    event_shape=(SIZE, SIZE, 3),
    **options,
):
    """A model of two strides of 2, the same at each call."""
    keras.utils.set_random_seed(0)
    likelihood = likelihood or Gaussian()
    channels = event_shape[-1]
    sizes = dict(hidden_channels=8, num_residual_layers=0)
    options = {"initialize_from_data": True, **options}
    model = VQVAE(
        Encoder(num_codebooks * D, **sizes),
        quantizer(K, D, num_codebooks=num_codebooks, **options),
        FactorizedDensity(
            Decoder(likelihood.num_parameters(channels), **sizes), likelihood
        ),
        event_shape=event_shape,
    )
    model.build()
    return model


def pictures(count=4, size=SIZE, channels=3):
    """Pictures of one colour each, and some noise."""
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, [count, 1, 1, channels])
    x = x + rng.normal(size=[count, size, size, channels]) * 8
    return x.round().clip(0, 255).astype(np.uint8)
