"""Models and train steps that several benchmarks time."""

import keras
import tensorflow as tf

import vqvae_tf as vq


def vqvae(channels=3, event_shape=None, **sizes):
    """Returns a VQ-VAE of pictures, K=512 embeddings of 64 channels.

    Args:
        channels: of the pictures.
        event_shape: of the model; by default 32x32 pictures in colour.
        sizes: of encoder and decoder, such as `hidden_channels`.
    """
    likelihood = vq.Gaussian()
    decoder = vq.Decoder(likelihood.num_parameters(channels), **sizes)
    options = {} if event_shape is None else {"event_shape": event_shape}
    model = vq.VQVAE(
        vq.Encoder(output_channels=64, **sizes),
        vq.VectorQuantizerEMA(512, 64),
        vq.FactorizedDensity(decoder, likelihood),
        **options,
    )
    model.build()
    return model


def train_step(model, loss=None, jit_compile=False):
    """Returns a graph of `model.train_step` with Adam, its variables made."""
    optimizer = keras.optimizers.Adam()
    optimizer.build(model.trainable_variables)
    model.compile(optimizer, loss)
    return tf.function(model.train_step, jit_compile=jit_compile)
