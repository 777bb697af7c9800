"""What cards and logs show of a model."""

import keras
import numpy as np
import pytest

from support import small
from vqvae_tf import layers
from vqvae_tf.bottlenecks import Identity
from vqvae_tf.tasks.pictures import sheets as previews


def test_two_rows():
    images = small.pictures(3)
    for model in (small.autoencoder(), small.vae()):
        originals, again = previews.rows(model, images)
        np.testing.assert_array_equal(originals, images)
        np.testing.assert_array_equal(again, model.reconstruct(images))


@pytest.mark.parametrize(
    "corruption, share",
    [(layers.MaskingNoise(0.5), 0.5), (layers.SaltAndPepperNoise(1.0), 1.0)],
)
def test_a_denoising_model_gets_three_rows(corruption, share):
    """Falsely fails with a chance below 1e-6: 2,304 entries, 5 deviations."""
    model = small.vae(Identity(), corruption=corruption)
    images = small.pictures(3)
    originals, damaged, restored = previews.rows(model, images)
    np.testing.assert_array_equal(originals, images)
    changed = damaged != images
    assert set(np.unique(damaged[changed])) <= {0, 255}
    # Some entries were black, or white, already.
    extreme = np.isin(damaged, [0, 255]).mean()
    assert share - 5 * 0.5 / 48 < extreme
    assert share == 1 or changed.mean() < share + 5 * 0.5 / 48
    # What stands in a row belongs together, and is the same each time.
    np.testing.assert_array_equal(restored, model.reconstruct(damaged))
    for a, b in zip(
        previews.rows(model, images[:2]), previews.rows(model, images)
    ):
        np.testing.assert_array_equal(a, b[:2])


def test_noise_beyond_white_is_shown_white():
    noise = layers.GaussianCorruption(1.0)
    model = small.vae(Identity(), corruption=noise)
    images = np.full([2, 16, 16, 3], 255, np.uint8)
    _, damaged, restored = previews.rows(model, images)
    # Half of the noise is upwards: 1,536 entries, 5 deviations.
    assert abs((damaged == 255).mean() - 0.5) < 5 * 0.5 / 39
    # The model sees what is beyond.
    assert np.any(restored != model.reconstruct(damaged).numpy())


def test_corrupted_rows_in_half_precision():
    keras.config.set_dtype_policy("mixed_bfloat16")
    model = small.vae(Identity(), corruption=layers.MaskingNoise(0.5))
    images = small.pictures(2)
    _, damaged, restored = previews.rows(model, images)
    assert np.any(damaged != images) and restored.dtype == np.uint8


def test_who_can_sample():
    assert previews.can_sample(small.generator())
    assert previews.can_sample(small.vae())
    assert not previews.can_sample(small.autoencoder())
    assert not previews.can_sample(small.vae(Identity()))
