"""Prints what two train steps of every model give, as JSON.

    python train_steps.py

A process of its own is needed to switch oneDNN off or on.
"""

import json

import keras
import tensorflow as tf

from support import every_model, small
from vqvae_tf.models import SpeechCoder, SpeechFastDecoder


def speech_coder():
    model = small.speech_vqvae(auxiliary=small.spectral_decoder())
    return SpeechCoder(model)


def fast_decoder():
    fast = small.spectral_decoder(dilation_rates=(1, 2))
    return SpeechFastDecoder(small.speech_vqvae().with_fast_decoder(fast))


# Those that are trained on the way to another.
MORE = {
    "coder of speech": (speech_coder, every_model.voices),
    "fast decoder of speech": (fast_decoder, every_model.voices),
}


def losses(name):
    """Returns the losses of two steps on one batch."""
    keras.utils.set_random_seed(0)
    model, x, context = every_model.make(name, 4)
    optimizer = keras.optimizers.SGD(1e-2)
    optimizer.build(model.trainable_variables)
    model.compile(optimizer)
    step = tf.function(model.train_step)
    return [float(step((x, context))["loss"]) for _ in range(2)]


def main():
    every_model.EVERY |= MORE
    print(json.dumps({name: losses(name) for name in every_model.EVERY}))


if __name__ == "__main__":
    main()
