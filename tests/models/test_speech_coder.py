"""Training the codes of waveforms before the WaveNet."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from support import small
from support.harness import run_two_replica_test
from support.speech_helpers import recordings, with_helpers
from vqvae_tf.models import SpeechCoder


def compiled(learning_rate=0.01):
    coder = SpeechCoder(with_helpers())
    coder.compile(keras.optimizers.SGD(learning_rate))
    return coder


def test_the_loss_is_the_model_s_without_the_waveform_s():
    model = with_helpers()
    coder = SpeechCoder(model)
    found = []
    for each in (model, coder):
        each.compile(keras.optimizers.SGD(0.0))
        found.append(each.evaluate(recordings(), verbose=0, return_dict=True))
    whole, codes = found
    nll = whole.pop("reconstruction") * np.log(2)
    del whole["bits_per_dim"]
    assert codes.pop("loss") == pytest.approx(whole.pop("loss") - nll, abs=1e-5)
    assert codes == pytest.approx(whole)
    assert "perplexity" in codes and "adversary_accuracy" in codes


def test_the_model_s_own_parts_are_trained_but_the_wavenet():
    model = with_helpers()
    parts = (model.encoder, model.adversary, model.auxiliary, model.decoder)
    before = [[v.numpy() for v in part.trainable_variables] for part in parts]
    coder = SpeechCoder(model)
    coder.compile("adam")
    coder.fit(recordings(), verbose=0)
    for part, old in zip(parts, before):
        for variable, a in zip(part.trainable_variables, old):
            b = variable.numpy()
            assert (a == b).all() == (part is model.decoder), variable.path
    trained = {id(v) for v in coder.variables}
    assert not trained & {id(v) for v in model.decoder.variables}


def test_what_is_learned_is_the_spectrum():
    coder = compiled(0.3)
    course = coder.fit(recordings().repeat(), steps_per_epoch=10, epochs=3)
    errors = course.history["spectral_error"]
    assert errors[-1] < 0.8 * errors[0]


def test_two_replicas():
    run_two_replica_test(compiled, recordings(), 1, 4)


def test_without_an_auxiliary_decoder_nothing_trains_the_codes():
    with pytest.raises(ValueError, match="Received: .* auxiliary=None"):
        SpeechCoder(small.speech_vqvae())


def test_a_model_that_is_not_built_is():
    built = with_helpers()
    model = type(built).from_config(built.get_config())
    assert not model.built
    coder = SpeechCoder(model)
    assert len(coder.trainable_variables) > 10
    assert model.built


def test_data_are_checked_as_the_model_s():
    with pytest.raises(ValueError, match="multiples of the encoder's stride"):
        compiled().fit(tf.zeros([2, 62]), verbose=0)
