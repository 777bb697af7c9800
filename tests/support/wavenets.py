"""Small WaveNets and their data, for several files of tests."""

import keras
import numpy as np

from vqvae_tf.densities.autoregressive.wavenet import WaveNet

KINDS = {
    "plain": {},
    "codebooks": {"num_codebooks": 3, "kernel_size": 3},
    "mixture": {"output": "logistic_mixture", "num_components": 3},
    "contexts": {
        "global_channels": 3,
        "local_channels": 5,
        "local_upsampling": 4,
    },
    "repeated context": {
        "local_channels": 5,
        "local_upsampling": 4,
        "local_repeat": 2,
        "local_layers": 2,
    },
}


def small(scale=0.3, num_embeddings=6, **kwargs):
    """A small net, with weights and biases larger than at the start."""
    keras.utils.set_random_seed(7)
    config = {
        "event_shape": (24,),
        "hidden_channels": 8,
        "skip_channels": 12,
        "head_channels": 16,
        "num_stacks": 2,
        "layers_per_stack": 2,
        **kwargs,
    }
    density = WaveNet(num_embeddings, **config)
    density.build()
    rng = np.random.default_rng(7)
    for v in density.trainable_variables:
        v.assign(v + scale * rng.normal(size=v.shape))
    return density


def random_codes(density, batch, time=24, seed=0):
    groups = density.num_codebooks
    shape = [batch, time] + ([groups] if groups > 1 else [])
    rng = np.random.default_rng(seed)
    return rng.integers(0, density.num_embeddings, shape, dtype=np.int32)


def random_context(density, batch, time=24):
    """What the density is conditioned on, a dict, {} for nothing."""
    rng = np.random.default_rng(1)
    context = {}
    if density.global_channels:
        shape = [batch, density.global_channels]
        context["global"] = rng.normal(size=shape).astype(np.float32)
    if density.local_channels:
        steps = time // density.local_upsampling
        shape = [batch, steps, density.local_channels]
        context["local"] = rng.normal(size=shape).astype(np.float32)
    return context
