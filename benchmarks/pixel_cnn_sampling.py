"""Cached PixelCNN sampling against a full forward pass for each position.

    python benchmarks/pixel_cnn_sampling.py [--batch 8] [--runs 5]

On a 32x32 grid, one sample with cached activations against what the naive
sampler needs: 1,024 times one forward pass, timed in turn, the same mode
(graph, XLA) on both sides. On an 8x8 grid the naive sampler really runs, and
its codes are compared with the cached ones.
"""

import math
import time

import command
import keras
import numpy as np
import tensorflow as tf
import timing
from naive_sampling import NaiveSampler

from vqvae_tf import PixelCNN


def compare(density, options, jit_compile):
    """Prints the cost of the density's grid, naive and cached."""
    codes = tf.zeros([options.batch, *density.event_shape], tf.int32)
    forward = tf.function(density.logits, jit_compile=jit_compile)
    sample = tf.function(
        lambda seed: density.sample(options.batch, seed=seed),
        jit_compile=jit_compile,
    )
    positions = math.prod(density.event_shape)
    times = timing.paired(
        {
            "cached": lambda: sample(tf.constant(1)).numpy(),
            "naive": lambda: forward(codes).numpy(),
        },
        options.runs,
    )
    times["naive"] = [positions * seconds for seconds in times["naive"]]
    grid = "x".join(map(str, density.event_shape))
    print(f"{grid}, {_mode(jit_compile)}: naive is {positions} forward passes")
    timing.report(times, "cached")


def real_run(density, batch, jit_compile):
    """Runs both samplers on 8x8 and compares their codes."""
    shape = (8, 8)
    start = time.perf_counter()
    naive = NaiveSampler(density, jit_compile=jit_compile)(batch, [1], shape)[0]
    seconds = time.perf_counter() - start
    sample = tf.function(
        lambda seed: density.sample(batch, event_shape=shape, seed=seed),
        jit_compile=jit_compile,
    )
    same = np.mean(naive == sample(tf.constant(1)).numpy())
    print(
        f"8x8, {_mode(jit_compile)}: naive, in fact run, {seconds:.3g} s with "
        f"compilation; {same:.2%} of the codes are the cached sampler's",
        flush=True,
    )


def _mode(jit_compile):
    return "XLA" if jit_compile else "graph"


def main():
    parser = command.parser(
        __doc__,
        batch=8,
        runs=5,
        hidden_channels=128,
        num_layers=10,
        num_embeddings=512,
    )
    parser.add_argument("--size", type=int, default=32, help="of the grid")
    options = parser.parse_args()
    keras.utils.set_random_seed(0)
    density = PixelCNN(
        options.num_embeddings,
        (options.size, options.size),
        hidden_channels=options.hidden_channels,
        num_layers=options.num_layers,
    )
    for jit_compile in (False, True):
        compare(density, options, jit_compile)
        real_run(density, options.batch, jit_compile)


if __name__ == "__main__":
    main()
