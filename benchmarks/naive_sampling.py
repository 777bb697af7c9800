"""The sampler of a density of codes by its definition, which is slow."""

import numpy as np
import tensorflow as tf

from vqvae_tf.densities.filtering import filter_logits
from vqvae_tf.runtime import random


class NaiveSampler:
    """Samples by the definition: a forward pass for each code.

    Args:
        density: a `PixelCNN` or `WaveNet`.
        context: as for its `sample`, with the batch of all codes.
        temperature, top_k, top_p: as for its `sample`.
        jit_compile: whether the forward pass is compiled by XLA.

    Call arguments:
        num_samples: an integer, for each seed.
        seeds: integers.
        event_shape: the grid; the density's own by default.

    Returns:
        int32 codes `[seeds, num_samples, *grid]`, or with an axis G.
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
        self._draw = tf.function(
            self._draw_code, jit_compile=jit_compile, autograph=False
        )

    def __call__(self, num_samples, seeds, event_shape=None):
        sizes = event_shape or self.density.event_shape
        groups = self.density.num_codebooks
        shape = [len(seeds) * num_samples, *sizes, groups]
        seeds = tf.stack([random.make_seed(seed) for seed in seeds])
        codes = np.zeros(shape, np.int32)
        flat = codes.reshape(shape[0], -1, groups)  # a view
        for t, g in np.ndindex(*flat.shape[1:]):
            flat[:, t, g] = self._draw(codes, tf.constant(t), seeds)[:, g]
        codes = codes.reshape(len(seeds), num_samples, *shape[1:])
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
