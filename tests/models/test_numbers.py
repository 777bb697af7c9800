"""Whatever number a model is given: an error that names it, or an answer.

No number is cast before it is looked at, so that none stands for another one
(2**32 + 3 for 3), and NaN and infinity never become a picture.
"""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings

import vqvae_tf as vq
from support import odd_numbers, small

MAX_INT32 = 2**31 - 1


@functools.cache
def model(name):
    keras.utils.set_random_seed(1)
    return getattr(small, name)()


def integer(low, high):
    def valid(number):
        value = odd_numbers.value_of(number)
        return isinstance(value, int) and low <= value <= high

    return valid


def temperature(number):
    value = odd_numbers.value_of(number)
    return value is not None and 0 <= value <= 1e30


def top_p(number):
    value = odd_numbers.value_of(number)
    return value is not None and 1e-37 < value <= 1


def few(number):
    """Whether a count is refused, or small enough for a test."""
    value = odd_numbers.value_of(number)
    return not isinstance(value, int) or not 3 < value <= MAX_INT32


SPEECH = {"speaker": 1, "length": 8}
# What is called with the number, and whether it is one for it.
CALLS = {
    **{
        f"{kind} {name}": (call, name, valid)
        for kind, call in {
            "prior": lambda **o: model("prior").sample(**{"seed": 0, **o}),
            "wavenet": lambda **o: wavenet().sample(**{"seed": 0, **o}),
            "pictures": lambda **o: model("generator").sample(
                **{"seed": 0, **o}
            ),
        }.items()
        for name, valid in {
            "temperature": temperature,
            "top_k": integer(1, MAX_INT32),
            "top_p": top_p,
            "seed": integer(-(2**31), MAX_INT32),
            "num_samples": integer(1, 3),
        }.items()
    },
    "pictures decoder_temperature": (
        lambda **o: model("generator").sample(seed=0, **o),
        "decoder_temperature",
        temperature,
    ),
    "vae temperature": (
        lambda **o: model("vae").sample(seed=0, **o),
        "temperature",
        temperature,
    ),
    "vae num_samples": (
        lambda **o: model("vae").sample(seed=0, **o),
        "num_samples",
        integer(1, 3),
    ),
    "vae seed": (
        lambda **o: model("vae").sample(**o),
        "seed",
        integer(-(2**31), MAX_INT32),
    ),
    **{
        f"video {name}": (
            lambda **o: model("video").rollout(
                np.zeros([1, 2, 16, 16, 3], np.uint8),
                **{"num_frames": 1, "seed": 0, **o},
            ),
            name,
            valid,
        )
        for name, valid in {
            "num_frames": integer(1, 3),
            "num_futures": integer(1, 3),
            "temperature": temperature,
        }.items()
    },
    **{
        f"speech {name}": (
            lambda **o: model("speech_vqvae").decode(
                [[1, 2]], **{**SPEECH, "seed": 0, **o}
            ),
            name,
            valid,
        )
        for name, valid in {
            "speaker": integer(0, 2),
            "length": integer(1, 8),
            "temperature": temperature,
        }.items()
    },
}


@functools.cache
def wavenet():
    return small.wavenet(8, event_shape=(3,))


def check_answer(answer):
    if answer.dtype.is_floating:
        assert np.all(np.isfinite(answer)) and np.all(np.abs(answer) <= 1)
    elif answer.dtype == tf.int32:
        assert np.min(answer) >= 0 and np.max(answer) < 8
    else:
        assert answer.dtype == tf.uint8


@given(odd_numbers.anything)
@settings(deadline=None, max_examples=60)
@pytest.mark.parametrize("name", CALLS)
def test_a_number_is_refused_by_its_name_or_used(name, number):
    call, argument, valid = CALLS[name]
    if not few(number) and argument not in ("seed", "top_k"):
        return
    value = odd_numbers.value_of(number)
    if argument == "top_p" and value and 0 < abs(value) <= 2e-37:
        return  # around the smallest numbers of float32
    two = isinstance(number, np.ndarray | tf.Tensor | list | tuple)
    if argument == "seed" and two and np.shape(number) == (2,):
        return
    if argument == "speaker" and two and np.ndim(number):
        return  # one for each row
    if valid(number):
        try:
            check_answer(call(**{argument: number}))
        except ValueError as error:  # drawn too far out for the decoder
            assert value > 1e3 and "outputs must be finite" in str(error)
        return
    with pytest.raises(ValueError, match=argument) as error:
        call(**{argument: number})
    assert "Received: " in str(error.value)


CODES = {
    "quantizer": lambda codes: model("autoencoder").quantizer.decode(codes),
    "embedding": lambda codes: embedding()(codes),
    "levels": lambda levels: vq.MuLaw(8).decode(levels),
}


@functools.cache
def embedding():
    return vq.CodeEmbedding(8, 2)


