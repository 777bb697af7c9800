"""Figures of models of sequences, against what is known."""

import types

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings, strategies as st

import vqvae_tf as vq
from support.sequences import frames, small
from vqvae_tf import data
from vqvae_tf.evaluation.sequences import (
    futures,
    moving,
    oscillators,
    prediction,
)
from vqvae_tf.models import TDVAE, NextFrameModel

# Later frames -----------------------------------------------------------------


def test_bits_of_the_next_frame_are_exact():
    model, x = small(NextFrameModel), frames(batch=5)
    found = prediction.bits_ahead(model, x, (1,), 3, batch_size=2)[1]
    b = model.belief(x)[:, -2]
    nats = model.decoder.log_prob(x[:, -1], {"local": b[:, None, None]})
    np.testing.assert_allclose(found, -nats / np.log(2), rtol=1e-5)


def test_gaps_that_a_model_knows():
    model = small(TDVAE, latent_sizes=(2,), gaps=[(2, 3)])
    assert prediction.known_gaps(model, 20) == (2, 3)
    assert prediction.known_gaps(model, 3) == (2,)
    assert prediction.known_gaps(small(NextFrameModel), 20) == (1, 2, 3, 4)


def test_copying_costs_the_entropy_of_flips():
    """Of pixels that flip at random, H(share) each, whatever the gap."""
    rng = np.random.default_rng(0)
    start = rng.integers(0, 2, [400, 1, 8, 8, 1])
    flips = rng.random([400, 5, 8, 8, 1]) < 0.1
    x = (255 * ((start + np.cumsum(flips, axis=1)) % 2)).astype(np.uint8)
    found = prediction.copied_bits(x[:200], x[200:], (1, 2))
    for gap, share in ((1, 0.1), (2, 0.18)):
        entropy = -share * np.log2(share) - (1 - share) * np.log2(1 - share)
        np.testing.assert_allclose(found[gap].mean(), 64 * entropy, rtol=0.05)
        assert found[gap].shape == (200,)


# Moving pictures --------------------------------------------------------------


@settings(deadline=None)
@given(st.integers(-6, 6), st.integers(0, 2**31 - 1))
def test_shifts(shift, seed):
    x = np.random.default_rng(seed).random([2, 5, 13, 2])
    moved = np.roll(x, shift, axis=2)
    assert moving.shifts(x, moved).tolist() == [shift, shift]


def moving_digits(length=10, count=20):
    rng = np.random.default_rng(0)
    pictures = np.zeros([count, 12, 12, 1], np.uint8)
    pictures[:, 3:9, 3:8] = 255 * rng.integers(0, 2, [count, 6, 5, 1])
    images = data.pictures.source.ArrayImages("digits", pictures)
    source = data.MovingPictures(images, length)
    x, _, known = data.sequences.batches.evaluation_sequences(source)
    return x, known["direction"]


def test_directions_that_are_kept():
    x, direction = moving_digits()
    past, later = x[:, :4], x[:, 4:9].copy()
    kept = moving.kept_directions(past, later, direction)
    assert kept.all()
    assert not moving.kept_directions(past, later, -direction).any()
    later[0, 2:] = later[0, 1]  # stands still
    later[1, 3] = later[1, 1]  # goes back once
    kept = moving.kept_directions(past, later, direction)
    assert np.flatnonzero(~kept).tolist() == [0, 1]


def test_a_judge_learns_classes():
    rng = np.random.default_rng(0)
    x = rng.integers(0, 100, [64, 8, 8, 1]).astype(np.uint8)
    labels = np.arange(64) % 2
    x[labels == 1, :, :4] += 100
    context = {"global": np.eye(2, dtype=np.float32)[labels]}
    batches = data.array_batches(x, 16, context=context)
    judge = moving.train_judge(batches, 2, (8, 8, 1), steps=40, progress=False)
    np.testing.assert_array_equal(moving.classes_of(judge, x, 30), labels)


# Oscillators ------------------------------------------------------------------


def waves(noise, count=60):
    source = data.Oscillators(num_examples=count, noise=noise)
    x, _, known = data.sequences.batches.evaluation_sequences(source)
    return x[..., 0], known


def test_fits_of_true_waves():
    x, known = waves(noise=0)
    frequency, amplitude, phase = oscillators.fit_sine(x[:, :60])
    np.testing.assert_allclose(frequency, known["frequency"], atol=2e-4)
    np.testing.assert_allclose(amplitude, known["amplitude"], rtol=1e-2)
    error = np.angle(np.exp(1j * (phase - known["phase"])))
    np.testing.assert_allclose(error, 0, atol=0.05)


@pytest.mark.parametrize("jump", oscillators.JUMPS)
def test_true_futures_have_no_error(jump):
    x, known = waves(noise=0)
    past = x[:, : oscillators.PAST]
    start = oscillators.PAST - 1 + jump
    true = x[:, start : start + oscillators.STEPS + 1]
    found = oscillators.measure(true, past, known, jump)
    assert set(found) == {
        f.key for f in oscillators.FIGURES if f.key.endswith(f"_{jump}")
    }
    assert found[f"amplitude_correlation_{jump}"] > 0.999
    assert found[f"frequency_error_{jump}"] < 0.5
    assert found[f"phase_error_{jump}"] < 2
    assert found[f"filter_phase_error_{jump}"] < 0.01
    late = x[:, start + 3 : start + 4 + oscillators.STEPS]
    wrong = oscillators.measure(late, past, known, jump)
    expected = np.degrees(np.mean(2 * np.pi * known["frequency"] * 3))
    error = wrong[f"phase_error_{jump}"]
    np.testing.assert_allclose(error, expected, rtol=0.1)


