"""A small model of waveforms with an adversary and an auxiliary decoder."""

import keras
import numpy as np
import tensorflow as tf

import vqvae_tf as vq
from support import small


def one_hot(*numbers):
    return {"global": np.eye(3, dtype=np.float32)[list(numbers)]}


def with_helpers(weight=0.5, batch_norm=False):
    """A model with an adversary of this weight and an auxiliary decoder."""
    keras.utils.set_random_seed(0)
    model = small.speech_vqvae(
        adversary=vq.layers.LabelAdversary(3, channels=4, weight=weight),
        auxiliary=small.spectral_decoder(),
    )
    config = model.get_config()
    config["encoder"]["config"]["batch_norm"] = batch_norm
    keras.utils.set_random_seed(0)
    model = vq.SpeechVQVAE.from_config(config)
    model.build()
    return model


def recordings():
    """Six recordings by three speakers, of which two end early."""
    x = small.waveforms(6, 64)
    mask = np.ones_like(x)
    mask[::3, 33:] = 0
    context = one_hot(*[i % 3 for i in range(6)])
    return tf.data.Dataset.from_tensors((x, context, mask))
