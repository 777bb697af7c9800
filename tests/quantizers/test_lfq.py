"""Look-up-free and binary spherical quantization, with their entropies."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, strategies as st

from support.harness import two_replicas
from support.quantizer_harness import run_quantizer_test
from vqvae_tf.quantizers import BSQ, FSQ, LFQ

CLASSES = pytest.mark.parametrize("cls", [LFQ, BSQ])


def latents(bits, count=40, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(0, 0.3, [count, bits]).astype(np.float32)


def entropy(p):
    with np.errstate(divide="ignore", invalid="ignore"):
        return -np.where(p > 0, p * np.log(p), 0.0).sum(-1)


def oracle(layer, z, weights):
    """The loss by a softmax over all 2^L corners, in float64."""
    z, bits = np.asarray(z, np.float64), layer.num_bits
    spherical = isinstance(layer, BSQ)
    if spherical:
        z = z / np.linalg.norm(z, axis=-1, keepdims=True)
    corners = np.array(np.meshgrid(*[[-1.0, 1.0]] * bits, indexing="ij"))
    corners = corners.reshape(bits, -1).T * (bits**-0.5 if spherical else 1.0)
    logits = 2 * z @ corners.T / layer.temperature
    p = np.exp(logits - logits.max(-1, keepdims=True))
    p /= p.sum(-1, keepdims=True)
    weights = weights / weights.sum()
    mean = weights @ p
    whole = entropy(mean)
    if spherical:
        ones = mean @ (corners > 0)
        whole = sum(entropy(np.array([q, 1 - q])) for q in ones)
    codes = np.argmax(logits, axis=-1)
    commitment = weights @ ((z - corners[codes]) ** 2).mean(-1)
    entropies = weights @ entropy(p) - layer.diversity * whole
    loss = layer.commitment_cost * commitment
    return codes, corners[codes], loss + layer.entropy_weight * entropies


@pytest.mark.parametrize(
    "cls, options",
    [
        (LFQ, dict(num_bits=4)),
        (LFQ, dict(num_bits=3, entropy_weight=0.0, commitment_cost=1.0)),
        (BSQ, dict(num_bits=5, temperature=0.5, diversity=0.5)),
    ],
    ids=["LFQ", "commitment alone", "BSQ"],
)
def test_harness(cls, options):
    run_quantizer_test(cls, options, identity_gradient=cls is LFQ)


@CLASSES
@given(
    bits=st.integers(1, 9),
    temperature=st.sampled_from([0.01, 0.3, 2.0]),
    diversity=st.sampled_from([0.0, 1.0, 2.5]),
)
def test_entropies_are_those_of_the_softmax(cls, bits, temperature, diversity):
    """Of 2^L corners, which are never made; of BSQ, bit by bit."""
    layer = cls(bits, 0.7, diversity, temperature, 0.3)
    z = latents(bits, seed=bits)
    weights = np.random.default_rng(1).uniform(0, 1, len(z)).astype(np.float32)
    quantized, codes = layer(z, mask=weights, return_codes=True)
    expected_codes, expected, loss = oracle(layer, z, weights)
    np.testing.assert_array_equal(codes, expected_codes)
    np.testing.assert_allclose(quantized, expected, rtol=1e-6)
    np.testing.assert_allclose(sum(layer.losses), loss, 2e-5, 2e-6)


def test_bits_by_themselves_are_an_upper_bound_of_the_batchs_entropy():
    """It is equal where bits are independent."""
    layer, rng = BSQ(6), np.random.default_rng(0)
    p = tf.constant(rng.uniform(size=[30, 6]), tf.float32)
    weights = tf.ones([30])
    bound = layer._batch_entropy(p, weights)
    exact = LFQ._batch_entropy(layer, p, weights)
    assert bound > exact + 1e-3
    same = tf.repeat(p[:1], 30, axis=0)
    np.testing.assert_allclose(
        layer._batch_entropy(same, weights),
        LFQ._batch_entropy(layer, same, weights),
        rtol=1e-5,
    )


@CLASSES
def test_the_entropy_loss_spreads_codes_and_makes_latents_decide(cls):
    """By gradient descent on latents alone."""
    # Latents of BSQ stay on the sphere, and are as sure as that allows.
    temperature = 0.5 if cls is LFQ else 0.15
    layer = cls(4, temperature=temperature, commitment_cost=0.0)
    z = tf.Variable(0.05 + 0.1 * latents(4, count=64))
    before = len(np.unique(layer.encode(z)))

    @tf.function
    def step():
        with tf.GradientTape() as tape:
            layer(z)
            loss = tf.add_n(layer.losses)
        z.assign_sub(30.0 * tape.gradient(loss, z))
        return loss

    losses = [float(step()) for _ in range(100)]
    assert losses[-1] < losses[0]
    assert len(np.unique(layer.encode(z))) >= before
    # The least that is possible: each is sure, and all codes are as frequent.
    assert losses[-1] < -0.09 * np.log(16)


@CLASSES
def test_gradients_of_two_replicas_are_those_of_one(cls):
    """The batch's entropy is that of both replicas together."""
    layer, z = cls(4, temperature=0.5), tf.constant(latents(4))
    layer.build(z.shape)

    def gradient(z):
        with tf.GradientTape() as tape:
            tape.watch(z)
            layer(z)
            loss = tf.add_n(layer.losses)
        return tape.gradient(loss, z)

    @tf.function
    def on_both(z):
        def run():
            context = tf.distribute.get_replica_context()
            first = context.replica_id_in_sync_group == 0
            # As a trainer scales the losses of replicas.
            return gradient(z[:20] if first else z[20:]) / 2.0

        return two_replicas().run(run)

    parts = two_replicas().experimental_local_results(on_both(z))
    np.testing.assert_allclose(
        np.concatenate(parts), gradient(z), rtol=1e-4, atol=1e-8
    )


def test_the_first_channel_is_the_most_significant_bit():
    layer = LFQ(3)
    codes = layer.encode([[-1.0, -1.0, 1.0], [1.0, -1.0, -1.0]])
    np.testing.assert_array_equal(codes, [1, 4])
    np.testing.assert_array_equal(
        layer.decode(codes), layer.codebook.numpy()[[1, 4]]
    )


def test_many_bits_need_no_table_of_probabilities():
    layer = LFQ(20)
    quantized = layer(latents(20, count=8))
    assert np.all(np.abs(quantized) == 1)
    assert np.isfinite(layer.losses[0])


@pytest.mark.parametrize(
    "options, message",
    [
        (dict(num_bits=0), "num_bits must be a positive integer"),
        (dict(num_bits=25), r"in 1..24. Received: num_bits=25"),
        (dict(num_bits=4, temperature=0), "temperature must be"),
        (dict(num_bits=4, diversity=-1), "diversity must be"),
    ],
)
@CLASSES
def test_what_is_refused(cls, options, message):
    with pytest.raises(ValueError, match=message):
        cls(**options)


@pytest.mark.parametrize(
    "layer, size", [(LFQ(21), 2**21), (BSQ(21), 2**21), (FSQ([11] * 6), 11**6)]
)
def test_an_implied_codebook_is_written_out_only_if_it_is_small(layer, size):
    message = f"up to 1,048,576 codes.*of {size:,}. Use decode"
    with pytest.raises(ValueError, match=message):
        _ = layer.codebook
    # The vectors of single codes are.
    assert layer.decode([0, size - 1]).shape == (2, layer.channels)
