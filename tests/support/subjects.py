"""What random inputs are given to: layers, likelihoods, models, samplers."""

import functools

import keras
import numpy as np
import tensorflow as tf

import vqvae_tf as vq
from support import small


def _quantizer(draw, make):
    sizes = dict(
        num_embeddings=draw.number(8, 16, odd=0.05),
        embedding_dim=draw.number(4, odd=0.05),
    )
    options = dict(
        num_codebooks=draw.number(1, 2, odd=0.05),
        commitment_cost=draw.number(0.25, 0, 1.0, odd=0.05),
        restart_after=draw.number(None, 1, 3, odd=0.05),
        initialize_from_data=draw.one_of(False, True),
        seed=draw.number(0, 1, odd=0.05),
    )
    if make is vq.VectorQuantizerEMA:
        options["decay"] = draw.number(0.9, 0.99, odd=0.05)
        options["accumulation_steps"] = draw.number(1, 1, 2, odd=0.05)
        if options["restart_after"] is None:
            options["restart_below"] = draw.number(None, 0.5, odd=0.05)
    return make(**sizes, **options)


def quantizers(draw):
    """Quantizers of odd sizes, given odd latents, masks and codes."""
    layer = _quantizer(
        draw, draw.one_of(vq.VectorQuantizer, vq.VectorQuantizerEMA)
    )
    channels = layer.num_codebooks * layer.embedding_dim
    latents = draw.array((3, 2, channels), odd=0.1)
    mask = draw.one_of(None, np.array([1, 0, 1]), np.ones([3, 2], bool))
    training = draw.one_of(False, True)
    quantized = layer(latents, training=training, mask=mask)
    finite = np.isfinite(np.asarray(latents, np.float64)).all()
    if draw.chance(0.5):
        shape = (
            (3, 2) if layer.num_codebooks == 1 else (3, 2, layer.num_codebooks)
        )
        high = draw.one_of(7.99, 7.99, 7.99, 9)
        codes = draw.array(shape, 0, high, 0.1, "int32")
        return [layer.codebook, layer.decode(codes)]
    codes = layer.encode(latents).numpy()
    assert ((codes >= 0) & (codes < layer.num_embeddings)).all()
    # What comes of a latent that is not a number is not one either.
    return [layer.codebook, quantized if finite else 0.0]


LIKELIHOODS = (
    vq.Gaussian,
    vq.DiscretizedLogistic,
    vq.DiscretizedLogisticMixture,
    vq.Categorical,
    vq.Bernoulli,
)


def likelihoods(draw):
    """Likelihoods with odd options; odd values and outputs of a network."""
    kind = draw.one_of(*LIKELIHOODS)
    options = {}
    if kind in (vq.Gaussian, vq.DiscretizedLogistic) and draw.chance(0.6):
        options["scale"] = draw.number("learned", "predicted", 3.0, odd=0.3)
        options["initial_scale"] = draw.number(25.0, odd=0.1)
        options["min_scale"] = draw.number(0.1, odd=0.1)
    if kind is vq.DiscretizedLogisticMixture:
        options["num_components"] = draw.number(1, 3, odd=0.3)
    if kind is vq.Categorical:
        options["num_values"] = draw.number(256, 16, odd=0.3)
    likelihood = kind(**options)
    likelihood.build(None)
    channels = 2
    # A network whose outputs are the parameters themselves.
    density = vq.FactorizedDensity(keras.layers.Identity(), likelihood)
    outputs = min(likelihood.num_parameters(channels), 10**4)
    local = draw.array((2, 3, 3, outputs), -3, 3, odd=0.1)
    context = {"local": local}
    if draw.chance(0.3):
        return density.sample(
            context=context,
            temperature=draw.number(0, 0.7, 1, odd=0.3),
            seed=draw.number(0, 3, odd=0.2),
        )
    usual = draw.one_of("uint8", "int32", "float32")
    value = draw.array((2, 3, 3, channels), 0, 255, 0.2, usual)
    return density.log_prob(value, context)


@functools.cache
def _prior(kind):
    if kind == "codes":
        return small.prior()
    if kind == "two codebooks":
        return small.prior(2)
    if kind == "classes":
        return small.prior(global_channels=3)
    return small.wavenet(8, event_shape=(6,))


@functools.cache
def _model(kind):
    return {
        "generator": small.generator,
        "vae": small.vae,
        "dense vae": small.dense_vae,
        "video": small.video,
        "speech": small.speech,
        "two levels": small.two_levels,
    }[kind]()


def _options(draw, *extra):
    options = {
        "temperature": draw.number(0, 0.9, 1.0, odd=0.2),
        "seed": draw.number(0, 5, odd=0.2),
    }
    if draw.chance(0.3):
        options["top_k"] = draw.number(1, 3, 8, None, odd=0.4)
    if draw.chance(0.3):
        options["top_p"] = draw.number(0.5, 1.0, None, odd=0.4)
    return options


