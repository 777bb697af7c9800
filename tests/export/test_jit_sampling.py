"""SavedModels whose samples XLA draws."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from support import levels, small
from support.export_harness import call
from vqvae_tf import LatentGenerator
from vqvae_tf.export.saved_model import export
from vqvae_tf.export.signatures import endpoints


def of_levels():
    model = levels.model(event_shape=(levels.SIZE, levels.SIZE, 3))
    return LatentGenerator(model, levels.chain(model, num_classes=3))


@pytest.mark.parametrize(
    "make", [lambda: small.generator(num_classes=3), of_levels]
)
def test_compiled_samples_are_the_same(tmp_path, make):
    keras.utils.set_random_seed(1)
    generator = make()
    found = []
    for jit_sampling in (None, True):
        folder = export(
            generator, tmp_path / str(jit_sampling), jit_sampling=jit_sampling
        )
        model = tf.saved_model.load(folder)
        drawn = [
            call(
                model.signatures,
                "sample",
                {
                    "num_samples": np.int32(count),
                    "temperature": np.float32(1),
                    "seed": np.int32(count),
                    "labels": np.int32([1]),
                },
            )["images"]
            for count in (1, 3)
        ]
        found.append([np.int32(images) for images in drawn])
    for plain, compiled in zip(*found):
        # XLA may round a pixel to the level beside it.
        np.testing.assert_allclose(compiled, plain, atol=1)
    assert np.ptp(found[0][1][0] - found[0][1][1]) > 1  # samples differ


def test_nothing_is_drawn_in_steps():
    with pytest.raises(ValueError, match="with a prior. Received: .*a VQVAE"):
        endpoints(small.autoencoder(), jit_sampling=False)
