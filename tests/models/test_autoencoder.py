"""The autoencoder and its kin: the loss by hand, bounds, samples, manners."""

import functools
import math

import keras
import numpy as np
import pytest
import tensorflow as tf

from support.harness import (
    check_saving_after_fit,
    run_model_test,
    run_two_replica_test,
)
from vqvae_tf import (
    Autoencoder,
    Bernoulli,
    Decoder,
    Encoder,
    FactorizedDensity,
    Gaussian,
)
from vqvae_tf.bottlenecks import (
    DiagonalGaussian,
    Identity,
    IndependentCategorical,
    KSparse,
    Sparse,
    log_mean_exp,
)
from vqvae_tf.layers import (
    Binarization,
    Contractive,
    GaussianCorruption,
    MaskingNoise,
)
from vqvae_tf.runtime.adam import Adam

SIZE, CHANNELS = 8, 4


def make(bottleneck=None, likelihood=None, latents=CHANNELS, **options):
    """A model of two strides of 2, the same at each call."""
    keras.utils.set_random_seed(0)
    likelihood = likelihood or Gaussian()
    sizes = dict(hidden_channels=8, num_residual_layers=0)
    model = Autoencoder(
        Encoder(latents, **sizes),
        bottleneck or Identity(),
        FactorizedDensity(
            Decoder(likelihood.num_parameters(3), **sizes), likelihood
        ),
        event_shape=(SIZE, SIZE, 3),
        **options,
    )
    model.build()
    return model


def _vimco(**options):
    return IndependentCategorical(6, 3, 2, num_samples=3, seed=1, **options)


FAMILY = {
    "plain": make,
    "denoising": lambda: make(corruption=MaskingNoise(0.3, seed=1)),
    "denoising, Gaussian": lambda: make(
        corruption=GaussianCorruption(0.3, seed=1)
    ),
    "sparse": lambda: make(Sparse(0.1, 1.0)),
    "k-sparse": lambda: make(KSparse(5)),
    "contractive": lambda: make(regularizer=Contractive(0.1)),
    "contractive, estimated": lambda: make(
        regularizer=Contractive(0.1, "hutchinson", seed=1)
    ),
    "VAE": lambda: make(DiagonalGaussian(seed=1)),
    "beta-VAE": lambda: make(DiagonalGaussian(beta=4.0, seed=1)),
    "capacity": lambda: make(
        DiagonalGaussian(2.0, capacity=3.0, capacity_steps=5, seed=1)
    ),
    "IWAE": lambda: make(
        DiagonalGaussian(estimator="iwae", num_samples=3, seed=1)
    ),
    "VIMCO": lambda: make(_vimco(), latents=12),
    "VIMCO, resampled": lambda: make(_vimco(resample=True), latents=12),
    "VIMCO, Gaussian": lambda: make(
        DiagonalGaussian(estimator="vimco", num_samples=3, seed=1)
    ),
    "binary": lambda: make(
        DiagonalGaussian(seed=1), Bernoulli(), observation=Binarization(seed=2)
    ),
}


def pictures(count=4):
    """Pictures of one colour each, and some noise."""
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, [count, 1, 1, 3])
    x = x + rng.normal(size=[count, SIZE, SIZE, 3]) * 8
    return x.round().clip(0, 255).astype(np.uint8)


def losses(model, x, **options):
    per_example, extra, metrics = model.compute_losses(
        tf.constant(x), **options
    )
    return per_example.numpy(), float(extra), metrics


# One of each kind of part. The plain one is much like the VQ-VAE.
WHOLE = (
    "denoising",
    "sparse",
    "k-sparse",
    "contractive, estimated",
    "capacity",
    "VIMCO",
    "binary",
)


@pytest.mark.slow
@pytest.mark.parametrize("name", WHOLE)
def test_whole(name):
    # Black and white: what is drawn anew at each step would move the loss.
    x = pictures() // 128 * 255 if name == "binary" else pictures()
    run_model_test(FAMILY[name], x)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("capacity", marks=pytest.mark.slow),
        pytest.param("denoising", marks=pytest.mark.slow),
        "sparse",
    ],
)
def test_two_replicas(name):
    def compiled():
        model = FAMILY[name]()
        model.compile(keras.optimizers.SGD(0.01))
        return model

    x = pictures(16)
    dataset = tf.data.Dataset.from_tensor_slices(x).batch(8)
    run_two_replica_test(compiled, dataset, epochs=2)


def test_saving_after_fit():
    keras.utils.set_random_seed(0)
    likelihood = Gaussian()
    model = Autoencoder(
        Encoder(4, hidden_channels=8),
        DiagonalGaussian(capacity=3.0, capacity_steps=9, seed=1),
        FactorizedDensity(Decoder(3, hidden_channels=8), likelihood),
        event_shape=(SIZE, SIZE, 3),
    )
    check_saving_after_fit(model, pictures())


# The loss ---------------------------------------------------------------------