# Numbers that are no crime, and need more memory than there is.
_COUNTS = (0, -1, 2.5, True, float("nan"), 2**32 + 3, -(2**40), "3", [1, 2])


def priors(draw):
    """Densities of codes: odd options of sampling, odd codes to score."""
    kind = draw.one_of("codes", "two codebooks", "classes", "row")
    prior = _prior(kind)
    grid = (6,) if kind == "row" else (4, 4)
    shape = (*grid, 2) if kind == "two codebooks" else grid
    context = None
    if kind == "classes":
        context = {"global": draw.array((2, 3), 0, 1, odd=0.1)}
    if draw.chance(0.5):
        high = draw.one_of(7.99, 7.99, 7.99, 7.99, 9, 3e9)
        codes = draw.array((2, *shape), 0, high, odd=0.2, usual="int64")
        return prior.log_prob(codes, context)
    options = _options(draw)
    if draw.chance(0.3):
        options["num_samples"] = draw.number(1, 2, odd=0.5, of=_COUNTS)
    if draw.chance(0.2):
        options["given"] = draw.array((2, *shape), 0, 7.99, 0.2, "int32")
        options["given_mask"] = draw.array((2, *grid), 0, 2, 0.2, "bool")
    codes = prior.sample(context=context, **options).numpy()
    assert ((codes >= 0) & (codes < 8)).all()
    return codes


def pictures(draw):
    """Models of pictures: odd pictures, codes, latents, counts."""
    model = _model(draw.one_of("generator", "vae", "dense vae", "two levels"))
    autoencoder = model.autoencoder
    shape = (2, *autoencoder.event_shape)
    way = draw.one_of("encode", "reconstruct", "log_prob", "decode", "sample")
    if way == "sample":
        options = {
            "temperature": draw.number(0, 0.9, odd=0.3),
            "seed": draw.number(0, 5, odd=0.3),
            "num_samples": draw.number(1, 2, odd=0.3, of=_COUNTS),
        }
        if model is _model("generator") and draw.chance(0.3):
            options["decoder_temperature"] = draw.number(0, 1.0, odd=0.4)
        return model.sample(**options)
    if way == "decode":
        latents = draw.array((2, 4, 4), 0, 7.99, 0.2, "int32")
        if autoencoder is model:
            size = (1, 1, 3) if model is _model("dense vae") else (4, 4, 2)
            latents = draw.array((2, *size), odd=0.2)
        return model.decode(latents)
    usual = draw.one_of("uint8", "float32")
    x = draw.array(shape, 0, 255, 0.2, usual)
    if way == "log_prob" and autoencoder is model and draw.chance(0.5):
        return model.log_prob(
            x, num_samples=draw.number(1, 2, odd=0.4, of=_COUNTS)
        )
    if way == "reconstruct":
        return autoencoder.reconstruct(x)
    return getattr(model, way)(x)


def clips(draw):
    """A model of video: odd frames, actions and numbers of them."""
    model = _model("video")
    usual = draw.one_of("uint8", "float32")
    frames = draw.array((2, 2, 16, 16, 3), 0, 255, 0.15, usual)
    actions = draw.array((2, 3), 0, 4.99, 0.15, "int32")
    options = _options(draw)
    if draw.chance(0.3):
        options["num_futures"] = draw.number(1, 2, odd=0.6, of=_COUNTS)
    return model.rollout(frames, actions, **options)


def recordings(draw):
    """A model of speech: odd waveforms, speakers and codes."""
    model = _model("speech")
    speech = model.autoencoder
    way = draw.one_of("encode", "convert", "decode", "sample", "log_prob")
    speaker = draw.number("ann", "eve", 0, 2, odd=0.3)
    options = {
        "temperature": draw.number(0, 0.9, odd=0.2),
        "seed": draw.number(0, 5, odd=0.2),
    }
    if way == "sample":
        count = draw.number(1, 2, odd=0.3, of=_COUNTS)
        hot = tf.one_hot([draw.integer(0, 2)], 3)
        return model.sample(count, context={"global": hot}, **options)
    if way == "decode":
        codes = draw.array((2, 6), 0, 7.99, 0.2, "int32")
        return speech.decode(codes, speaker=speaker, **options)
    waveforms = draw.array((2, 24), -1, 1, odd=0.2)
    if way == "convert":
        return speech.convert(waveforms, speaker, **options)
    if way == "log_prob":
        hot = tf.one_hot([0, 1], 3)
        return model.log_prob(waveforms, {"global": hot})
    return speech.encode(waveforms)
