"""Models of video whose codes are of any quantizer, clips, and rollouts."""

import keras
import numpy as np

import vqvae_tf as vq
from support import small
from vqvae_tf.models.level_priors import sizes_of
from vqvae_tf.quantizers import FSQ, ResidualQuantizer
from vqvae_tf.runtime import random
from vqvae_tf.utils.code_sizes import as_argument


def clips(batch=2, time=3):
    """Pictures as video, uint8 [batch, time, 16, 16, 3]."""
    images = small.pictures(batch + time - 1)
    return np.stack([images[t : t + batch] for t in range(time)], axis=1)


def some_actions(*shape):
    return np.arange(np.prod(shape), dtype=np.int32).reshape(shape) % 5


def stage(num_embeddings):
    return vq.VectorQuantizerEMA(num_embeddings, 4, seed=num_embeddings)


# The sizes of the codebooks, by the quantizer that has them.
SIZES = {"groups": (8, 8), "residual": (8, 4), "FSQ": (36,)}


def quantizer(kind):
    """A new quantizer of one of the kinds in `SIZES`."""
    if kind == "FSQ":
        return FSQ(levels=(4, 3, 3))
    if kind == "groups":
        return vq.VectorQuantizerEMA(8, 4, num_codebooks=2, seed=1)
    return ResidualQuantizer([stage(size) for size in SIZES[kind]])


def autoencoder(kind):
    """A VQ-VAE of 16x16 pictures with 4x4 codes, of which several are used."""
    keras.utils.set_random_seed(1)
    likelihood, own = vq.Gaussian(), quantizer(kind)
    model = vq.VQVAE(
        vq.Encoder(own.channels, **small.SMALL),
        own,
        vq.FactorizedDensity(
            vq.Decoder(likelihood.num_parameters(3), **small.SMALL), likelihood
        ),
        event_shape=(small.SIZE, small.SIZE, 3),
    )
    model.build()
    _move(model)
    return model


def prior(own, num_past=2, num_actions=5, **marginals):
    """An untrained prior of the next frame's codes of a quantizer."""
    network = vq.PastFrames(
        sizes_of(own),
        num_past,
        num_actions,
        embedding_dim=4,
        hidden_channels=8,
        num_residual_layers=1,
    )
    density = vq.PixelCNN(
        as_argument(own.num_codes),
        (4, 4),
        num_codebooks=own.num_codebooks,
        hidden_channels=8,
        num_layers=2,
        first_kernel_size=3,
        head_channels=8,
        local_channels=8,
    )
    model = vq.ConditionalDensity(network, density, **marginals)
    model.build()
    _move(model)
    return model


def model(kind, **marginals):
    """`autoencoder(kind)` with a `prior` of the frame after two."""
    base = autoencoder(kind)
    found = vq.VideoGenerator(base, prior(base.quantizer, **marginals))
    found.build()
    return found


def _move(part):
    """Moves weights, so that outputs differ more than at the start."""
    rng = np.random.default_rng(1)
    for v in part.trainable_variables:
        v.assign(v + 0.2 * rng.normal(size=v.shape))


def by_loop(video, codes, actions, number, seed, **options):
    """A rollout frame by frame, from the prior's own samples."""
    past, drawn = np.asarray(codes)[:, -video.num_past :], []
    for t in range(number):
        context = {"past": past}
        if actions is not None:
            context["action"] = actions[:, t]
        seed_of_frame = random.fold_in(random.make_seed(seed), t)
        new = video.prior.sample(context=context, seed=seed_of_frame, **options)
        drawn.append(new.numpy())
        past = np.concatenate([past[:, 1:], drawn[-1][:, None]], axis=1)
    return np.stack(drawn, axis=1)