def test_plain_loss_is_the_reconstructions():
    model, x = make(), pictures()
    per_example, extra, metrics = losses(model, x)
    log_px = model.decoder.log_prob(x, {"local": model.latents(x)}).numpy()
    size = SIZE * SIZE * 3
    np.testing.assert_allclose(per_example, -log_px / size, rtol=1e-5)
    assert extra == 0.0
    bits = -log_px / size / math.log(2)
    np.testing.assert_allclose(metrics["reconstruction"], bits, rtol=1e-5)
    assert "bits_per_dim" not in metrics


def test_vae_loss_is_the_negative_elbo():
    model, x = FAMILY["VAE"](), pictures()
    per_example, _, metrics = losses(model, x)
    latents = model.latents(x)
    draw = model.bottleneck.sample(latents)
    log_px = model.decoder.log_prob(x, {"local": draw.z[0]}).numpy()
    kl = model.bottleneck.kl_divergence(latents).numpy()
    assert np.all(kl > 0)
    size = SIZE * SIZE * 3
    np.testing.assert_allclose(per_example, (kl - log_px) / size, rtol=1e-5)
    bits = (kl - log_px) / size / math.log(2)
    np.testing.assert_allclose(metrics["bits_per_dim"], bits, rtol=1e-5)
    np.testing.assert_allclose(metrics["kl"], kl, rtol=1e-5)


def test_denoising_is_trained_to_the_clean_input():
    x = pictures()
    noisy = make(corruption=MaskingNoise(0.9, seed=1))
    trained, _, _ = losses(noisy, x, training=True)
    evaluated, _, _ = losses(noisy, x)
    clean, _, _ = losses(make(), x)
    np.testing.assert_allclose(evaluated, clean, rtol=1e-6)
    assert np.all(np.abs(trained - clean) > 1e-4)
    # All that the encoder sees is black; what is modelled is not.
    noisy.corruption.rate = 1.0
    trained, _, _ = losses(noisy, x, training=True)
    black = noisy.encoder(-tf.ones([4, SIZE, SIZE, 3]))
    log_px = noisy.decoder.log_prob(x, {"local": black})
    np.testing.assert_allclose(trained, -log_px / (SIZE**2 * 3), rtol=1e-5)


def test_penalties_are_nats_over_dimensions():
    x, size = pictures(), SIZE * SIZE * 3
    sparse = FAMILY["sparse"]()
    penalty, _ = sparse.bottleneck.penalty(sparse.latents(x))
    assert float(penalty) > 0
    assert losses(sparse, x)[1] == pytest.approx(float(penalty) / size)
    contractive = FAMILY["contractive"]()
    per_example, _, metrics = losses(contractive, x)
    plain, _, _ = losses(make(), x)
    cost = metrics["contractive_cost"].numpy()
    assert np.all(cost > 0)
    # Differences of numbers of about 10, in float32.
    np.testing.assert_allclose(
        per_example - plain, cost / size, rtol=1e-3, atol=3e-6
    )


def test_binary_pictures_are_drawn_then_modelled():
    model, x = FAMILY["binary"](), pictures()
    _, _, metrics = losses(model, x)
    binary = model.observation(x)
    assert set(np.unique(binary)) == {0.0, 255.0}
    plain = make(DiagonalGaussian(seed=1), Bernoulli())
    expected = losses(plain, binary)[2]["bits_per_dim"]
    np.testing.assert_allclose(metrics["bits_per_dim"], expected, rtol=1e-5)
    drawn = [model.observation(x, training=True).numpy() for _ in range(400)]
    error = np.mean(drawn, axis=0) - x / 255.0 * 255.0
    assert np.abs(error).mean() < 127.5 / math.sqrt(400)


# Bounds -----------------------------------------------------------------------


@pytest.mark.parametrize("name", ["VAE", "VIMCO"])
def test_log_weights_are_of_each_draw(name):
    model, x = FAMILY[name](), pictures()
    weights = model.log_weights(x, 5, seed=3)
    draw = model.bottleneck.sample(model.latents(x), 5, seed=3)
    assert weights.shape == (5, 4)
    for s in range(5):
        log_px = model.decoder.log_prob(x, {"local": draw.z[s]})
        expected = log_px + draw.log_ratio[s]
        np.testing.assert_allclose(weights[s], expected, rtol=1e-5)
    bound = model.log_prob(x, num_samples=5, seed=3)
    np.testing.assert_allclose(bound, log_mean_exp(weights), rtol=1e-6)


def test_elbo_is_the_mean_weight():
    """Falsely fails with a chance below 1e-4: 4 means, 4.5 deviations."""
    model, x = FAMILY["VAE"](), pictures()
    weights = model.log_weights(x, 2000).numpy()
    latents = model.latents(x)
    kl = model.bottleneck.kl_divergence(latents).numpy()
    draw = model.bottleneck.sample(latents, 2000)
    log_px = model._log_px(tf.constant(x), draw.z).numpy()
    error = (weights - log_px).std(axis=0) / math.sqrt(2000)
    difference = weights.mean(axis=0) - (log_px.mean(axis=0) - kl)
    assert np.all(np.abs(difference) < 4.5 * error)


