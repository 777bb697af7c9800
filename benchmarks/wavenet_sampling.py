"""Cached WaveNet sampling, and what a sample costs by definition.

    python benchmarks/wavenet_sampling.py [--seconds 1] [--runs 5]
    python benchmarks/wavenet_sampling.py --preset vqvae_speech8k

A decoder of 8 kHz waveforms, new or a preset's, on one core: the real-time
factor (seconds of computation for a second of sound) of `sample`, with its
steps compiled by XLA and not, and what the first call costs more than the
others. The naive sampler needs a forward pass over the receptive field for
each sample; one is timed, in turn with the cached sampler, in graph and in XLA
mode. Of a preset with a fast decoder that one is timed, too.
"""

import time

import command
import keras
import tensorflow as tf
import timing

from vqvae_tf import WaveNet, presets


class Sampler:
    """Draws waveforms' levels by a density, compiled or not."""

    def __init__(self, density, context, compiled):
        self.density, self.context = density, context
        self.compiled = compiled

    def __call__(self):
        self.density.jit_sampling = self.compiled
        return self.density.sample(context=self.context, seed=1).numpy()


def first_calls(samplers):
    """Calls each for the first time; prints what that costs."""
    for name, sampler in samplers.items():
        start = time.perf_counter()
        sampler()
        first = time.perf_counter() - start
        start = time.perf_counter()
        sampler()
        again = time.perf_counter() - start
        print(
            f"{name}: the first call takes {first:.2f} s, the second "
            f"{again:.2f} s: {first - again:.2f} s of tracing and compiling",
            flush=True,
        )


def naive_passes(density, context, batch):
    """Returns forward passes over the receptive field, in both modes."""
    factor = density.local_upsampling
    length = -(-density.receptive_field // factor) * factor
    codes = tf.zeros([batch, length], tf.int32)
    local = tf.zeros([batch, length // factor, density.local_channels])
    context = {**context, "local": local}
    passes = {}
    for name, jit in (("naive, graph", False), ("naive, XLA", True)):
        forward = tf.function(density.logits, jit_compile=jit)
        passes[name] = lambda f=forward: f(codes, context).numpy()
    return passes


def fast_decoder(model, context):
    """Returns a call of the fast decoder, as a graph, by its name."""
    if not getattr(model, "has_fast_decoder", False):
        return {}
    graph = tf.function(model.fast_waveform)
    return {"fast decoder": lambda: graph(context).numpy()}


def compare(density, rate, options, model=None):
    """Prints the real-time factors and the ratios to the naive sampler.

    Args:
        density: a WaveNet.
        rate: samples a second.
        options: of the command line.
        model: the `SpeechVQVAE` whose decoder that is, or None.
    """
    batch, factor = options.batch, density.local_upsampling
    steps = round(options.seconds * rate / factor)
    context = {
        "global": tf.one_hot([0] * batch, density.global_channels),
        "local": tf.random.normal([batch, steps, density.local_channels]),
    }
    samplers = {
        "cached, XLA": Sampler(density, context, True),
        "cached, graph": Sampler(density, context, False),
    }
    samplers |= fast_decoder(model, context)
    first_calls(samplers)
    passes = naive_passes(density, context, batch)
    times = timing.paired({**samplers, **passes}, options.runs)
    samples = steps * factor
    for name in samplers:
        factors = [t * rate / samples / batch for t in times[name]]
        print(f"  {name:22} real-time factor {timing.summary(factors)}")
    for name in passes:
        times[name] = [samples * seconds for seconds in times[name]]
    print(f"  naive is {samples} passes over {density.receptive_field} samples")
    timing.report(times, "cached, XLA")
    ratios = timing.ratios(times, "cached, graph", "naive, graph")
    print(f"  naive, graph / cached, graph: {timing.summary(ratios)}")


def make_density(options):
    """Returns a preset's WaveNet, or a new one, the rate, and its model."""
    if options.preset is not None:
        model = presets.load(options.preset).autoencoder
        return model.decoder.density, model.sample_rate, model
    density = WaveNet(
        256,
        hidden_channels=options.hidden_channels,
        skip_channels=options.skip_channels,
        global_channels=5,
        local_channels=64,
        local_upsampling=64,
        output=options.output,
    )
    density.build()
    return density, 8000, None


def main():
    parser = command.parser(
        __doc__,
        seconds=1.0,
        runs=5,
        batch=1,
        hidden_channels=64,
        skip_channels=128,
        output="categorical",
    )
    parser.add_argument("--preset", help="its WaveNet; sizes are its own then")
    options = parser.parse_args()
    # One core: no other thread may help.
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    keras.utils.set_random_seed(0)
    density, rate, model = make_density(options)
    print(
        f"{len(density.blocks)} layers of {density.hidden_channels} channels, "
        f"{density.count_params():,} parameters, {density.output_kind}, "
        f"batch {batch_text(options.batch)}",
        flush=True,
    )
    compare(density, rate, options, model)


def batch_text(batch):
    return f"{batch} (factors are per waveform)" if batch > 1 else "1"


if __name__ == "__main__":
    main()
