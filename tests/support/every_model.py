"""Every model of the package that is trained, small, with data to learn."""

import functools

import numpy as np
import tensorflow as tf

import vqvae_tf as vq
from support import small

CLASSES, ACTIONS, LEVELS, GRID = 12, 5, 8, 8
STEPS = np.array([[0, 0], [0, 1], [0, -1], [1, 0], [-1, 0]])


@functools.cache
def photos(size=48):
    return small.pictures(12, size)


def windows(count, size, seed=0, margin=0):
    """Which photo, and where in it: int arrays [count] and [count, 2]."""
    rng = np.random.default_rng(seed)
    photo = rng.integers(len(photos()), size=count)
    limit = photos().shape[1] - size - margin
    return photo, rng.integers(margin, limit, size=[count, 2])


def cut(values, photo, corners, size):
    rows = corners[:, 0, None] + np.arange(size)
    columns = corners[:, 1, None] + np.arange(size)
    return values[photo[:, None, None], rows[:, :, None], columns[:, None]]


def grey_codes():
    """The photos' grey levels as codes 0..7."""
    return (photos().mean(-1) * LEVELS / 256).astype(np.int32)


# Data: x and its context ------------------------------------------------------


def pictures(count=16, seed=0):
    return cut(photos(), *windows(count, small.SIZE, seed), small.SIZE), None


def code_maps(count=16, seed=0):
    return cut(grey_codes(), *windows(count, GRID, seed), GRID), None


