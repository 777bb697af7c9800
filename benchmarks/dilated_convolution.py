"""The dilated convolution of WaveNet: ours, and TensorFlow's of one call.

    python benchmarks/dilated_convolution.py [--batch 4] [--time 2048]
    TF_ENABLE_ONEDNN_OPTS=0 python benchmarks/dilated_convolution.py

Forward, and forward with the gradients to the input and the kernel, at some
dilations; then a train step of the decoder of `vqvae_speech8k`, a WaveNet of 16
layers. On CPUs with oneDNN off TensorFlow's `conv1d` has no gradient; its
`tf.nn.convolution` has, and copies input and output on the way forward. Times
are of the processor, of all threads together.
"""

import time

import command
import keras
import steps
import tensorflow as tf
import timing

from vqvae_tf import WaveNet
from vqvae_tf.layers import causal_conv

CHANNELS = 64
DILATIONS = (2, 16, 128)


def one_call(x, kernel, rate):
    """TensorFlow's convolution with a dilation."""
    return tf.nn.conv1d(x, kernel, 1, "VALID", dilations=rate)


def convolution(x, kernel, rate):
    """TensorFlow's composition of a convolution without one."""
    return tf.nn.convolution(x, kernel, 1, "VALID", dilations=rate)


FORMS = {
    "ours": causal_conv._convolve,
    "conv1d": one_call,
    "tf.nn.convolution": convolution,
}


def trainable_forms(x, kernel):
    """Returns the forms that have a gradient here."""
    forms = {}
    for name, form in FORMS.items():
        try:
            with_gradients(form, x, kernel, DILATIONS[0])()
        except tf.errors.InvalidArgumentError as error:
            print(f"{name} is left out: {str(error).splitlines()[-1]}")
        else:
            forms[name] = form
    return forms


def forward(form, x, kernel, rate):
    graph = tf.function(lambda: tf.reduce_sum(form(x, kernel, rate)))
    return lambda: float(graph())


def with_gradients(form, x, kernel, rate):
    @tf.function
    def graph():
        with tf.GradientTape() as tape:
            tape.watch([x, kernel])
            loss = tf.reduce_sum(form(x, kernel, rate) ** 2)
        return tape.gradient(loss, [x, kernel])

    return lambda: [g.numpy() for g in graph()]


def train_step(form, options):
    """Returns the train step of a WaveNet whose convolutions have a form."""
    keras.utils.set_random_seed(0)
    model = WaveNet(
        256,
        (options.time,),
        hidden_channels=CHANNELS,
        skip_channels=CHANNELS,
        head_channels=128,
        num_stacks=2,
        layers_per_stack=8,
    )
    model.build()
    codes = tf.random.uniform([options.batch, options.time], 0, 256, tf.int32)
    step = steps.train_step(model)
    causal_conv._convolve = form
    step.get_concrete_function((codes,))
    causal_conv._convolve = FORMS["ours"]
    return lambda: float(step((codes,))["loss"])


def report(name, functions, runs):
    print(name, flush=True)
    times = timing.paired(functions, runs, 2, time.process_time)
    timing.report(times, "ours")


def main():
    parser = command.parser(__doc__, batch=4, time=2048, runs=21)
    options = parser.parse_args()
    x = tf.random.normal([options.batch, options.time, CHANNELS])
    kernel = 0.1 * tf.random.normal([2, CHANNELS, 2 * CHANNELS])
    trainable = trainable_forms(x, kernel)
    for rate in DILATIONS:
        for what, make, forms in (
            ("forward", forward, FORMS),
            ("gradients", with_gradients, trainable),
        ):
            functions = {k: make(f, x, kernel, rate) for k, f in forms.items()}
            report(f"dilation {rate}, {what}", functions, options.runs)
    wavenets = {k: train_step(f, options) for k, f in trainable.items()}
    report("train step of a WaveNet", wavenets, options.runs // 2)


if __name__ == "__main__":
    main()
