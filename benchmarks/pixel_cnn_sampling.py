"""Measures cached PixelCNN sampling against a full forward per position.

    python benchmarks/pixel_cnn_sampling.py [--batch=8] [--repeats=5]

Prints, for a 32x32 grid, the time of one sample with cached activations and
the time that the naive sampler needs: 1024 times one timed forward, the same
mode (graph, XLA) on both sides. On an 8x8 grid the naive sampler really runs,
and its codes are compared with the cached ones.
"""

import argparse
import time

import keras
import numpy as np
import tensorflow as tf

from vqvae_tf import random
from vqvae_tf.densities.filtering import filter_logits
from vqvae_tf.densities.pixel_cnn import PixelCNN


class NaiveSampler:
    """Samples by the definition: a forward pass for each code.

    Args:
        density: a `PixelCNN`.
        context: as for its `sample`, with the batch of all codes.
        temperature, top_k, top_p: as for its `sample`.
        jit_compile: whether the forward pass is compiled by XLA.

    Call arguments:
        num_samples: an integer, for each seed.
        seeds: integers.
        event_shape: (height, width); the density's own by default.

    Returns:
        int32 codes `[seeds, num_samples, height, width]`, or with an axis G.
    """

    def __init__(
        self,
        density,
        context=None,
        temperature=1.0,
        top_k=None,
        top_p=None,
        jit_compile=False,
    ):
        self.density = density
        self.context = context
        self.options = (temperature, top_k, top_p)
        self._draw = tf.function(self._draw_code, jit_compile=jit_compile)

    def __call__(self, num_samples, seeds, event_shape=None):
        height, width = event_shape or self.density.event_shape
        groups = self.density.num_codebooks
        grid = [len(seeds) * num_samples, height, width, groups]
        seeds = tf.stack([random.make_seed(seed) for seed in seeds])
        codes = np.zeros(grid, np.int32)
        for r, c, g in np.ndindex(height, width, groups):
            t = tf.constant(r * width + c)
            codes[:, r, c, g] = self._draw(codes, t, seeds)[:, g]
        codes = codes.reshape(len(seeds), num_samples, *grid[1:])
        return codes if groups > 1 else codes[..., 0]

    def _draw_code(self, codes, t, seeds):
        """Draws all codebooks at position t given the codes so far."""
        groups, size = self.density.num_codebooks, self.density.num_embeddings
        codes = codes if groups > 1 else codes[..., 0]
        logits = self.density.logits(codes, self.context)
        logits = tf.reshape(logits, [codes.shape[0], -1, groups, size])
        logits = filter_logits(tf.gather(logits, t, axis=1), *self.options)
        logits = tf.reshape(logits, [seeds.shape[0], -1, groups, size])

        def draw(arguments):
            logits, seed = arguments
            noise = [
                random.fold_in(random.fold_in(seed, t), g)
                for g in range(groups)
            ]
            draws = [
                random.categorical(logits[:, g], noise[g], self.options[0])
                for g in range(groups)
            ]
            return tf.stack(draws, axis=1)

        spec = tf.TensorSpec([None, groups], tf.int32)
        draws = tf.map_fn(draw, (logits, seeds), fn_output_signature=spec)
        return tf.reshape(draws, [-1, groups])


def timed(function, repeats):
    """Returns the seconds of each of some calls, the first one left out."""
    function()
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        function()
        seconds.append(time.perf_counter() - start)
    return np.array(seconds)


def summary(values, unit):
    low, mid, high = np.min(values), np.median(values), np.max(values)
    return f"{low:.4g} / {mid:.4g} / {high:.4g} {unit}"


def compare(density, batch, repeats, jit_compile):
    """Prints the cost of a 32x32 grid, naive and cached."""
    codes = tf.zeros([batch, *density.event_shape], tf.int32)
    forward = tf.function(density.logits, jit_compile=jit_compile)
    sample = tf.function(
        lambda seed: density.sample(batch, seed=seed), jit_compile=jit_compile
    )
    positions = int(np.prod(density.event_shape))
    one = timed(lambda: forward(codes).numpy(), repeats)
    cached = timed(lambda: sample(tf.constant(1)).numpy(), repeats)
    mode = "XLA" if jit_compile else "graph"
    print(f"{mode}, seconds min / median / max of {repeats}:")
    print(
        f"  naive, {positions} x one forward: {summary(one * positions, 's')}"
    )
    print(f"  cached:                     {summary(cached, 's')}")
    # Pessimistic, typical and optimistic pairing of the two.
    ratios = positions * np.array(
        [
            one.min() / cached.max(),
            np.median(one) / np.median(cached),
            one.max() / cached.min(),
        ]
    )
    print(f"  ratio:                      {summary(ratios, 'x')}")
    return ratios


def real_run(density, batch, jit_compile):
    """Runs both samplers on 8x8 and compares their codes."""
    shape, mode = (8, 8), "XLA" if jit_compile else "graph"
    start = time.perf_counter()
    naive = NaiveSampler(density, jit_compile=jit_compile)(batch, [1], shape)[0]
    naive_time = time.perf_counter() - start
    sample = tf.function(
        lambda seed: density.sample(batch, event_shape=shape, seed=seed),
        jit_compile=jit_compile,
    )
    cached_time = timed(lambda: sample(tf.constant(1)).numpy(), 3).min()
    same = np.mean(naive == sample(tf.constant(1)).numpy())
    print(
        f"8x8, {mode}: naive {naive_time:.3g} s (with compilation), cached "
        f"{cached_time:.3g} s; {same:.2%} of the codes are equal"
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--hidden_channels", type=int, default=128)
    parser.add_argument("--num_layers", type=int, default=10)
    parser.add_argument("--num_embeddings", type=int, default=512)
    options = parser.parse_args()
    keras.utils.set_random_seed(0)
    density = PixelCNN(
        options.num_embeddings,
        (32, 32),
        hidden_channels=options.hidden_channels,
        num_layers=options.num_layers,
    )
    print(f"{options}, 32x32")
    ratios = [
        compare(density, options.batch, options.repeats, jit)
        for jit in (False, True)
    ]
    for jit in (False, True):
        real_run(density, options.batch, jit)
    if min(np.median(r) for r in ratios) < 100:
        raise SystemExit("The cached sampler must be 100 times as fast.")


if __name__ == "__main__":
    main()
