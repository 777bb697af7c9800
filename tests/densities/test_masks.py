"""A mask of positions: what is under it counts nowhere, whatever it is."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import vqvae_tf as vq
from support import small
from vqvae_tf.densities.base import blank


def grey_codes(count=2, size=4, num_codebooks=1, seed=0):
    rng = np.random.default_rng(seed)
    ends = (num_codebooks,) if num_codebooks > 1 else ()
    return rng.integers(0, 8, [count, size, size, *ends]).astype(np.int32)


def pixel_cnn(num_codebooks=1):
    density = small.prior(num_codebooks)
    density.build()
    return density, grey_codes(num_codebooks=num_codebooks), {}


def wavenet():
    density = small.wavenet(8, event_shape=(12,))
    density.build()
    return density, grey_codes(2, 12)[:, 0], {}


def waveform_density():
    density = vq.WaveformDensity(
        small.wavenet(16, local_channels=4, local_upsampling=4), vq.MuLaw(16)
    )
    density.build()
    x = small.waveforms(2, 16)
    return density, x, {"local": np.ones([2, 4, 4], np.float32)}


def factorized():
    likelihood = vq.Gaussian()
    density = vq.FactorizedDensity(
        vq.Decoder(3, hidden_channels=8, num_residual_layers=1), likelihood
    )
    local = np.random.default_rng(0).normal(size=[2, 4, 4, 4])
    context = {"local": local.astype(np.float32)}
    density.log_prob(
        small.pictures(2), {"local": tf.constant(local, "float32")}
    )
    return density, small.pictures(2), context


def conditional(num_codebooks=1, **marginals):
    network = vq.PastFrames(
        8, num_past=2, num_actions=3, embedding_dim=4, hidden_channels=8
    )
    density = vq.ConditionalDensity(
        network, small.prior(num_codebooks, local_channels=8), **marginals
    )
    density.build()
    context = {
        "past": np.stack([grey_codes(seed=1), grey_codes(seed=2)], axis=1),
        "action": np.array([0, 2], np.int32),
    }
    return density, grey_codes(num_codebooks=num_codebooks), context


def vqvae():
    return small.autoencoder(), small.pictures(2), {}


def vqvae_of_codes():
    model = small.two_levels().prior.autoencoder
    return model, grey_codes(), {}


def speakers():
    return {"global": np.eye(3, dtype=np.float32)[:2]}


def speech_vqvae():
    helpers = dict(
        auxiliary=small.spectral_decoder(),
        adversary=vq.layers.LabelAdversary(3, channels=4),
        fast_decoder=small.spectral_decoder(name="fast"),
    )
    return small.speech_vqvae(**helpers), small.waveforms(2, 48), speakers()


def speech_coder():
    model, x, context = speech_vqvae()
    return vq.models.SpeechCoder(model), x, context


def speech_fast_decoder():
    model, x, context = speech_vqvae()
    return vq.models.SpeechFastDecoder(model), x, context


MODELS = {
    "PixelCNN": pixel_cnn,
    "PixelCNN of two codebooks": lambda: pixel_cnn(2),
    "WaveNet": wavenet,
    "WaveformDensity": waveform_density,
    "FactorizedDensity": factorized,
    "ConditionalDensity": conditional,
    "with marginals": lambda: conditional(marginal_channels=4),
    "with marginals of two codebooks": lambda: conditional(
        2, marginal_channels=4
    ),
    "VQVAE": vqvae,
    "VQVAE of codes": vqvae_of_codes,
    "SpeechVQVAE": speech_vqvae,
    "SpeechCoder": speech_coder,
    "SpeechFastDecoder": speech_fast_decoder,
}


def masked(x, rank):
    """A mask with holes, and data that differ from x in the holes alone."""
    shape = x.shape[: 1 + rank]
    mask = np.ones(shape, np.float32)
    mask[0, -shape[1] // 4 :] = 0
    mask[:, 2] = 0
    other = np.where(
        np.reshape(mask, shape + (1,) * (x.ndim - 1 - rank)) > 0,
        x,
        x[::-1, ::-1],
    )
    assert np.any(other != x)
    return mask, other.astype(x.dtype)


def figures(model, x, context, mask):
    """Loss and metrics of a batch."""
    context = keras.tree.map_structure(tf.constant, context)
    loss, extra, metrics = model.compute_losses(
        tf.constant(x), context, weight=tf.constant(mask), training=False
    )
    return {"loss": loss, "extra": extra, **metrics}


@pytest.mark.parametrize("name", MODELS)
def test_data_under_a_mask_change_no_loss_and_no_metric(name):
    model, x, context = MODELS[name]()
    rank = {4: 2, 3: 2}.get(x.ndim, 1)
    mask, other = masked(x, rank)
    expected = figures(model, x, context, mask)
    received = figures(model, other, context, mask)
    assert expected.keys() == received.keys() and len(expected) > 1
    for key, value in expected.items():
        assert np.all(np.isfinite(keras.tree.flatten(value)[0])), key
        for new, old in zip(
            keras.tree.flatten(received[key]), keras.tree.flatten(value)
        ):
            np.testing.assert_array_equal(new, old, key)
    # Without the mask they differ.
    whole = figures(model, other, context, np.ones_like(mask))
    assert np.any(whole["loss"] != expected["loss"])


def test_data_under_a_mask_train_nothing():
    """Weights, codebook and metrics after a step, of a model of its parts."""
    weights = []
    model, x, context = speech_vqvae()
    mask, other = masked(x, 1)
    start = model.get_weights()
    for data in (x, other):
        model.set_weights(start)
        model.compile(keras.optimizers.SGD(0.1))
        logs = model.train_on_batch(
            data, context, sample_weight=mask, return_dict=True
        )
        weights.append([*model.get_weights(), *logs.values()])
    for new, old in zip(*weights):
        np.testing.assert_array_equal(new, old)


def test_a_generator_does_not_look_under_a_mask():
    model, x = small.generator(), small.pictures(2)
    mask, other = masked(x, 2)
    expected = model.bits_per_dim(x, mask=mask)
    for name, value in model.bits_per_dim(other, mask=mask).items():
        np.testing.assert_array_equal(value, expected[name], name)
    np.testing.assert_array_equal(
        model.log_prob(other, mask=mask), model.log_prob(x, mask=mask)
    )


def test_marginals_of_positions_are_means_of_those_that_count():
    """The loss of two halves, by their sizes, is that of the whole."""
    model, x, context = conditional(2, marginal_channels=4)
    whole = figures(model, x, context, np.ones(x.shape[:3], np.float32))
    mask = np.zeros(x.shape[:3], np.float32)
    mask[:, :1] = 1  # the rows before see none that is hidden
    first = figures(model, x, context, mask)
    # The rest has other codes before it, which the marginals do not see.
    rest = figures(model, x, context, 1 - mask)
    name = "marginal_bits_per_dim"
    np.testing.assert_allclose(
        0.25 * first[name] + 0.75 * rest[name], whole[name], rtol=1e-5
    )
    nothing = figures(model, x, context, 0 * mask)
    np.testing.assert_array_equal(nothing["loss"], [0, 0])


def test_blank_keeps_what_counts_and_its_type():
    x = tf.constant([[[250, 1], [3, 4]]], tf.uint8)
    result = blank(x, tf.constant([[0.5, 0.0]]))
    assert result.dtype == tf.uint8
    np.testing.assert_array_equal(result, [[[250, 1], [0, 0]]])
    assert blank(x, None) is x
