"""Speech in codes of any quantizer."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import vqvae_tf as vq
from support import small
from support.harness import saved_and_loaded
from support.speech_helpers import one_hot
from vqvae_tf.quantizers import FSQ, ResidualQuantizer
from vqvae_tf.tasks.speech.training import code_sheet

# The sizes of the codebooks, by the quantizer that has them.
SIZES = {"residual": (8, 4), "FSQ": (36,)}


def make(kind):
    quantizer = FSQ(levels=(4, 3, 3))
    if kind == "residual":
        stages = [vq.VectorQuantizerEMA(k, 4, seed=k) for k in SIZES[kind]]
        quantizer = ResidualQuantizer(stages)
    keras.utils.set_random_seed(1)
    channels = quantizer.channels
    model = vq.SpeechVQVAE(
        vq.Encoder(channels, num_downsamples=2, rank=1, **small.SMALL),
        quantizer,
        vq.WaveformDensity(
            small.wavenet(
                16,
                global_channels=3,
                local_channels=channels,
                local_upsampling=4,
            ),
            vq.MuLaw(16),
        ),
        vq.MuLaw(16),
        sample_rate=800,
        speaker_names=small.SPEAKERS,
        auxiliary=small.spectral_decoder(),
    )
    model.build()
    # Latents far enough apart for several codes.
    rng = np.random.default_rng(1)
    for v in model.encoder.trainable_variables:
        v.assign(v + 0.3 * rng.normal(size=v.shape))
    return model


@pytest.fixture(scope="module", params=list(SIZES))
def kind(request):
    return request.param


@pytest.fixture(scope="module")
def model(kind):
    return make(kind)


def axes_of(kind):
    """The axis of codebooks, which one codebook does not have."""
    count = len(SIZES[kind])
    return (count,) if count > 1 else ()


def test_codes_of_any_length_are_decoded(model, kind):
    x = small.waveforms(2, 22)
    codes = model.encode(x)
    assert codes.shape == (2, 6, *axes_of(kind)) and codes.dtype == tf.int32
    each = np.reshape(codes, [12, -1])
    assert len(np.unique(each, axis=0)) > 1 and np.all(each < SIZES[kind])
    bits = sum(np.log2(SIZES[kind]))
    assert model.bits_per_second == pytest.approx(800 / 4 * bits)
    for fast in (False, True):
        wave = model.decode(codes[:, :2], speaker="bob", fast=fast)
        assert wave.shape == (2, 8) and np.all(np.abs(wave) <= 1)
    converted = model.convert(x, "eve", seed=1)
    np.testing.assert_array_equal(
        converted, model.decode(codes, speaker="eve", length=22, seed=1)
    )


def test_codes_of_another_rank_are_refused(model, kind):
    codes = np.zeros([2, 3, 3, *axes_of(kind)], np.int32)
    with pytest.raises(ValueError, match="Received: .*shape"):
        model.decode(codes, speaker="bob")


def test_it_is_trained(kind):
    model = make(kind)
    model.compile("adam")
    before = [v.numpy() for v in model.encoder.trainable_variables]
    logs = model.fit(
        small.waveforms(3, 48), one_hot(0, 1, 2), batch_size=3, verbose=0
    ).history
    assert all(np.isfinite(value) for (value,) in logs.values())
    after = model.encoder.trainable_variables
    assert all(np.any(a != b) for a, b in zip(after, before))


def test_it_is_saved_and_has_a_prior(model, kind):
    loaded = saved_and_loaded(model)
    x = small.waveforms(2, 24)
    np.testing.assert_array_equal(loaded.encode(x), model.encode(x))
    count = len(SIZES[kind])
    prior = small.wavenet(SIZES[kind], num_codebooks=count, event_shape=(6,))
    generator = vq.LatentGenerator(model, prior)
    context = model.speaker_context(["ann", "eve"])
    assert generator.sample(context=context, seed=3).shape == (2, 24)
    assert np.all(np.isfinite(generator.log_prob(x, context)))
    # A row of 4 pixels a code for each codebook of 8 samples.
    assert code_sheet(prior).shape == (8 * count * 4, 6 * 4, 1)
