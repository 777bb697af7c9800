"""Cached sampling of codes against a full forward pass for each position.

    python benchmarks/code_sampling.py [--batch 8] [--runs 5]
    python benchmarks/code_sampling.py --densities="PixelSNAIL;CodeTransformer"

On a 32x32 grid, one sample with cached activations, by a graph in Python and
by an exported SavedModel, against what the naive sampler needs: 1,024 times one
forward pass of the same mode (graph, XLA), timed in turn. On an 8x8 grid the
naive sampler really runs, and its codes are compared with the cached ones.
"""

import math
import pathlib
import tempfile
import time

import command
import keras
import numpy as np
import tensorflow as tf
import timing
from naive_sampling import NaiveSampler

import vqvae_tf as vq

VALUES = 512
# What makes a density from the sizes of its codes.
DENSITIES = {
    "PixelCNN": lambda grid: vq.PixelCNN(
        VALUES, grid, hidden_channels=128, num_layers=10
    ),
    "PixelSNAIL": lambda grid: vq.PixelSNAIL(
        VALUES, grid, hidden_channels=64, num_blocks=3, num_layers=2
    ),
    "CodeTransformer": lambda grid: vq.CodeTransformer(
        VALUES, grid, hidden_channels=128, num_layers=6, num_heads=4
    ),
}


def sampler(density, batch, jit_compile):
    """Returns a function of a seed that draws codes."""

    @tf.function(
        input_signature=[tf.TensorSpec([], tf.int32)],
        jit_compile=jit_compile,
        autograph=False,
    )
    def draw(seed):
        return {"codes": density.sample(batch, seed=seed)}

    return lambda seed: draw(tf.constant(seed))["codes"].numpy()


def exported_sampler(density, folder, jit_compile):
    """Returns a function of batch and seed: `sample` of a SavedModel."""
    sample = density.sample
    if jit_compile:
        sample = tf.function(sample, jit_compile=True, autograph=False)

    @tf.function(
        input_signature=[tf.TensorSpec([], tf.int32)] * 2, autograph=False
    )
    def draw(num_samples, seed):
        return {"codes": sample(num_samples, seed=seed)}

    archive = keras.export.ExportArchive()
    archive.track(density)
    archive.add_endpoint("sample", draw)
    archive.write_out(str(folder), verbose=False)
    loaded = tf.saved_model.load(str(folder))

    def drawn(batch, seed):
        codes = loaded.signatures["sample"](
            num_samples=tf.constant(batch), seed=tf.constant(seed)
        )["codes"]
        return codes.numpy()

    drawn.model = loaded  # its variables live as long as it does
    return drawn


def compare(density, samplers, options, jit_compile):
    """Prints the cost of the density's grid, cached and naive."""
    codes = tf.zeros([options.batch, *density.event_shape], tf.int32)
    forward = tf.function(
        density.logits, jit_compile=jit_compile, autograph=False
    )
    positions = math.prod(density.event_shape)
    times = timing.paired(
        {**samplers, "naive": lambda: forward(codes).numpy()}, options.runs
    )
    times["naive"] = [positions * seconds for seconds in times["naive"]]
    grid = "x".join(map(str, density.event_shape))
    print(f"{grid}, {_mode(jit_compile)}: naive is {positions} forward passes")
    for name in samplers:
        pair = {each: times[each] for each in (name, "naive")}
        timing.report(pair, name)


def real_run(density, batch, jit_compile):
    """Runs both samplers on 8x8 and compares their codes."""
    shape = (8, 8)
    start = time.perf_counter()
    naive = NaiveSampler(density, jit_compile=jit_compile)(batch, [1], shape)[0]
    seconds = time.perf_counter() - start
    same = np.mean(naive == density.sample(batch, event_shape=shape, seed=1))
    print(
        f"8x8, {_mode(jit_compile)}: naive, in fact run, {seconds:.3g} s with "
        f"compilation; {same:.2%} of the codes are the cached sampler's",
        flush=True,
    )


def _mode(jit_compile):
    return "XLA" if jit_compile else "graph"


def measure(density, options, folder):
    """Prints all that is compared of one density."""
    exported = {
        f"SavedModel{', XLA' if jit_compile else ''}": exported_sampler(
            density, folder / str(jit_compile), jit_compile
        )
        for jit_compile in (False, True)
    }
    for jit_compile in (False, True):
        cached = sampler(density, options.batch, jit_compile)
        samplers = {"cached": lambda cached=cached: cached(1)}
        if not jit_compile:
            # The exported ones are compared with the naive graph.
            samplers.update(
                {
                    name: lambda drawn=drawn: drawn(options.batch, 1)
                    for name, drawn in exported.items()
                }
            )
        compare(density, samplers, options, jit_compile)
        real_run(density, options.batch, jit_compile)


def main():
    parser = command.parser(
        __doc__, batch=8, runs=5, densities=";".join(DENSITIES)
    )
    parser.add_argument("--size", type=int, default=32, help="of the grid")
    options = parser.parse_args()
    for name in options.densities.split(";"):
        keras.utils.set_random_seed(0)
        density = DENSITIES[name]((options.size, options.size))
        density.build()
        print(f"{name}, {density.count_params():,} parameters", flush=True)
        with tempfile.TemporaryDirectory() as folder:
            measure(density, options, pathlib.Path(folder) / name)


if __name__ == "__main__":
    main()
