"""Exported models of two levels: answers, refusals and warm-up requests."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import vqvae_tf as vq
from support import small
from support.export_harness import (
    autoencoder_answers,
    call,
    kinds_of_outputs,
    prior_answers,
    run_comparison,
    run_document,
    run_refusal_test,
    run_warmup_test,
    session_of,
)
from vqvae_tf.export.saved_model import export
from vqvae_tf.export.signatures import endpoints


def decode_global(generator, global_codes, temperature, seed):
    """Returns the inputs of the signature, and what the model makes of them."""
    above = generator.prior.autoencoder
    local = above.quantizer.decode(global_codes[:, None, None])
    codes = above.decoder.sample(
        context={"local": local}, temperature=temperature, seed=seed
    )
    inputs = {
        "global_codes": global_codes,
        "temperature": np.float32(temperature),
        "seed": np.int32(seed),
    }
    return inputs, {"images": generator.decode(codes)}


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """A model of two levels, exported."""
    keras.utils.set_random_seed(1)
    generator = small.two_levels()
    expected = []
    for images in (small.pictures(5), small.pictures(1)):
        codes = generator.encode(images)
        global_codes = generator.prior.encode(codes).numpy()[:, 0, 0]
        expected += autoencoder_answers(generator, images)
        expected += prior_answers(generator, images, draws=[(0, 1.0), (7, 0.5)])
        answer = {"global_codes": global_codes}
        expected.append(("encode_global", {"images": images}, answer))
        for seed, temperature in ((0, 1.0), (7, 0.5), (7, 0.0)):
            answer = decode_global(generator, global_codes, temperature, seed)
            expected.append(("decode_global", *answer))
    # The autoencoder of pictures takes other sizes, too.
    expected += autoencoder_answers(generator, small.pictures(2)[:, :8])
    folder = tmp_path_factory.mktemp("served") / "levels"
    return generator, run_comparison(generator, folder, expected)


@pytest.fixture(scope="module")
def signatures(served):
    return tf.saved_model.load(served[1]).signatures


def test_global_codes_say_something(served):
    generator, _ = served
    codes = generator.prior.encode(generator.encode(small.pictures(5)))
    assert len(np.unique(codes.numpy().reshape(-1, 3), axis=0)) > 1


def test_signatures_name_their_outputs(signatures):
    images, codes = {"images": ("uint8", 4)}, {"codes": ("int32", 3)}
    bits = ("bits_per_dim", "reconstruction", "prior")
    assert kinds_of_outputs(signatures) == {
        "serving_default": codes,
        "encode": codes,
        "decode": images,
        "reconstruct": images,
        "sample": images,
        "score": {name: ("float32", 1) for name in bits},
        "encode_global": {"global_codes": ("int32", 2)},
        "decode_global": images,
    }
    assert signatures["encode_global"].output_shapes["global_codes"][1] == 3


def test_temperature_0_takes_the_most_probable(signatures):
    for signature in ("sample", "decode_global"):
        draws = [
            call(
                signatures,
                signature,
                {
                    **valid_inputs(signature),
                    "temperature": np.float32(temperature),
                    "seed": np.int32(seed),
                },
            )["images"].numpy()
            for temperature, seed in ((0, 0), (0, 1), (1, 0), (1, 1))
        ]
        np.testing.assert_array_equal(draws[0], draws[1])
        assert not np.array_equal(draws[2], draws[3])


@pytest.mark.slow
def test_other_precision_is_exported_in_float32(tmp_path):
    reference = small.two_levels()
    keras.config.set_dtype_policy("mixed_bfloat16")
    model = small.two_levels()
    model.set_weights(reference.get_weights())
    saved = tf.saved_model.load(export(model, tmp_path / "m")).signatures
    images = small.pictures()
    np.testing.assert_allclose(
        call(saved, "score", {"images": images})["bits_per_dim"],
        reference.bits_per_dim(images)["total"],
        rtol=0,
        atol=1e-5,
    )


def test_classes_are_of_the_prior():
    above = small.two_levels().prior.autoencoder
    prior = small.prior(3, (1, 1), num_layers=1, global_channels=10)
    generator = vq.LatentGenerator(
        small.autoencoder(), vq.LatentGenerator(above, prior)
    )
    takes_labels = {
        signature
        for signature, (_, names) in endpoints(generator).functions().items()
        if "labels" in names
    }
    assert takes_labels == {"sample", "score"}


# Refusals ---------------------------------------------------------------------


def valid_inputs(signature):
    """Returns inputs that the model of `served` accepts."""
    images = {"images": small.pictures(2)}
    drawing = {"temperature": np.float32(1), "seed": np.int32(0)}
    return {
        "encode": images,
        "encode_global": images,
        "score": images,
        "decode": {"codes": np.zeros([2, 4, 4], np.int32)},
        "sample": {"num_samples": np.int32(2), **drawing},
        "decode_global": {
            "global_codes": np.array([[0, 3, 7], [1, 2, 4]], np.int32),
            **drawing,
        },
    }[signature]


def images_of(*shape):
    return {"images": np.zeros(shape, np.uint8)}


def global_codes_of(*shape, value=0):
    return {"global_codes": np.full(shape, value, np.int32)}


SIZE = "Height and width must be 16 and 16, those of the code maps that the "
REFUSED = [
    ("encode", images_of(1, 18, 16, 3), "multiples of 4", "[1 18 16 3]"),
    ("encode_global", images_of(1, 18, 16, 3), "multiples", "[1 18 16 3]"),
    ("encode_global", images_of(1, 32, 16, 3), SIZE, "[1 32 16 3]"),
    ("encode_global", images_of(1, 8, 8, 3), SIZE, "[1 8 8 3]"),
    ("encode_global", images_of(0, 16, 16, 3), "one picture", "[0 16 16 3]"),
    ("score", images_of(1, 32, 32, 3), SIZE, "[1 32 32 3]"),
    ("score", images_of(2, 16, 8, 3), SIZE, "[2 16 8 3]"),
    (
        "decode_global",
        global_codes_of(1, 3, value=8),
        "global_codes in 0..7",
        "up to] [8]",
    ),
    (
        "decode_global",
        global_codes_of(1, 3, value=-1),
        "global_codes in 0..7",
        "down to] [-1]",
    ),
    ("decode_global", global_codes_of(0, 3), "at least one row", "[0 3]"),
    ("decode_global", {"temperature": np.float32(-1)}, "temperature", "[-1]"),
    ("decode_global", {"temperature": np.float32("nan")}, "finite", "[nan]"),
    ("sample", {"temperature": np.float32("inf")}, "finite", "[inf]"),
    ("sample", {"num_samples": np.int32(0)}, "num_samples must be", "[0]"),
    ("sample", {"num_samples": np.int32(257)}, "max_samples", "[257]"),
]


@pytest.mark.parametrize("signature, inputs, expected, received", REFUSED)
def test_refused_values(signatures, signature, inputs, expected, received):
    inputs = {**valid_inputs(signature), **inputs}
    run_refusal_test(signatures, signature, inputs, expected, received)


@pytest.mark.slow
def test_a_server_runs_the_checks_too(served):
    error = tf.errors.InvalidArgumentError
    with session_of(served[1]) as session:
        inputs = valid_inputs("decode_global")
        assert session("decode_global", inputs)["images"].shape[0] == 2
        for shape in ((1, 4), (3,), (1, 1, 1, 3)):
            inputs |= global_codes_of(*shape)
            with pytest.raises(error, match="compatible with expected shape"):
                session("decode_global", inputs)
        for signature in ("encode_global", "score"):
            with pytest.raises(error, match="must be 16 and 16"):
                session(signature, images_of(1, 32, 32, 3))


def test_refuses_codes_that_do_not_stand_for_all(tmp_path):
    above = vq.VQVAE(
        vq.Encoder(4, hidden_channels=8, num_downsamples=1),
        vq.VectorQuantizerEMA(8, 4),
        small.prior(local_channels=4, local_upsampling=2),
        preprocess=vq.CodeEmbedding(8, 6),
        event_shape=(4, 4),
    )
    top = vq.LatentGenerator(above, small.prior(event_shape=(2, 2)))
    generator = vq.LatentGenerator(small.autoencoder(), top)
    with pytest.raises(ValueError, match=r"\(4, 4\), and an encoder of 2 x 2"):
        export(generator, tmp_path / "m")
    assert not (tmp_path / "m").exists()


# Warm-up and document ---------------------------------------------------------


def test_warmup_requests_are_answered(served, signatures):
    run_warmup_test(served[1], signatures)


def test_requests_of_the_document(served, tmp_path, monkeypatch):
    sizes = ("84, 84", "16, 16")  # the preset's, and this model's
    names = run_document(
        served[1], "vqvae_dmlab84_global", [sizes], monkeypatch, tmp_path
    )
    assert names["global_codes"].shape == (2, 3)
    assert names["similar"].shape == (2, 16, 16, 3)