def gradients(model, x):
    """The gradients of the encoder's and of the decoder's variables."""
    sides = [model.encoder, model.decoder]
    with tf.GradientTape() as tape:
        losses, extra, _ = model.compute_losses(x, training=True)
        loss = tf.reduce_mean(losses) + extra
    return loss, tape.gradient(loss, [s.trainable_variables for s in sides])


def test_the_decoder_may_learn_from_one_draw():
    """Of each example, by its weight: the same on average, loss and encoder
    the same at once.

    Falsely fails with a chance below 1e-3: 1e2 directions, 4.5 deviations.
    """
    models = [FAMILY["VIMCO"](), FAMILY["VIMCO, resampled"]()]
    models[1].set_weights(models[0].get_weights())
    x, rng = tf.constant(pictures(8)), np.random.default_rng(0)
    call = [
        tf.function(functools.partial(gradients, m), autograph=False)
        for m in models
    ]
    found, chosen = [], set()
    for seed in range(60):
        sides = []
        for model, one in zip(models, call):
            # Both draw the same; what is chosen of it is another draw.
            model.bottleneck.seed_generator.state.assign([1, 2 * seed])
            sides.append(one(x))
        (loss, (encoder, decoder)), (other, (alike, resampled)) = sides
        np.testing.assert_allclose(loss, other, rtol=1e-6)
        for a, b in zip(encoder, alike):
            np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-6)
        found.append([np.array(b - a) for a, b in zip(decoder, resampled)])
        chosen.add(float(resampled[0].numpy().ravel()[0]))
    assert len(chosen) > 10
    for each in zip(*found):
        flat = np.reshape(each, [len(each), -1])
        lines = flat @ rng.normal(size=[flat.shape[1], 10])
        error = lines.std(axis=0) / math.sqrt(len(lines))
        assert np.all(np.abs(lines.mean(axis=0)) < 4.5 * error + 1e-7)


def test_fitting_raises_the_bound():
    model, x = FAMILY["VIMCO, resampled"](), pictures(16)
    before = float(tf.reduce_mean(model.log_prob(x, num_samples=20)))
    model.compile(Adam(0.01))
    model.fit(x, batch_size=16, epochs=60, verbose=0)
    after = float(tf.reduce_mean(model.log_prob(x, num_samples=20)))
    assert after > before + 50


# In and out -------------------------------------------------------------------


@pytest.mark.parametrize("name", FAMILY)
def test_encode_and_decode(name):
    model, x = FAMILY[name](), pictures()
    latents = model.encode(x)
    assert latents.dtype == tf.float32 and latents.shape[:3] == (4, 2, 2)
    found = model.reconstruct(x)
    assert found.dtype == tf.uint8 and found.shape == x.shape
    np.testing.assert_array_equal(found, model.decode(latents))
    np.testing.assert_array_equal(found, model(x))


@pytest.mark.parametrize("name", ["VAE", "VIMCO", "binary"])
def test_samples(name):
    model = FAMILY[name]()
    draw = functools.partial(model.sample, 3)
    first = draw(seed=1)
    assert first.shape == (3, SIZE, SIZE, 3) and first.dtype == tf.uint8
    np.testing.assert_array_equal(draw(seed=1), first)
    assert np.any(draw(seed=2).numpy() != first.numpy())
    graph = tf.function(draw, autograph=False)(seed=tf.constant(1))
    np.testing.assert_array_equal(graph, first)


def test_a_cold_gaussian_gives_its_mean():
    model = FAMILY["VAE"]()
    expected = model.decode(tf.zeros([2, 2, 2, CHANNELS // 2]))
    np.testing.assert_array_equal(model.sample(2, 0.0, seed=1), expected)


def test_masks_of_positions_are_refused():
    model, x = FAMILY["VAE"](), pictures()
    mask = np.ones(x.shape[:3], np.float32)
    with pytest.raises(ValueError, match=r"\[batch\]. Received: one of shape"):
        losses(model, x, weight=tf.constant(mask))


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda m: m.sample(), "Sampling needs a prior.*Identity does not"),
        (lambda m: m.log_prob(pictures()), "A bound needs a prior"),
        (lambda m: m.encode(pictures()[0]), "Add a batch axis"),
        (lambda m: m.encode(pictures() / 255.0), "scaled already"),
        (lambda m: m.decode(np.zeros([1, 2, 2, 4], np.int32)), "must be float"),
        (
            lambda m: m.decode(tf.zeros([1, 2, 4])),
            "Latents must be float .batch",
        ),
    ],
)
def test_refusals(call, message):
    with pytest.raises(ValueError, match=message):
        call(make())


def test_sampling_needs_sizes():
    model = Autoencoder(
        Encoder(4, hidden_channels=8),
        DiagonalGaussian(),
        FactorizedDensity(Decoder(3, hidden_channels=8), Gaussian()),
    )
    with pytest.raises(ValueError, match="Sampling needs sizes"):
        model.sample()
