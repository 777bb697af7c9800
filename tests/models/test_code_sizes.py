"""Models whose quantizer's codebooks have different numbers of codes."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import vqvae_tf as vq
from support import small
from support.harness import saved_and_loaded
from vqvae_tf.encoding.arrays import encode_array
from vqvae_tf.encoding.encoder import CodeEncoder, code_dtype
from vqvae_tf.evaluation.statistics import CodeCounts
from vqvae_tf.quantizers import GroupedQuantizer, ResidualQuantizer

SIZES = (8, 4, 6)


def quantizer():
    stages = [vq.VectorQuantizerEMA(size, 4, seed=1) for size in SIZES[:2]]
    last = vq.VectorQuantizerEMA(SIZES[2], 2, seed=1)
    return GroupedQuantizer([ResidualQuantizer(stages), last])


def autoencoder():
    model = vq.VQVAE(
        vq.Encoder(6, **small.SMALL),
        quantizer(),
        vq.FactorizedDensity(vq.Decoder(3, **small.SMALL), vq.Gaussian()),
        event_shape=(small.SIZE, small.SIZE, 3),
    )
    model.build()
    # Latents of the size of the codebooks, so that several codes are used.
    rng = np.random.default_rng(1)
    residual, last = model.quantizer.quantizers
    for stage in (*residual.stages, last):
        stage.set_codebook(rng.normal(0, 0.05, stage.embeddings.shape[1:]))
    return model


def prior(sizes=SIZES, **options):
    return vq.PixelCNN(
        sizes,
        (4, 4),
        num_codebooks=3,
        hidden_channels=8,
        num_layers=1,
        head_channels=8,
        **options,
    )


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(0)
    model = vq.LatentGenerator(autoencoder(), prior())
    model.build()
    return model


def assert_same(copy, model):
    """The same codes, bound and samples."""
    x = small.pictures(3)
    assert copy.prior.num_codes == copy.autoencoder.quantizer.num_codes == SIZES
    np.testing.assert_array_equal(copy.encode(x), model.encode(x))
    np.testing.assert_array_equal(copy.log_prob(x), model.log_prob(x))
    np.testing.assert_array_equal(
        copy.sample(2, seed=1), model.sample(2, seed=1)
    )


def test_the_bound_is_finite_and_samples_are_decoded(model):
    x = small.pictures(3)
    codes = model.encode(x).numpy()
    assert codes.shape == (3, 4, 4, 3) and np.all(codes < SIZES)
    assert all(len(np.unique(codes[..., g])) > 1 for g in range(3))
    assert np.all(np.isfinite(model.log_prob(x)))
    # Hot enough that every code of the largest codebook would be drawn.
    draws = model.sample(4, seed=0, temperature=1e6, decoder_temperature=0)
    assert draws.shape == (4, small.SIZE, small.SIZE, 3)
    mask = np.ones(x.shape[:-1], bool)
    mask[:, 8:] = False
    done = model.sample(seed=0, given=x, given_mask=mask)
    np.testing.assert_array_equal(done.numpy()[mask], x[mask])


def test_keras_files(model):
    assert_same(saved_and_loaded(model), model)


def test_presets(model, tmp_path):
    model.save_to_preset(tmp_path / "preset")
    assert_same(vq.LatentGenerator.from_preset(tmp_path / "preset"), model)


@pytest.mark.parametrize("sizes", [8, (8, 4, 8), (4, 8, 6)])
def test_a_prior_of_other_numbers_is_refused(model, sizes):
    message = (
        r"with num_codes=\(8, 4, 6\). Received: .* Make it with "
        r"num_embeddings=\[8, 4, 6\] and num_codebooks=3"
    )
    with pytest.raises(ValueError, match=message):
        vq.LatentGenerator(model.autoencoder, prior(sizes))


def test_a_quantizer_of_equal_numbers_takes_no_smaller_codebook():
    equal = small.autoencoder(3)
    with pytest.raises(ValueError, match=r"with num_codes=\(8, 8, 8\)"):
        vq.LatentGenerator(equal, prior((8, 4, 8)))


def test_codes_of_data(model, tmp_path):
    """In the smallest integers that hold those of the largest codebook."""
    x = small.pictures(3)
    expected = model.encode(x)
    codes = encode_array(model.autoencoder, x, batch_size=2)
    assert codes.dtype == np.uint8
    np.testing.assert_array_equal(codes, expected)
    assert code_dtype(model.autoencoder.quantizer) == np.uint8
    model.save_to_preset(
        tmp_path / "preset", metadata={"data": {"image_size": small.SIZE}}
    )
    found = CodeEncoder(tmp_path / "preset", batch_size=4)(x)["codes"]
    np.testing.assert_array_equal(found, expected)


def test_figures_of_codes(model):
    codes = model.encode(small.pictures(6)).numpy()
    counts = CodeCounts(model.autoencoder.quantizer)
    counts.add(codes)
    used = [len(np.unique(codes[..., g])) / SIZES[g] for g in range(3)]
    assert counts.figures()["usage"] == pytest.approx(np.mean(used))


def test_it_is_trained():
    model = autoencoder()
    model.compile(keras.optimizers.SGD(1e-3))
    x = small.pictures(4)
    logs = model.fit(x, batch_size=4, epochs=2, verbose=0).history
    assert np.all(np.isfinite(logs["loss"]))
    usages = [v for name, v in logs.items() if name.endswith("usage")]
    assert usages and np.all((np.array(usages) > 0) & (np.array(usages) <= 1))
    uniform = np.log2(8) + np.log2(4) + np.log2(6)
    assert model.quantizer.bits_per_position == pytest.approx(uniform)


def test_data_that_are_codes():
    """Of a second level whose decoder models codebooks of several sizes."""
    decoder = prior((8, 4, 6), local_channels=4, local_upsampling=2)
    above = vq.VQVAE(
        vq.Encoder(4, num_downsamples=1, **small.SMALL),
        vq.VectorQuantizer(5, 4),
        decoder,
        preprocess=Offsets(),
        event_shape=(4, 4, 3),
    )
    top = vq.PixelCNN(5, (2, 2), hidden_channels=8, num_layers=1)
    model = vq.LatentGenerator(autoencoder(), vq.LatentGenerator(above, top))
    assert model.prior.num_codes == SIZES
    assert model.num_codes is None
    assert np.all(np.isfinite(model.log_prob(small.pictures(2))))
    assert model.sample(2, seed=0).shape == (2, small.SIZE, small.SIZE, 3)


class Offsets(keras.layers.Layer):
    """Codes as numbers around 0."""

    def call(self, x):
        return tf.cast(x, tf.float32) - 3.0
