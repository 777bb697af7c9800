"""A discriminator of patches."""

import numpy as np
import pytest
import tensorflow as tf

from support.harness import run_layer_test
from vqvae_tf import PatchDiscriminator


def make(**options):
    return PatchDiscriminator(
        **{**dict(hidden_channels=8, num_layers=2), **options}
    )


def pictures(count=2, size=16):
    rng = np.random.default_rng(0)
    return rng.normal(size=[count, size, size, 3]).astype(np.float32)


@pytest.mark.slow
@pytest.mark.parametrize("norm", ["group", "batch", None])
def test_all_of_a_discriminator(norm):
    run_layer_test(
        lambda **options: make(norm=norm, **options),
        pictures(),
        (2, 4, 4, 1),
        float32_state="norm",
    )


def test_a_logit_sees_its_patch_alone():
    """34 pixels with two convolutions of stride 2; no norm mixes more."""
    network = make(norm=None)
    x = tf.constant(pictures(1, 64))
    with tf.GradientTape() as tape:
        tape.watch(x)
        middle = network(x)[0, 8, 8, 0]
    seen = np.any(tape.gradient(middle, x)[0].numpy(), axis=-1)
    rows = np.flatnonzero(seen.any(axis=1))
    assert rows[-1] - rows[0] + 1 == 34


def test_channels_double():
    network = make(hidden_channels=4, num_layers=5)
    assert [conv.filters for conv in network.convs] == [4, 8, 16, 32, 32, 32]


def test_batch_norm_ignores_padding():
    network = make(norm="batch")
    x = pictures(4)
    network(x)
    weight = tf.constant([1.0, 1.0, 0.0, 0.0])
    found = network(x, training=True, weight=weight)[:2]
    alone = network(x[:2], training=True)
    np.testing.assert_allclose(found, alone, rtol=1e-4, atol=1e-6)


def test_another_norm():
    with pytest.raises(ValueError, match="norm must be one of batch, group"):
        make(norm="instance")