@given(odd_numbers.arrays(0, 7))
@settings(deadline=None, max_examples=200)
@pytest.mark.parametrize("name", CODES)
def test_no_code_stands_for_another_one(name, codes):
    found = np.asarray(codes)
    floats = name == "embedding" and not isinstance(codes, list)
    lowest = -1 if name == "quantizer" else 0  # -1 stands for none
    valid = found.dtype.kind in ("iuf" if floats else "iu") and all(
        x.item() in range(lowest, 8) for x in found
    )
    if isinstance(codes, list) and name == "embedding":
        return  # Keras makes tensors of lists
    if valid:
        answer = CODES[name](codes)
        assert np.all(np.isfinite(answer))
        again = CODES[name](found.astype(np.int32))
        np.testing.assert_array_equal(answer, again)
    else:
        with pytest.raises(ValueError, match="Codes|Levels"):
            CODES[name](codes)


def test_a_code_beyond_the_first_codebook_is_not_one_of_the_second():
    quantizer = vq.VectorQuantizer(8, 4, num_codebooks=2)
    quantizer.build((None, 8))
    graph = tf.function(quantizer.decode, autograph=False)
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"in 0\.\.7"):
        graph(tf.constant([[8, 0]]))
    with pytest.raises(ValueError, match=r"in 0\.\.7"):
        quantizer.decode([[8, 0]])
    compiled = tf.function(quantizer.decode, jit_compile=True, autograph=False)
    last = quantizer.decode([[7, 0]])  # clamped, in its own codebook
    np.testing.assert_array_equal(compiled(tf.constant([[8, -2]])), last)


def test_graphs_refuse_codes_actions_and_labels():
    invalid = tf.errors.InvalidArgumentError
    prior = model("prior")
    with pytest.raises(invalid, match=r"Codes .* in 0\.\.7"):
        tf.function(prior.log_prob, autograph=False)(tf.fill([1, 4, 4], 8))
    with pytest.raises(invalid, match=r"Actions .* in 0\.\.4"):
        tf.function(model("video").prior.network, autograph=False)(
            {
                "past": tf.zeros([1, 2, 4, 4], tf.int32),
                "action": tf.constant([5]),
            }
        )
    speech = model("speech_vqvae")
    with pytest.raises(invalid, match=r"Speakers .* in 0\.\.2"):
        tf.function(speech.speaker_context, autograph=False)(tf.constant([3]))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_latents_and_contexts_must_be_finite(value):
    vae = model("vae")
    latents = np.full([1, 4, 4, 2], value, np.float32)
    with pytest.raises(ValueError, match="Latents must be finite"):
        vae.decode(latents)
    with pytest.raises(tf.errors.InvalidArgumentError, match="Latents must"):
        tf.function(vae.decode, autograph=False)(tf.constant(latents))
    for density, context in (
        (small.prior(global_channels=2), {"global": [[0.0, value]]}),
        (vae.decoder, {"local": latents}),
    ):
        (name,) = context
        message = rf'context\[.*"{name}.*\] must be finite'
        with pytest.raises(ValueError, match=message):
            density.sample(context=context)
        graph = tf.function(
            lambda c, d=density: d.sample(context=c, seed=0), autograph=False
        )
        context = {k: tf.constant(v) for k, v in context.items()}
        with pytest.raises(tf.errors.InvalidArgumentError, match=message):
            graph(context)
    with pytest.raises(ValueError, match="must be finite"):
        vae.decoder.mode({"local": latents})


def test_a_decoder_of_nan_draws_no_black_pictures():
    vae = small.vae()
    kernel = vae.decoder.trainable_variables[0]
    kernel.assign(tf.fill(kernel.shape, np.nan))
    for draw in (
        lambda: vae.sample(1, seed=0),
        lambda: vae.decode(tf.zeros([1, 4, 4, 2])),
        lambda: vae.decoder.sample(context={"local": tf.zeros([1, 4, 4, 2])}),
    ):
        with pytest.raises(ValueError, match="outputs must be finite"):
            draw()


@pytest.mark.parametrize("value", [0.5, 255.5, 256.0, -1.0, np.nan, np.inf])
def test_log_prob_is_of_levels_alone(value):
    pictures = np.full([1, 16, 16, 3], value, np.float32)
    generator, vae = model("generator"), model("vae")
    for function in (
        generator.log_prob,
        generator.bits_per_dim,
        vae.log_prob,
        vae.log_weights,
        lambda x: generator.autoencoder.decoder.log_prob(
            x, {"local": tf.zeros([1, 4, 4, 4])}
        ),
    ):
        with pytest.raises(ValueError, match=r"0\.\.255"):
            function(pictures)
    waveform = np.full([1, 8], value * 4, np.float32)
    speech = model("speech_vqvae")
    with pytest.raises(ValueError, match=r"\[-1, 1\]"):
        speech.decoder.log_prob(
            waveform,
            {"global": tf.one_hot([0], 3), "local": tf.zeros([1, 2, 4])},
        )
    with pytest.raises(ValueError, match="Codes"):
        model("prior").log_prob(np.full([1, 4, 4], value * 20, np.float32))


def test_whole_floats_are_levels():
    pictures = small.pictures(2)
    generator = model("generator")
    expected = generator.log_prob(pictures)
    for dtype in (np.float32, np.float64, np.int64):
        found = generator.log_prob(pictures.astype(dtype))
        np.testing.assert_array_equal(found, expected)
