"""The auxiliary decoder of log-mel frames: places, errors, gradients."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from support.convolution_oracle import convolved
from vqvae_tf.layers import LogMel, SpectralDecoder
from vqvae_tf.runtime.adam import Adam

OPTIONS = dict(sample_rate=800, hop=4, window=16, num_mels=3, channels=6)


def example(batch=3, time=5, channels=4, speakers=2, seed=0):
    rng = np.random.default_rng(seed)
    latents = rng.normal(size=[batch, time, channels]).astype(np.float32)
    told = np.eye(speakers, dtype=np.float32)[rng.integers(0, speakers, batch)]
    waveform = rng.uniform(-1, 1, [batch, 4 * time]).astype(np.float32)
    return latents, told, waveform


def reference(layer, latents, speaker):
    """The frames of one sequence, by sums over positions."""
    x = np.concatenate([latents, np.tile(speaker, [len(latents), 1])], axis=1)
    for conv, rate in zip(layer.convolutions, layer.dilation_rates):
        x = convolved(x, *(v.numpy() for v in conv.variables), rate)
    kernel, bias = (v.numpy() for v in layer.frames.variables)
    return x @ kernel + bias


@pytest.mark.parametrize("rates", [(1, 1), (2,), (1, 3, 2)])
def test_frames_of_numpy(rates):
    latents, told, _ = example(time=9)
    layer = SpectralDecoder(**OPTIONS, dilation_rates=rates)
    found = layer(latents, told)
    expected = [reference(layer, *pair) for pair in zip(latents, told)]
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_a_frame_is_of_the_samples_around_its_latent_s():
    """A click is heard by the frames whose 16 samples have it inside."""
    layer = SpectralDecoder(**OPTIONS)
    silent = layer.targets(tf.zeros([1, 40]))[0]
    for place in (0, 17, 39):
        click = tf.one_hot([place], 40)
        heard = np.any(layer.targets(click)[0] != silent, axis=-1)
        # Latent f is of samples 4 f to 4 f + 3, its frame of six more on
        # either side; the window is 0 at its first sample.
        first = 4 * np.arange(10) - 6
        inside = (first < place) & (place < first + 16)
        np.testing.assert_array_equal(heard, inside)


def test_targets_are_those_of_log_mel():
    _, _, waveform = example()
    layer = SpectralDecoder(**OPTIONS)
    expected = LogMel(800, num_mels=3, window=16, hop=4)(
        np.pad(waveform, [[0, 0], [6, 0]])
    )
    np.testing.assert_allclose(layer.targets(waveform), expected[:, :5])


def test_errors_are_means_over_whole_frames():
    latents, told, waveform = example(time=9)
    layer = SpectralDecoder(**OPTIONS)
    mask = np.array([[1] * 9, [1] * 6 + [0] * 3, [1] * 3 + [0] * 6], np.float32)
    difference = layer(latents, told, mask) - layer.targets(waveform)
    squares = np.mean(np.square(difference), axis=-1)
    # A frame reaches six samples, two latents, beyond its own on either side.
    expected = [squares[0, 2:7].mean(), squares[1, 2:4].mean(), 0]
    found = layer.errors(latents, told, waveform, mask)
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    whole = layer.errors(latents[:1], told[:1], waveform[:1])
    np.testing.assert_allclose(whole, expected[:1], rtol=1e-5)


@pytest.mark.parametrize(
    "hop, window, reach", [(4, 16, 2), (4, 4, 0), (4, 6, 1)]
)
def test_frames_that_hear_nothing_else_are_whole(hop, window, reach):
    options = {**OPTIONS, "hop": hop, "window": window, "num_mels": 1}
    layer = SpectralDecoder(**options)
    found = layer.whole_frames(np.ones([1, 9], np.float32))[0]
    places = np.arange(9)
    inside = (places >= reach) & (places < 9 - reach)
    np.testing.assert_array_equal(found, inside)


def test_a_frame_is_told_from_as_many_latents_as_the_rates_say():
    layer = SpectralDecoder(**OPTIONS, dilation_rates=(1, 2))
    latents = tf.Variable(tf.random.stateless_normal([1, 11, 4], [0, 1]))
    with tf.GradientTape() as tape:
        frame = tf.reduce_sum(layer(latents)[0, 5])
    gradient = np.abs(tape.gradient(frame, latents)[0]).max(axis=-1)
    np.testing.assert_array_equal(gradient > 0, abs(np.arange(11) - 5) <= 3)


@pytest.mark.parametrize("rates", [(1, 1), (1, 2, 4)])
def test_waveforms_are_of_frames_whose_ends_go_on(rates):
    """By the two that are cut at each end, however far a frame sees."""
    latents, told, _ = example(time=7)
    layer = SpectralDecoder(**OPTIONS, dilation_rates=rates)
    longer = np.pad(latents, [[0, 0], [2, 2], [0, 0]], mode="edge")
    expected = layer.vocoder(layer(longer, told)[:, 2:-2])
    found = layer.waveform(latents, told)
    np.testing.assert_allclose(found, expected, atol=1e-5)


class Recorder:
    """Stands in for a vocoder, whose phases depend on the frames' number."""

    def __call__(self, frames):
        self.frames = frames.numpy()


