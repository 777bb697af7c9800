"""The adversary: what it tells, and the gradient that it turns round."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from support.convolution_oracle import convolved
from vqvae_tf.layers import LabelAdversary


def example(batch=3, time=5, channels=4, classes=2, seed=0):
    rng = np.random.default_rng(seed)
    latents = rng.normal(size=[batch, time, channels]).astype(np.float32)
    labels = np.eye(classes, dtype=np.float32)[rng.integers(0, classes, batch)]
    return latents, labels


def reference(layer, x, label):
    """The cross-entropy of one unpadded sequence."""
    for conv in layer.convolutions:
        x = convolved(x, *(v.numpy() for v in conv.variables))
    kernel, bias = (v.numpy() for v in layer.logits.variables)
    logits = (x @ kernel + bias).mean(axis=0)
    return np.log(np.exp(logits).sum()) - logits[label.argmax()]


def test_cross_entropy_of_numpy():
    latents, labels = example()
    layer = LabelAdversary(2, channels=6)
    loss, right = layer(latents, labels)
    expected = [reference(layer, x, y) for x, y in zip(latents, labels)]
    np.testing.assert_allclose(loss, expected, rtol=1e-5)
    # Of two labels the right one is told where it has more than one half.
    np.testing.assert_array_equal(right, np.array(expected) < np.log(2))


def test_padding_says_nothing():
    latents, labels = example()
    layer = LabelAdversary(2, channels=6)
    mask = np.array([[1, 1, 1, 0, 0]] * 3, np.float32)
    loss, _ = layer(latents, labels, mask)
    short, _ = layer(latents[:, :3], labels)
    np.testing.assert_allclose(loss, short, rtol=1e-5)
    other = np.where(mask[..., None] > 0, latents, 7.0)
    np.testing.assert_allclose(layer(other, labels, mask)[0], loss, rtol=1e-6)


@pytest.mark.parametrize("weight", [0.0, 0.03, 2.0])
def test_the_gradient_to_the_latents_is_reversed(weight):
    latents, labels = example()
    layer = LabelAdversary(2, channels=6, weight=weight)
    layer(latents, labels)
    plain = LabelAdversary.from_config({**layer.get_config(), "weight": 1.0})
    plain(latents, labels)
    for a, b in zip(plain.variables, layer.variables):
        a.assign(b)

    def gradients(layer):
        x = tf.constant(latents)
        with tf.GradientTape() as tape:
            tape.watch(x)
            loss = tf.reduce_sum(layer(x, labels)[0])
        return tape.gradient(loss, [x, *layer.trainable_variables])

    (of_x, *own), (of_x_plain, *own_plain) = gradients(layer), gradients(plain)
    np.testing.assert_allclose(of_x, weight * of_x_plain, atol=1e-7)
    # A finite difference says which of the two signs the plain one has.
    step = 1e-2 * of_x_plain / tf.norm(of_x_plain)
    moved = tf.reduce_sum(plain(latents + step, labels)[0])
    assert moved < tf.reduce_sum(plain(latents, labels)[0])
    # The classifier itself learns as ever.
    for a, b in zip(own, own_plain):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7)


def test_it_is_saved_with_its_options(tmp_path):
    latents, labels = example()
    inputs = [keras.Input([5, 4]), keras.Input([2])]
    layer = LabelAdversary(2, channels=6, weight=0.5, name="adversary")
    model = keras.Model(inputs, layer(*inputs))
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    assert again.get_layer("adversary").weight == 0.5
    for a, b in zip(model([latents, labels]), again([latents, labels])):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    "options, message",
    [
        (dict(num_classes=0), "num_classes must be"),
        (dict(num_classes=2, channels=0), "channels must be"),
        (dict(num_classes=2, weight=-1.0), "weight must be a finite number"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(ValueError, match=message):
        LabelAdversary(**options)
