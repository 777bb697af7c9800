"""The VQ-VAE of waveforms."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import vqvae_tf as vq
from support import small
from support.harness import run_two_replica_test, two_replicas
from support.speech_helpers import one_hot, recordings, with_helpers
from vqvae_tf.densities.base import blank
from vqvae_tf.runtime import random


@pytest.fixture(scope="module")
def model():
    return small.speech_vqvae()


def test_codes_of_any_length(model):
    x = small.waveforms(2, 50)
    codes = model.encode(x)
    assert codes.shape == (2, 13) and codes.dtype == tf.int32
    padded = np.pad(x, [[0, 0], [0, 2]])
    np.testing.assert_array_equal(model.encode(padded), codes)
    assert model.bits_per_second == 800 / 4 * 3


def test_decode_draws_from_the_decoder(model):
    x = small.waveforms(3)
    codes = model.encode(x)
    context = {
        **one_hot(0, 1, 2),
        "local": model.quantizer.decode(codes),
    }
    expected = model.decoder.sample(context=context, temperature=0.7, seed=4)
    options = dict(temperature=0.7, seed=4)
    for speaker in (["ann", "bob", "eve"], [0, 1, 2], tf.range(3)):
        found = model.decode(codes, speaker=speaker, **options)
        np.testing.assert_array_equal(found, expected)
    found = model.decode(codes, one_hot(0, 1, 2), length=50, **options)
    np.testing.assert_array_equal(found, expected[:, :50])


def test_convert_is_another_speaker_s_decoding(model):
    x = small.waveforms(2)
    codes = model.encode(x)
    for speaker, other in (("ann", one_hot(0, 0)), (2, one_hot(2, 2))):
        found = model.convert(x, speaker, seed=1)
        assert found.shape == x.shape
        expected = model.decode(codes, other, length=50, seed=1)
        np.testing.assert_array_equal(found, expected)
        again = model.reconstruct(x, other, seed=1)
        np.testing.assert_array_equal(again, expected)


def test_in_a_graph_of_any_length_waveforms_are_as_long(model):
    x = small.waveforms(2)
    spec = [tf.TensorSpec([None, None])]
    convert = tf.function(
        lambda x: model.convert(x, "ann", seed=1),
        input_signature=spec,
        autograph=False,
    )
    np.testing.assert_array_equal(convert(x), model.convert(x, "ann", seed=1))


def test_padding_is_in_no_statistic_of_the_codebook():
    """Nor in its loss: however loud what is masked out is."""
    x, mask = small.waveforms(2, 96), np.ones([2, 96], np.float32)
    mask[0, 62:], mask[1, 32:] = 0, 0  # 16 and 8 codes
    model = small.speech_vqvae()
    quantizer = model.quantizer
    counts = np.array(quantizer.ema_counts)
    silent = x * mask
    latents = model.latents(silent).numpy()
    kept = np.arange(24) < np.array([[16], [8]])
    z, codes = latents[kept], model.encode(silent).numpy()[kept]
    assert len(np.unique(codes)) > 1
    codebook = np.array(quantizer.codebook)
    model.compile(keras.optimizers.SGD(0.0))
    dataset = tf.data.Dataset.from_tensors((x, one_hot(0, 1), mask))
    found = model.fit(dataset, verbose=0).history
    commitment = 0.25 * np.mean((z - codebook[codes]) ** 2)
    assert found["quantizer_loss"][0] == pytest.approx(commitment, rel=1e-4)
    share = np.bincount(codes, minlength=8) / 24
    entropy = -np.sum(share * np.log(np.maximum(share, 1e-9)))
    assert found["perplexity"][0] == pytest.approx(np.exp(entropy), rel=1e-4)
    moved = quantizer.decay * counts + (1 - quantizer.decay) * 24 * share
    np.testing.assert_allclose(quantizer.ema_counts, moved, rtol=1e-5)


@pytest.mark.parametrize(
    "speaker", ["zoe", 3, -1, 1.7, [0, 3], np.array([5]), tf.constant([-1, 0])]
)
def test_unknown_speakers(model, speaker):
    with pytest.raises(ValueError, match="one of ann, bob, eve, or a number"):
        model.speaker_context(speaker)


def test_speakers_are_checked_in_graphs(model):
    context = tf.function(model.speaker_context, autograph=False)
    expected = one_hot(2, 0)["global"]
    found = context(tf.constant([2, 0]))["global"]
    np.testing.assert_array_equal(found, expected)
    found = model.speaker_context(np.array([2, 0]))["global"]
    np.testing.assert_array_equal(found, expected)
    with pytest.raises(tf.errors.InvalidArgumentError, match="in 0..2"):
        context(tf.constant([3]))


def test_mask_is_exact_in_the_bound(model):
    """Bits of masked recordings are those of the decoder, by hand."""
    x = small.waveforms(2, 64)
    mask = np.ones_like(x)
    mask[0, 40:] = 0
    context = one_hot(0, 1)
    local = model.quantizer.decode(model.encode(x)).numpy()
    local[0, 10:] = 0
    log_prob = model.decoder.log_prob(x, {**context, "local": local}, mask=mask)
    codes = np.array([10, 16])
    bits = (-log_prob.numpy() / np.log(2) + 3 * codes).sum() / mask.sum()
    model.compile(keras.optimizers.SGD(0.0))
    dataset = tf.data.Dataset.from_tensors((x, context, mask))
    found = model.evaluate(dataset, verbose=0, return_dict=True)
    assert found["bits_per_dim"] == pytest.approx(bits, rel=1e-5)


def test_the_loss_has_those_of_the_helpers():
    model = with_helpers()
    model.compile(keras.optimizers.SGD(0.0))
    ((x, context, mask),) = recordings()
    x = blank(x, mask)  # silence is padded, whatever is under the mask
    found = model.evaluate(recordings(), verbose=0, return_dict=True)
    counted = model.latent_mask(mask)
    quantized = model.quantizer.decode(model.encode(x)) * counted[..., None]
    loss, right = model.adversary(quantized, context["global"], counted)
    share = mask.numpy().mean(axis=1)
    for name, value in (("loss", loss), ("accuracy", right)):
        expected = np.average(value, weights=share)
        assert found[f"adversary_{name}"] == pytest.approx(expected, rel=1e-5)
    error = model.auxiliary.errors(quantized, context["global"], x, counted)
    expected = np.average(error, weights=share)
    assert found["spectral_error"] == pytest.approx(expected, rel=1e-5)
    nll = found["reconstruction"] * np.log(2)
    expected = nll + found["quantizer_loss"] + found["adversary_loss"]
    expected += 0.1 * found["spectral_error"]
    assert found["loss"] == pytest.approx(expected, rel=1e-5)


def test_the_encoder_deceives_the_adversary_and_the_decoder_knows_nothing():
    def gradients(weight):
        model = with_helpers(weight)
        ((x, context, mask),) = recordings()
        with tf.GradientTape() as tape:
            losses = model.compute_losses(x, context, mask)
            loss = tf.reduce_mean(losses[0]) + losses[1]
        parts = [model.encoder, model.decoder, model.adversary]
        parts += [model.auxiliary]
        variables = [part.trainable_variables for part in parts]
        return tape.gradient(loss, variables)

    none, one, two = gradients(0.0), gradients(1.0), gradients(2.0)
    for a, b, c in zip(none[0], one[0], two[0]):
        np.testing.assert_allclose(c - b, b - a, atol=1e-6)
    assert max(np.abs(b - a).max() for a, b in zip(none[0], one[0])) > 1e-4
    for part in (1, 2, 3):
        for a, b in zip(none[part], one[part]):
            np.testing.assert_allclose(a, b, atol=1e-7)


def compiled_with_helpers(**options):
    model = with_helpers(**options)
    model.compile(keras.optimizers.SGD(0.01))
    return model


def test_two_replicas_with_helpers():
    run_two_replica_test(compiled_with_helpers, recordings(), 1, 4)


def test_two_replicas_with_batch_norm():
    """Normalised gradients are differences, which round more than others."""
    one = compiled_with_helpers(batch_norm=True)
    with two_replicas().scope():
        two = compiled_with_helpers(batch_norm=True)
    options = dict(epochs=2, steps_per_epoch=2, verbose=0)
    losses = [
        model.fit(recordings().repeat(), **options).history["loss"]
        for model in (one, two)
    ]
    np.testing.assert_allclose(*losses, rtol=1e-4)
    for a, b in zip(one.variables, two.variables):
        a, b = a.numpy(), b.numpy()
        scale = max(1e-3, np.abs(a).max())
        np.testing.assert_allclose(b, a, atol=1e-4 * scale, err_msg=str(a))


def test_helpers_are_kept(tmp_path):
    model = with_helpers()
    model.save_to_preset(tmp_path / "p")
    again = vq.SpeechVQVAE.from_preset(tmp_path / "p")
    assert again.adversary.weight == 0.5
    assert again.auxiliary.weight == 0.1
    for part in ("adversary", "auxiliary"):
        kept = getattr(again, part).variables
        assert len(kept) == 6
        for a, b in zip(getattr(model, part).variables, kept):
            np.testing.assert_array_equal(a, b)


def test_fast_decoding_is_that_of_the_auxiliary_decoder():
    model = with_helpers()
    x = small.waveforms(2, 62)
    codes, speakers = model.encode(x), one_hot(2, 0)["global"]
    # Frames at the ends see the latents there go on.
    latents = model.quantizer.decode(np.pad(codes, [[0, 0], [3, 3]], "edge"))
    frames = model.auxiliary(latents, speakers)[:, 3:-3]
    vocoder = vq.layers.GriffinLim(800, 3, window=16, hop=4)
    expected = vocoder(frames)
    found = model.decode(codes, speaker=["eve", "ann"], fast=True)
    np.testing.assert_array_equal(found, expected)
    assert np.abs(found).max() > 0
    spec = [tf.TensorSpec([None, None])]
    convert = tf.function(
        lambda x: model.convert(x, [2, 0], fast=True),
        input_signature=spec,
        autograph=False,
    )
    np.testing.assert_allclose(convert(x), expected[:, :62], atol=1e-4)


def test_padded_latents_are_silent_in_fast_decoding():
    model = with_helpers()
    latents = np.random.default_rng(0).normal(size=[1, 20, 4])
    latents = latents.astype(np.float32) * (np.arange(20) < 8)[:, None]
    context = {"local": latents, **one_hot(1)}
    mask = (np.arange(20) < 8).astype(np.float32)[None]
    drawn = np.abs(model.fast_waveform(context, mask))[0]
    # A window's half beyond the last latent there is nothing.
    assert drawn[: 8 * 4].max() > 1e-3
    assert drawn[8 * 4 + 16 :].max() < 1e-3 * drawn.max()
    # Where all is padding, too.
    silent = model.fast_waveform(context, np.zeros([1, 20], np.float32))
    assert np.abs(silent).max() < 1e-6


def test_a_hop_of_more_than_half_a_window_has_no_vocoder():
    model = small.speech_vqvae(auxiliary=small.spectral_decoder(window=6))
    assert not model.has_fast_decoder and with_helpers().has_fast_decoder
    codes = model.encode(small.waveforms(1))
    with pytest.raises(ValueError, match="at most half of its window. Rec"):
        model.decode(codes, speaker=0, fast=True)
    with pytest.raises(ValueError, match="Received: hop=4, window=6"):
        model.auxiliary.waveform(model.quantizer.decode(codes))


def test_no_fast_decoding_without_an_auxiliary_decoder(model):
    codes = model.encode(small.waveforms(1))
    with pytest.raises(ValueError, match="Received: a model without one"):
        model.decode(codes, speaker=0, fast=True)


def test_a_model_of_before_there_were_helpers():
    config = small.speech_vqvae().get_config()
    helpers = ("adversary", "auxiliary", "fast_decoder")
    for name in helpers:
        del config[name]
    model = vq.SpeechVQVAE.from_config(config)
    assert [getattr(model, name) for name in helpers] == [None] * 3


def test_round_trips(model, tmp_path):
    x = small.waveforms(1)
    model.save_to_preset(tmp_path / "p")
    model.save(tmp_path / "m.keras")
    for again in (
        vq.SpeechVQVAE.from_preset(tmp_path / "p"),
        keras.saving.load_model(tmp_path / "m.keras"),
    ):
        assert again.speaker_names == small.SPEAKERS
        assert again.sample_rate == 800
        np.testing.assert_array_equal(
            again.convert(x, "eve"), model.convert(x, "eve")
        )


def test_generator_speaks_for_everyone():
    model = small.speech()
    context = model.autoencoder.speaker_context(["ann", "eve"])
    drawn = model.sample(context=context, seed=3)
    assert drawn.shape == (2, 24)
    codes = model.prior.sample(2, seed=random.fold_in([0, 3], 0))
    assert codes.shape == (2, 6)
    x = small.waveforms(2, 24)
    found = model.log_prob(x, context)
    local = model.autoencoder.quantizer.decode(model.encode(x))
    expected = model.autoencoder.decoder.log_prob(
        x, {**context, "local": local}
    ) + model.prior.log_prob(model.encode(x))
    np.testing.assert_allclose(found, expected, rtol=1e-5)


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda m, x: m.encode(x[0]), r"\[batch, time\] \(mono\)"),
        (lambda m, x: m.encode((x * 9000).astype(np.int16)), "16-bit"),
        (lambda m, x: m.encode(x * 3), "in \\[-1, 1\\]"),
        (lambda m, x: m.convert(x, "joe"), "one of ann, bob, eve.*'joe'"),
        (lambda m, x: m.convert(x, 3), "0..2. Received: 3"),
        (lambda m, x: m.decode([[0]]), "Received: neither"),
        (
            lambda m, x: m.decode([[0]], one_hot(0), speaker=1),
            "Received: both",
        ),
        (lambda m, x: m.decode([0], speaker=0), r"shape \[batch, n\]"),
        (
            lambda m, x: m.decode([[0]], speaker=0, length=5),
            "1 codes are 4 samples. Received: length=5",
        ),
        (
            lambda m, x: m.decode([[0]], speaker=0, length=np.int64(-1)),
            "length must be a positive integer. Received: ",
        ),
    ],
)
def test_bad_input(model, call, message):
    with pytest.raises(ValueError, match=message):
        call(model, small.waveforms(1))


def test_speakers_must_be_the_decoder_s():
    config = small.speech_vqvae().get_config()
    config["speaker_names"] = ["ann"]
    with pytest.raises(ValueError, match="has 3 speakers.*1 speaker_names"):
        vq.SpeechVQVAE.from_config(config)


def test_the_adversary_is_of_the_decoder_s_speakers():
    config = small.speech_vqvae().get_config()
    adversary = vq.layers.LabelAdversary(2)
    config["adversary"] = keras.saving.serialize_keras_object(adversary)
    with pytest.raises(ValueError, match="per speaker, 3. Received: one of 2 "):
        vq.SpeechVQVAE.from_config(config)


@pytest.mark.parametrize(
    "options, received",
    [
        (dict(hop=8), "sample_rate=800 and hop=8"),
        (dict(sample_rate=8000), "sample_rate=8000 and hop=4"),
    ],
)
def test_the_auxiliary_decoder_is_of_the_model_s_frames(options, received):
    config = small.speech_vqvae().get_config()
    given = small.spectral_decoder(**options)
    config["auxiliary"] = keras.saving.serialize_keras_object(given)
    message = f"sample_rate=800 and hop=4. Received: one with {received}"
    with pytest.raises(ValueError, match=message):
        vq.SpeechVQVAE.from_config(config)


def test_waveforms_cannot_be_completed():
    x = small.waveforms(2, 64)
    with pytest.raises(ValueError, match=r"not waveforms. .*\(2, 64\)"):
        small.speech().sample(given=x, given_mask=x > 0)


@pytest.mark.parametrize("shape", [(), (24,), (1, 24, 1)])
def test_waveforms_without_their_two_axes_are_refused(shape):
    model = small.speech_vqvae()
    with pytest.raises(ValueError, match="Waveforms must have shape"):
        model.convert(np.zeros(shape, np.float32), "ann")