def coloured_maps(count=16, seed=0):
    """Codes of two codebooks, grey and red, and the photo as class."""
    photo, corners = windows(count, GRID, seed)
    red = (photos()[..., 0].astype(int) * LEVELS // 256).astype(np.int32)
    x = np.stack([grey_codes(), red], axis=-1)
    return cut(x, photo, corners, GRID), {"global": np.eye(CLASSES)[photo]}


def clips(count=16, seed=0):
    """A window that moves over a photo by its actions; the third frame."""
    photo, corners = windows(count, GRID, seed, margin=2)
    rng = np.random.default_rng(seed + 1)
    frames, actions = [], rng.integers(ACTIONS, size=[2, count])
    for action in (*actions, actions[0]):
        frames.append(cut(grey_codes(), photo, corners, GRID))
        corners = corners + STEPS[action]
    past = np.stack(frames[:2], axis=1)
    return frames[2], {"past": past, "action": actions[1]}


def voices(count=16, seed=0, size=64):
    """Tones of differing pitch; whose they are gives the overtone."""
    rng = np.random.default_rng(seed)
    speaker = rng.integers(len(small.SPEAKERS), size=count)
    pitch = rng.uniform(0.1, 0.4, [count, 1])
    phase = np.arange(size) * pitch + rng.uniform(0, 6, [count, 1])
    wave = np.sin(phase) + 0.5 * np.sin(phase * (2 + speaker[:, None]))
    x = wave / np.abs(wave).max(axis=1, keepdims=True)
    context = {"global": np.eye(len(small.SPEAKERS))[speaker]}
    return x.astype(np.float32), context


def code_rows(count=16, seed=0):
    """A row of grey codes, and the photo as class."""
    photo, corners = windows(count, GRID, seed)
    x = cut(grey_codes(), photo, corners, GRID)[:, 0]
    return x, {"global": np.eye(CLASSES)[photo]}


# Models -----------------------------------------------------------------------


def picture_density(likelihood):
    network = vq.Decoder(likelihood.num_parameters(3), hidden_channels=16)
    return vq.FactorizedDensity(network, likelihood)


def picture_model(quantizer=vq.VectorQuantizerEMA, likelihood=None, **options):
    likelihood = likelihood or vq.Gaussian()
    groups = options.get("num_codebooks", 1)
    model = vq.VQVAE(
        vq.Encoder(8 * groups, hidden_channels=16),
        quantizer(32, 8, seed=1, **options),
        picture_density(likelihood),
        event_shape=(small.SIZE, small.SIZE, 3),
    )
    model.build()
    return model


def pixel_cnn(**options):
    sizes = dict(hidden_channels=16, num_layers=3, first_kernel_size=5)
    return vq.PixelCNN(
        LEVELS, (GRID, GRID), head_channels=16, **{**sizes, **options}
    )


def class_prior():
    prior = pixel_cnn(num_codebooks=2, global_channels=CLASSES, dropout=0.1)
    prior.build()
    return prior


def video_prior(**marginals):
    network = vq.PastFrames(
        LEVELS,
        num_past=2,
        num_actions=ACTIONS,
        embedding_dim=4,
        hidden_channels=16,
        num_residual_layers=1,
        action_dropout=0.1,
    )
    density = pixel_cnn(local_channels=16)
    model = vq.ConditionalDensity(network, density, **marginals)
    model.build()
    return model


def map_model():
    model = vq.VQVAE(
        vq.GlobalEncoder(GRID, 3 * 8, hidden_channels=16),
        vq.VectorQuantizerEMA(
            32, 8, num_codebooks=3, initialize_from_data=True, seed=1
        ),
        pixel_cnn(local_channels=3 * 8, local_upsampling=GRID),
        preprocess=vq.CodeEmbedding(LEVELS, 6),
        event_shape=(GRID, GRID),
    )
    model.build()
    return model


def latent_model(bottleneck, channels):
    model = vq.Autoencoder(
        vq.Encoder(channels, hidden_channels=16),
        bottleneck,
        picture_density(vq.Gaussian()),
        event_shape=(small.SIZE, small.SIZE, 3),
    )
    model.build()
    return model


def vae():
    return latent_model(vq.bottlenecks.DiagonalGaussian(seed=1), 2 * 8)


def vimco():
    bottleneck = vq.bottlenecks.IndependentCategorical(
        16, 8, 2, num_samples=4, resample=True, seed=1
    )
    return latent_model(bottleneck, 2 * 16)


def row_prior():
    prior = small.wavenet(
        LEVELS, event_shape=(GRID,), global_channels=CLASSES, dropout=0.1
    )
    prior.build()
    return prior


def _pictures_by(likelihood):
    return lambda: picture_model(likelihood=likelihood()), pictures


_many = dict(num_codebooks=2, restart_after=5, initialize_from_data=True)

# What makes the model, and what makes x and its context.
EVERY = {
    "pictures, EMA": (picture_model, pictures),
    "pictures, gradient": (
        functools.partial(picture_model, vq.VectorQuantizer),
        pictures,
    ),
    "two codebooks with restarts, EMA": (
        functools.partial(picture_model, **_many),
        pictures,
    ),
    "two codebooks with restarts, gradient": (
        functools.partial(picture_model, vq.VectorQuantizer, **_many),
        pictures,
    ),
    "Gaussian of predicted scale": _pictures_by(
        functools.partial(vq.Gaussian, scale="predicted")
    ),
    "DiscretizedLogistic": _pictures_by(vq.DiscretizedLogistic),
    "DiscretizedLogisticMixture": _pictures_by(vq.DiscretizedLogisticMixture),
    "Categorical": _pictures_by(vq.Categorical),
    "Bernoulli": _pictures_by(vq.Bernoulli),
    "prior of classes and two codebooks": (class_prior, coloured_maps),
    "prior of video": (video_prior, clips),
    "prior of video with marginals": (
        functools.partial(video_prior, marginal_channels=16),
        clips,
    ),
    "VQ-VAE of code maps": (map_model, code_maps),
    "VQ-VAE of speech": (small.speech_vqvae, voices),
    "prior of speech": (row_prior, code_rows),
    "VAE": (vae, pictures),
    "VIMCO": (vimco, pictures),
}


def make(name, count=16):
    """Returns the model, x and the context (a dict, empty without)."""
    make_model, make_data = EVERY[name]
    x, context = make_data(count)
    return make_model(), tf.constant(x), _tensors(context)


def batches(name, steps, count=16):
    """Returns the data set of `steps` batches, each `(x, context)`."""
    make_data = EVERY[name][1]
    x, context = make_data(steps * count)
    return tf.data.Dataset.from_tensor_slices((x, _tensors(context))).batch(
        count, drop_remainder=True
    )


def _tensors(context):
    return {
        k: tf.constant(v, tf.float32 if v.dtype.kind == "f" else tf.int32)
        for k, v in (context or {}).items()
    }