def test_frames_that_are_heard_are_those_of_a_row_alone():
    """However long others of the batch are, and however far a frame sees."""
    latents, told, _ = example(time=14)
    layer = SpectralDecoder(**OPTIONS, dilation_rates=(1, 2, 4))
    layer(latents, told)
    layer.vocoder, found = Recorder(), []
    mask = np.array([[1] * 6 + [0] * 8, [1] * 14, [1] * 12 + [0] * 2])
    layer.waveform(latents, told, mask.astype(np.float32))
    for row, size in enumerate((6, 14, 12)):
        together = layer.vocoder.frames[row, :size]
        found.append((together, row, size))
    for together, row, size in found:
        layer.waveform(latents[row : row + 1, :size], told[row : row + 1])
        alone = layer.vocoder.frames[0]
        np.testing.assert_allclose(together, alone, atol=1e-5)


def test_padding_is_not_heard():
    latents, told, waveform = example(time=9)
    layer = SpectralDecoder(**OPTIONS)
    mask = np.array([[1] * 6 + [0] * 3] * 3, np.float32)
    found = layer.errors(latents, told, waveform, mask)
    short = layer.errors(latents[:, :6], told, waveform[:, :24])
    np.testing.assert_allclose(found, short, rtol=1e-5)
    other = np.where(mask[..., None] > 0, latents, 7.0)
    again = layer.errors(other, told, waveform, mask)
    np.testing.assert_allclose(again, found, rtol=1e-6)


def test_latents_learn_the_loudness():
    """Descent on the latents and weights brings the frames to the sound."""
    _, told, waveform = example(batch=2, time=12)
    waveform = waveform * np.repeat([1, 0.01, 0.3], 16)
    layer = SpectralDecoder(**OPTIONS)
    latents = tf.Variable(tf.zeros([2, 12, 4]))
    before = layer.errors(latents, told, waveform)
    optimizer = Adam(0.03)
    for _ in range(100):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(layer.errors(latents, told, waveform))
        variables = [latents, *layer.trainable_variables]
        optimizer.apply_gradients(
            zip(tape.gradient(loss, variables), variables)
        )
    after = layer.errors(latents, told, waveform)
    assert np.all(after < 0.3 * before)
    assert np.ptp(latents[0], axis=0).max() > 0.1


def test_without_speakers_it_is_saved_with_its_options(tmp_path):
    latents = keras.Input([5, 4])
    options = dict(weight=0.5, dilation_rates=(1, 2))
    layer = SpectralDecoder(**OPTIONS, **options, name="auxiliary")
    model = keras.Model(latents, layer(latents))
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    found = again.get_layer("auxiliary")
    assert OPTIONS.items() <= found.get_config().items()
    assert found.weight == 0.5 and found.dilation_rates == (1, 2)
    x, _, _ = example()
    np.testing.assert_array_equal(model(x), again(x))


@pytest.mark.parametrize(
    "options, message",
    [
        (dict(channels=0), "channels must be"),
        (dict(dilation_rates=()), "at least one convolution"),
        (dict(dilation_rates=(1, 0)), "dilation_rates must be"),
        (dict(weight=-1.0), "weight must be a finite number"),
        (dict(hop=32), "window must be at least hop.*window=16, hop=32"),
        (dict(num_mels=40), "bands contain no frequency"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(ValueError, match=message):
        SpectralDecoder(**{**OPTIONS, **options})