def test_the_filter_is_a_kalman_filter():
    """The recursive estimate of sine and cosine from a diffuse start."""
    x, known = waves(noise=0.1, count=5)
    amplitude, phase, _ = oscillators.fit_at(x[:, :60], known["frequency"])
    for row in range(5):
        mean, cov = np.zeros(2), 1e8 * np.eye(2)
        for t, seen in enumerate(x[row, :60]):
            angle = 2 * np.pi * known["frequency"][row] * t
            h = np.array([np.sin(angle), np.cos(angle)])
            gain = cov @ h / (h @ cov @ h + 0.01)
            mean = mean + gain * (seen - h @ mean)
            cov = cov - np.outer(gain, h @ cov)
        np.testing.assert_allclose(amplitude[row], np.hypot(*mean), rtol=1e-4)
        np.testing.assert_allclose(
            phase[row], np.arctan2(mean[1], mean[0]), atol=1e-4
        )


def test_jumps_that_a_model_knows():
    model = types.SimpleNamespace(jumps=(1, 50))
    assert oscillators.known_jumps(model, 200) == (20,)
    model.jumps = None
    assert oscillators.known_jumps(model, 200) == (20, 100)
    assert oscillators.known_jumps(model, 90) == ()


# Futures ----------------------------------------------------------------------


def test_equal_values_of_futures():
    """Futures that differ in a known share of values, more the later."""

    def rollout(past, times, num_futures, seed):
        base = np.repeat(past[:, -1:], num_futures, axis=0)
        drawn = np.repeat(base, len(times), axis=1)
        for number, time in enumerate(times):
            for row in range(len(drawn)):
                drawn[row, number, : time + 1] += 1 + row % num_futures
        return tf.constant(drawn)

    model = types.SimpleNamespace(rollout=rollout, jumps=(1, 2))
    past = np.zeros([4, 3, 10], np.int32)
    later = {1: np.zeros([4, 10]), 4: np.ones([4, 10])}
    found = futures.shares_equal(model, past, later, batch_size=2)
    assert found["futures_equal_1"] == pytest.approx(0.8)
    assert found["futures_equal_4"] == pytest.approx(0.5)
    assert found["true_equal_1"] == pytest.approx(0.8)
    assert found["true_equal_4"] == pytest.approx(0.5 / 3)


# Frames and their codes -------------------------------------------------------


@pytest.fixture(scope="module")
def coded():
    keras.utils.set_random_seed(0)
    base = vq.VQVAE(
        vq.Encoder(4, hidden_channels=4, num_residual_layers=0),
        vq.VectorQuantizer(8, 4),
        vq.FactorizedDensity(
            vq.Decoder(3, hidden_channels=4, num_residual_layers=0),
            vq.Gaussian(),
        ),
        event_shape=(8, 8, 3),
    )
    model = TDVAE(
        keras.layers.Flatten(),
        keras.layers.GRU(6, return_sequences=True),
        vq.PixelCNN(
            8,
            (2, 2),
            hidden_channels=4,
            num_layers=1,
            local_channels=3,
            local_upsampling=2,
        ),
        preprocess=vq.CodeEmbedding(8, 4),
        event_shape=(2, 2),
        latent_sizes=(3,),
    )
    found = vq.models.CodedSequenceModel(base, model)
    found.build()
    return found


def clips(time=6):
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, [2, time, 8, 8, 3]).astype(np.uint8)


def test_frames_by_way_of_their_codes(coded):
    x = clips()
    codes = coded.encode(x)
    assert codes.shape == (2, 6, 2, 2) and codes.dtype == tf.int32
    np.testing.assert_array_equal(coded.belief(x), coded.model.belief(codes))
    options = dict(times=[1, 4], num_futures=2, seed=3)
    drawn = coded.rollout(x, **options)
    assert drawn.shape == (4, 2, 8, 8, 3) and drawn.dtype == tf.uint8
    expected = coded.decode(coded.model.rollout(codes, **options))
    np.testing.assert_array_equal(drawn, expected)
    np.testing.assert_array_equal(
        coded.log_prob(x, 2, 5), coded.model.log_prob(codes, 2, 5)
    )


def test_what_does_not_fit_is_refused(coded):
    with pytest.raises(ValueError, match=r"code maps of shape \(2, 2\)"):
        vq.models.CodedSequenceModel(coded.autoencoder, small(NextFrameModel))
    with pytest.raises(ValueError, match=r"\[batch, time, 8, 8, 3\]"):
        coded.encode(clips()[:, 0])
    coded.compile("sgd")
    with pytest.raises(RuntimeError, match="two stages"):
        coded.fit(clips(), verbose=0)
