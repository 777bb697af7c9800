"""A density of waveforms: the mass of their levels, drawn as waveforms."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from support.harness import run_density_test, run_two_replica_test
from support.wavenets import KINDS, random_context, small
from vqvae_tf import (
    VQVAE,
    Encoder,
    MuLaw,
    PixelCNN,
    VectorQuantizerEMA,
    WaveformDensity,
)
from vqvae_tf.densities.base import event_size
from vqvae_tf.runtime.adam import Adam

TIME = 24
K = 16


def make(kind="contexts", **kwargs):
    inner = small(0.2, K, **KINDS[kind])
    return WaveformDensity(inner, MuLaw(K), **kwargs)


def waveforms(batch, time=TIME):
    rng = np.random.default_rng(3)
    return rng.uniform(-1, 1, [batch, time]).astype(np.float32)


@pytest.mark.slow
def test_harness():
    mask = np.random.default_rng(2).integers(0, 2, [4, TIME]).astype(bool)

    def mixture(**kwargs):
        return make("mixture", **kwargs)

    run_density_test(mixture, waveforms(4), None, (1, TIME), mask)


@pytest.mark.slow
def test_two_replicas_train_as_one_device():
    def compiled():
        density = make("mixture")
        density.compile(keras.optimizers.SGD(0.05))
        return density

    dataset = tf.data.Dataset.from_tensors(waveforms(4))
    run_two_replica_test(compiled, dataset, epochs=2, steps=3)


@pytest.mark.parametrize("kind", [k for k in KINDS if k != "codebooks"])
def test_the_log_prob_is_that_of_the_levels(kind):
    density = make(kind)
    x, context = waveforms(3), random_context(density, 3)
    levels = density.companding.encode(x)
    assert len(np.unique(levels)) > K // 2
    expected = density.density.log_prob(levels, context)
    np.testing.assert_array_equal(density.log_prob(x, context), expected)
    # All waveforms of the same levels have the same mass.
    rounded = density.companding.decode(levels)
    assert np.all(rounded != x)
    np.testing.assert_array_equal(density.log_prob(rounded, context), expected)
    logits = density.logits(x, context)
    assert logits.shape == (3, TIME, K)
    assert event_size(x) == TIME


def test_bits_are_per_sample_and_fall_to_the_entropy():
    keras.utils.set_random_seed(0)
    density = WaveformDensity(small(0.0, K), MuLaw(K))
    density.compile(Adam(0.02))
    # Noise over 4 of the 16 levels: 2 bits a sample, at best.
    levels = np.random.default_rng(0).integers(6, 10, [64, TIME])
    x = density.companding.decode(levels).numpy()
    before = density.evaluate(x, verbose=0, return_dict=True)
    assert 3.5 < before["bits_per_dim"] < 5
    density.fit(x, batch_size=16, epochs=6, verbose=0)
    after = density.evaluate(x, verbose=0, return_dict=True)
    assert 1.8 < after["bits_per_dim"] < 2.2
    drawn = density.companding.encode(density.sample(20, seed=1))
    assert np.mean((drawn >= 6) & (drawn < 10)) > 0.9


def test_samples_are_the_levels_of_the_density():
    density = make()
    context = random_context(density, 3)
    levels = density.density.sample(context=context, seed=5, temperature=0.7)
    result = density.sample(context=context, seed=5, temperature=0.7)
    assert result.dtype == tf.float32
    np.testing.assert_array_equal(result, density.companding.decode(levels))
    np.testing.assert_array_equal(
        density.sample(context=context, temperature=0.0),
        density.sample(context=context, top_k=1),
    )
    np.testing.assert_array_equal(
        density.mode(context), density.sample(context=context, seed=0)
    )
    # What is drawn is legal data again.
    assert np.all(np.isfinite(density.log_prob(result, context)))


def test_given_samples_are_kept_as_they_are():
    density = make("plain")
    x, keep = waveforms(2), np.arange(TIME) < 10
    keep = np.repeat(keep[None], 2, axis=0)
    levels = density.companding.encode(x)
    expected = density.density.sample(given=levels, given_mask=keep, seed=1)
    unknown = np.where(keep, x, np.nan)
    result = density.sample(given=unknown, given_mask=keep, seed=1)
    np.testing.assert_array_equal(result[:, :10], x[:, :10])
    expected = density.companding.decode(expected)
    np.testing.assert_array_equal(result[:, 10:], expected[:, 10:])
    shorter = density.sample(2, event_shape=(7,), seed=1)
    assert shorter.shape == (2, 7)


def test_what_it_says_of_its_density():
    density = make()
    assert density.global_channels == 3
    assert density.local_channels == 5
    assert density.local_upsampling == 4
    assert density.event_shape == (TIME,)
    assert make("plain").global_channels is None


@pytest.mark.slow
def test_the_decoder_of_a_vqvae_knows_the_speaker():
    keras.utils.set_random_seed(0)
    inner = small(0.2, K, **{**KINDS["contexts"], "local_channels": 8})
    model = VQVAE(
        Encoder(8, hidden_channels=8, num_residual_layers=1, rank=1),
        VectorQuantizerEMA(4, 8),
        WaveformDensity(inner, MuLaw(K)),
        preprocess=MuLaw(K),
        event_shape=(None,),
    )
    model.build()
    speakers = {"global": np.eye(3, dtype=np.float32)}
    # The speaker's is the pitch.
    pitch = np.array([2, 3, 4])[:, None]
    x = np.sin(np.arange(TIME) * 2 * np.pi / pitch + 1).astype(np.float32) / 2
    batch = tf.data.Dataset.from_tensors((x, speakers))
    model.compile(Adam(0.02))
    first = model.evaluate(batch, verbose=0, return_dict=True)
    model.fit(batch.repeat(60), verbose=0)
    last = model.evaluate(batch, verbose=0, return_dict=True)
    assert last["reconstruction"] < 0.5 * first["reconstruction"]
    codes = model.encode(x)
    assert codes.shape == (3, TIME // 4)
    spoken, converted = (
        model.decode(codes, {"global": np.roll(speakers["global"], shift, 0)})
        for shift in (0, 1)
    )
    assert converted.shape == (3, TIME) and converted.dtype == tf.float32
    assert np.all(np.any(spoken != converted, axis=1))


@pytest.mark.parametrize(
    "call, message",
    [
        (
            lambda: WaveformDensity(small(0.2, K), MuLaw(256)),
            "one codebook of 256 levels .* Received: 1 codebooks of 16",
        ),
        (
            lambda: WaveformDensity(PixelCNN(K, (8, 8), 3), MuLaw(K)),
            "one codebook of 16 levels .* Received: 3 codebooks of 16",
        ),
        (
            lambda: make("plain").log_prob(waveforms(2)[..., None]),
            r"shape \[batch, time\] .* Received: .*\(2, 24, 1\)",
        ),
        (
            lambda: make("plain").log_prob(3 * waveforms(2)),
            r"in \[-1, 1\]. Received: values in",
        ),
        (
            lambda: make("plain").fit(np.full([2, TIME], np.nan, np.float32)),
            "Received: 48 NaN or infinite",
        ),
        (
            lambda: make("plain").sample(given=waveforms(2)),
            "given and given_mask go together. Received: ",
        ),
        (
            lambda: make("plain").sample(
                given=waveforms(2)[0], given_mask=np.ones([TIME], bool)
            ),
            r"shape \[batch, time\] .* Received: .*\(24,\)",
        ),
    ],
)
def test_errors(call, message):
    with pytest.raises(ValueError, match=message):
        call()
