"""A fast decoder of speech: of its own, trained alone or with the rest."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import vqvae_tf as vq
from support import small
from support.harness import POLICIES, run_two_replica_test
from support.speech_helpers import one_hot, recordings, with_helpers
from vqvae_tf.densities.base import blank
from vqvae_tf.models import SpeechFastDecoder


def fast_decoder(**options):
    return small.spectral_decoder(dilation_rates=(1, 2), **options)


def fast_model():
    """A model with an auxiliary decoder and a fast one."""
    keras.utils.set_random_seed(0)
    return with_helpers().with_fast_decoder(fast_decoder())


def compiled(learning_rate=0.01):
    trainer = SpeechFastDecoder(fast_model())
    trainer.compile(keras.optimizers.SGD(learning_rate))
    return trainer


# In the model -----------------------------------------------------------------


def test_all_other_parts_are_those_of_the_model():
    model = with_helpers()
    fast = model.with_fast_decoder(fast_decoder())
    assert model.fast_decoder is None
    for part in set(model.parts) - {"fast_decoder"}:
        assert getattr(fast, part) is getattr(model, part)
    x, options = small.waveforms(2), dict(speaker="eve", seed=3)
    for name in ("sample_rate", "speaker_names", "event_shape", "name"):
        assert getattr(fast, name) == getattr(model, name)
    np.testing.assert_array_equal(
        fast.reconstruct(x, **options), model.reconstruct(x, **options)
    )


def test_it_is_what_decodes_fast():
    model = fast_model()
    codes = model.encode(small.waveforms(2))
    latents = model.quantizer.decode(codes)
    told = one_hot(0, 2)["global"]
    found = model.decode(codes, speaker=[0, 2], fast=True)
    expected = model.fast_decoder.waveform(latents, told)
    np.testing.assert_array_equal(found, expected)
    other = model.auxiliary.waveform(latents, told)
    assert np.abs(found - other).max() > 1e-3


def test_without_an_auxiliary_decoder_it_is_the_only_one():
    model = small.speech_vqvae(fast_decoder=fast_decoder())
    assert model.has_fast_decoder and model.auxiliary is None
    x = small.waveforms(1)
    assert model.convert(x, "bob", fast=True).shape == x.shape


def test_it_has_no_part_in_what_the_codes_say():
    """Fitted with the rest it learns, and changes no other gradient."""
    (x, context, mask), *_ = recordings()
    model = fast_model()
    others = [
        v
        for part in ("encoder", "decoder", "auxiliary", "adversary")
        for v in getattr(model, part).trainable_variables
    ]
    own = model.fast_decoder.trainable_variables
    found = []
    for weight in (0.0, 7.0):
        model.fast_decoder.weight = weight
        with tf.GradientTape() as tape:
            loss, extra, _ = model.compute_losses(x, context, mask)
            loss = tf.reduce_mean(loss) + extra
        found.append(tape.gradient(loss, [*own, *others]))
    for without, with_it in zip(*(g[len(own) :] for g in found)):
        np.testing.assert_allclose(without, with_it, atol=1e-7)
    for without, with_it in zip(*(g[: len(own)] for g in found)):
        assert not np.any(without) and np.any(with_it)


def test_its_error_is_reported_and_weighed():
    model = fast_model()
    (x, context, mask), *_ = recordings()
    latents, counted, _ = model.quantized_latents(x, mask)
    context = {**context, "local": latents}
    loss, metrics = model.further_losses(x, context, counted)
    error = model.fast_decoder.errors(latents, context["global"], x, counted)
    np.testing.assert_allclose(metrics["fast_spectral_error"], error)
    model.fast_decoder.weight += 2.0
    more, _ = model.further_losses(x, context, counted)
    np.testing.assert_allclose(more - loss, 2 * error, rtol=1e-4)


def test_a_model_with_one_is_saved(tmp_path):
    model, x = fast_model(), small.waveforms(1)
    model.save_to_preset(tmp_path / "p")
    model.save(tmp_path / "m.keras")
    for again in (
        vq.SpeechVQVAE.from_preset(tmp_path / "p"),
        keras.saving.load_model(tmp_path / "m.keras"),
    ):
        assert again.fast_decoder.dilation_rates == (1, 2)
        found = again.convert(x, "eve", fast=True)
        expected = model.convert(x, "eve", fast=True)
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
    "options, message",
    [
        (
            dict(hop=8),
            "fast decoder must have one frame per code: .*hop=4.*hop=8",
        ),
        (dict(window=6), "at most half of its window. Received: window=6"),
    ],
)
def test_one_that_does_not_fit(options, message):
    with pytest.raises(ValueError, match=message):
        with_helpers().with_fast_decoder(fast_decoder(**options))


# Alone ------------------------------------------------------------------------


def test_alone_its_loss_is_the_error_of_what_users_decode():
    trainer = SpeechFastDecoder(model := fast_model())
    trainer.compile(keras.optimizers.SGD(0.0))
    (x, context, mask), *_ = recordings()
    x = blank(x, mask)  # as what users decode is padded
    latents = model.quantizer.decode(model.encode(x)).numpy()
    counted = np.ones([6, 16], np.float32)
    counted[::3, 9:] = 0  # 33 samples are 9 codes
    errors = model.fast_decoder.errors(
        latents * counted[..., None], context["global"], x, counted
    )
    share = mask.numpy().mean(axis=1)
    expected = np.average(errors, weights=share)
    for found in (
        trainer.evaluate(recordings(), verbose=0, return_dict=True)["loss"],
        trainer.fit(recordings(), verbose=0).history["loss"][0],
    ):
        assert found == pytest.approx(expected, rel=1e-4)


def test_nothing_else_of_the_model_is_changed():
    model = fast_model()
    before = [v.numpy() for v in model.variables]
    trainer = SpeechFastDecoder(model)
    trainer.compile("adam")
    trainer.fit(recordings(), verbose=0)
    own = {id(v) for v in model.fast_decoder.variables}
    for variable, a in zip(model.variables, before):
        same = np.array_equal(variable.numpy(), a)
        assert same == (id(variable) not in own), variable.path
    assert own <= {id(v) for v in trainer.variables}
    others = {id(v) for v in model.variables} - own
    assert not others & {id(v) for v in trainer.variables}


def test_it_learns_the_spectrum():
    trainer = compiled(0.3)
    course = trainer.fit(recordings().repeat(), steps_per_epoch=10, epochs=3)
    errors = course.history["loss"]
    assert errors[-1] < 0.8 * errors[0]


def test_two_replicas():
    run_two_replica_test(compiled, recordings(), 1, 4)


@pytest.mark.parametrize("policy", POLICIES)
def test_a_step_in_each_precision(policy):
    keras.config.set_dtype_policy(policy)
    try:
        trainer = SpeechFastDecoder(fast_model())
    finally:
        keras.config.set_dtype_policy("float32")
    before = [v.numpy() for v in trainer.trainable_variables]
    trainer.compile(keras.optimizers.SGD(0.1))
    course = trainer.fit(recordings(), epochs=2, verbose=0)
    assert np.isfinite(course.history["loss"]).all()
    for a, b in zip(before, trainer.trainable_variables, strict=True):
        assert np.isfinite(b).all() and np.any(a != b), b.path


def test_batches_must_say_who_speaks():
    with pytest.raises(ValueError, match="speaker, one of 3: .*Received: none"):
        compiled().fit(tf.zeros([2, 64]), verbose=0)


def test_a_model_without_one_has_nothing_to_train():
    with pytest.raises(ValueError, match="Received: .* fast_decoder=None"):
        SpeechFastDecoder(with_helpers())


def test_data_are_checked_as_the_model_s():
    with pytest.raises(ValueError, match="multiples of the encoder's stride"):
        compiled().fit(tf.zeros([2, 62]), verbose=0)
