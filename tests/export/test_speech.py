"""Exported models of speech: answers, refusals and warm-up requests."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf

import vqvae_tf as vq
from support import small
from support.export_harness import (
    call,
    kinds_of_outputs,
    run_comparison,
    run_document,
    run_refusal_test,
    run_server_refusals,
    run_warmup_test,
    session_of,
)
from vqvae_tf.export.signatures import endpoints
from vqvae_tf.runtime import random

RATE = np.int32(800)


def speakers(*numbers):
    return {"speaker": np.array(numbers, np.int32)}


def drawing(temperature=1.0, seed=0):
    return {"temperature": np.float32(temperature), "seed": np.int32(seed)}


def answers(generator, waveform, numbers, temperature, seed):
    """Returns what the model makes of waveforms, by signature."""
    model, count = generator.autoencoder, waveform.shape[1]
    codes = model.encode(waveform).numpy()
    heard = {"waveform": waveform, "sample_rate": RATE}
    told = {**speakers(*numbers), **drawing(temperature, seed)}
    options = dict(temperature=temperature, seed=seed)
    drawn = model.decode(codes, speaker=list(numbers), **options)
    context = model.speaker_context(list(numbers))
    sampled = generator.sample(context=context, event_shape=(5,), **options)
    seed_of_codes = random.fold_in(random.make_seed(seed), 0)
    sampled_codes = generator.prior.sample(
        len(numbers),
        event_shape=(5,),
        temperature=temperature,
        seed=seed_of_codes,
    )
    sizes = {
        "num_samples": np.int32(len(numbers)),
        "num_codes": np.int32(5),
    }
    fast = model.decode(codes, speaker=list(numbers), fast=True)
    names = speakers(*numbers)
    return [
        ("encode", heard, {"codes": codes}),
        ("decode", {"codes": codes, **told}, {"waveform": drawn}),
        ("convert", {**heard, **told}, {"waveform": drawn[:, :count]}),
        ("decode_fast", {"codes": codes, **names}, {"waveform": fast}),
        ("convert_fast", {**heard, **names}, {"waveform": fast[:, :count]}),
        (
            "sample",
            {**sizes, **told},
            {"waveform": sampled, "codes": sampled_codes},
        ),
        score(generator, waveform, numbers),
    ]


def score(generator, waveform, numbers):
    """Returns the bits of the samples that there are, by the densities."""
    model, count = generator.autoencoder, waveform.shape[1]
    codes = model.encode(waveform)
    padded = model.pad(waveform)
    context = {
        **model.speaker_context(list(numbers)),
        "local": model.quantizer.decode(codes),
    }
    mask = np.zeros(padded.shape)
    mask[:, :count] = 1
    parts = {
        "reconstruction": model.decoder.log_prob(padded, context, mask),
        "prior": generator.prior.log_prob(codes),
    }
    bits = {k: -v.numpy() / np.log(2) / count for k, v in parts.items()}
    bits["bits_per_sample"] = bits["reconstruction"] + bits["prior"]
    bits = {k: v.astype(np.float32) for k, v in bits.items()}
    heard = {"waveform": waveform, "sample_rate": RATE}
    return "score", {**heard, **speakers(*numbers)}, bits


def all_answers(generator):
    return [
        # 50 samples are 12.5 codes.
        *answers(generator, small.waveforms(2, 50), (1, 0), 1.0, seed=0),
        *answers(generator, small.waveforms(1, 3), (2,), 0.5, seed=7),
    ]


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """A model of speech with a prior, exported."""
    keras.utils.set_random_seed(1)
    generator = small.speech()
    folder = tmp_path_factory.mktemp("served") / "speech"
    expected = all_answers(generator)
    return generator, run_comparison(generator, folder, expected)


@pytest.fixture(scope="module")
def signatures(served):
    return tf.saved_model.load(served[1]).signatures


def valid_inputs(signature):
    heard = {"waveform": small.waveforms(2, 10), "sample_rate": RATE}
    told = {**speakers(0, 2), **drawing()}
    return {
        "encode": heard,
        "decode": {"codes": np.ones([2, 3], np.int32), **told},
        "convert": {**heard, **told},
        "decode_fast": {"codes": np.ones([2, 3], np.int32), **speakers(0, 2)},
        "convert_fast": {**heard, **speakers(0, 2)},
        "sample": {
            "num_samples": np.int32(2),
            "num_codes": np.int32(3),
            **told,
        },
        "score": {**heard, **speakers(0, 2)},
    }[signature]


# Answers ----------------------------------------------------------------------


def test_signatures_name_their_outputs(signatures):
    codes, waveform = {"codes": ("int32", 2)}, {"waveform": ("float32", 2)}
    bits = ("bits_per_sample", "reconstruction", "prior")
    assert kinds_of_outputs(signatures) == {
        "serving_default": codes,
        "encode": codes,
        "decode": waveform,
        "convert": waveform,
        "decode_fast": waveform,
        "convert_fast": waveform,
        "sample": {**waveform, **codes},
        "score": {name: ("float32", 1) for name in bits},
    }


def test_speakers_and_seeds_matter(signatures):
    inputs = valid_inputs("decode")
    inputs["codes"] = np.ones([2, 60], np.int32)
    others = [{}, drawing(seed=1), speakers(0, 1)]
    first, seed, speaker = (
        call(signatures, "decode", {**inputs, **other})["waveform"].numpy()
        for other in others
    )
    assert np.any(first[0] != seed[0])
    np.testing.assert_array_equal(first[0], speaker[0])
    assert np.any(first[1] != speaker[1])


def test_one_speaker_serves_all(signatures):
    inputs = valid_inputs("convert")
    one, two = (
        call(signatures, "convert", {**inputs, **speakers(*given)})["waveform"]
        for given in ([2], [2, 2])
    )
    np.testing.assert_array_equal(one, two)


def test_a_client_learns_the_speakers(served):
    text = (served[1] / "assets.extra" / "speech.json").read_text()
    assert json.loads(text) == {
        "sample_rate": 800,
        "samples_per_code": 4,
        "num_embeddings": 8,
        "speaker_names": ["ann", "bob", "eve"],
        "num_codes": 6,
    }


def compiled(function):
    """Returns whether a traced function has steps for XLA to compile."""
    functions = function.graph.as_graph_def().library.function
    return any(f.attr["_XlaMustCompile"].b for f in functions)


def test_steps_are_compiled_where_told(signatures):
    model = small.speech_vqvae()
    traced = endpoints(model, jit_sampling=True).signatures()
    assert set(traced) == {"encode", "decode", "convert", "serving_default"}
    assert compiled(traced["decode"]) and compiled(traced["convert"])
    assert not compiled(signatures["decode"])
    # That changes nothing about the model.
    assert model.decoder.density.jit_sampling == "auto"


@pytest.mark.slow
def test_compiled_steps_in_another_process(tmp_path):
    generator = small.speech()
    path = run_comparison(
        generator, tmp_path / "m", all_answers(generator), jit_sampling=True
    )
    saved = tf.saved_model.load(path).signatures
    assert all(compiled(saved[name]) for name in ("decode", "convert"))
    run_warmup_test(path, saved)


def test_jit_sampling_is_of_speech():
    with pytest.raises(ValueError, match="is for models of speech"):
        endpoints(small.autoencoder(), jit_sampling=True)


def test_without_speakers():
    model = small.speech_vqvae()
    net = small.wavenet(16, local_channels=4, local_upsampling=4)
    model = vq.SpeechVQVAE(
        model.encoder,
        model.quantizer,
        vq.WaveformDensity(net, model.preprocess),
        model.preprocess,
        auxiliary=small.spectral_decoder(sample_rate=8000),
    )
    model.build()
    signatures = endpoints(model).signatures()
    waveform = small.waveforms(2, 10)
    inputs = {
        "waveform": waveform,
        "sample_rate": np.int32(8000),
        **drawing(),
    }
    np.testing.assert_array_equal(
        call(signatures, "reconstruct", inputs)["waveform"],
        model.reconstruct(waveform, seed=0),
    )
    assert "convert" not in signatures
    del inputs["temperature"], inputs["seed"]
    np.testing.assert_allclose(
        call(signatures, "reconstruct_fast", inputs)["waveform"],
        model.reconstruct(waveform, fast=True),
        atol=1e-4,
    )
    assert "convert_fast" not in signatures


def test_a_prior_that_is_told_the_speaker():
    model = small.speech_vqvae()
    priors = [
        small.wavenet(8, event_shape=(6,), global_channels=c) for c in (3, 4)
    ]
    generator, other = (vq.LatentGenerator(model, prior) for prior in priors)
    generator.build()
    served = endpoints(generator)
    drawn = served.sample(
        tf.constant(2),
        tf.constant(6),
        speaker=tf.constant([2, 0]),
        **{k: tf.constant(v) for k, v in drawing().items()},
    )
    context = model.speaker_context(["eve", "ann"])
    np.testing.assert_array_equal(
        drawn["waveform"], generator.sample(context=context, seed=0)
    )
    with pytest.raises(ValueError, match="3 speakers. Received: .*channels=4"):
        endpoints(other)


# Refusals ---------------------------------------------------------------------


def waveform_of(*shape, value=0.0):
    return {"waveform": np.full(shape, value, np.float32)}


def codes_of(*shape, value=0):
    return {"codes": np.full(shape, value, np.int32)}


NAMES = "The speakers are ann, bob, eve. Expected speaker in 0..2."
RANGE = "Expected samples in [-1, 1]; divide 16-bit samples by 32768."
REFUSED = [
    ("encode", waveform_of(0, 8), "at least one waveform", "[0 8]"),
    ("convert", waveform_of(2, 0), "at least one sample", "[2 0]"),
    ("encode", waveform_of(2, 8, value=1.5), RANGE, "[1.5 1.5]"),
    ("score", waveform_of(2, 8, value=-9000), RANGE, "[-9000 -9000]"),
    ("convert", waveform_of(2, 8, value=np.nan), "finite numbers", "[16]"),
    ("encode", waveform_of(1, 8, value=np.inf), "finite numbers", "[8]"),
    (
        "serving_default",
        {"sample_rate": np.int32(8000)},
        "Expected a sample rate of 800 Hz; resample the waveform",
        "sample_rate =] [8000]",
    ),
    ("convert", {"sample_rate": np.int32(16000)}, "of 800", "[16000]"),
    ("score", {"sample_rate": np.int32(0)}, "of 800", "[0]"),
    ("decode", speakers(0, 3), NAMES, "up to] [3]"),
    ("convert", speakers(-1, 0), NAMES, "down to] [-1]"),
    ("sample", speakers(5), NAMES, "up to] [5]"),
    ("score", speakers(3), NAMES, "up to] [3]"),
    ("decode", speakers(0, 1, 2), "one speaker for all", "[3 2]"),
    ("sample", speakers(), "one for each", "[0 2]"),
    ("decode", codes_of(2, 3, value=8), "codes in 0..7", "up to] [8]"),
    ("decode", codes_of(2, 3, value=-1), "in 0..7", "down to] [-1]"),
    ("decode", codes_of(2, 0), "at least one row of codes", "[2 0]"),
    ("decode", drawing(temperature=-1), "temperature must", "[-1]"),
    ("convert", drawing(temperature=np.nan), "finite number", "[nan]"),
    ("sample", {"num_samples": np.int32(0)}, "num_samples must be", "[0]"),
    ("sample", {"num_codes": np.int32(0)}, "num_codes must be", "[0]"),
    ("sample", {"num_codes": np.int32(2**31 - 1)}, "max_samples", "[17179"),
    ("encode", waveform_of(1, 2**19 + 1), "max_samples", "[524289]"),
]


@pytest.mark.parametrize("signature, inputs, expected, received", REFUSED)
def test_refused_values(signatures, signature, inputs, expected, received):
    known = "encode" if signature == "serving_default" else signature
    inputs = {**valid_inputs(known), **inputs}
    run_refusal_test(signatures, signature, inputs, expected, received)


SHAPE, DTYPE = "is not compatible with expected shape", "Type mismatch"
REFUSED_BY_A_SERVER = [
    ("encode", waveform_of(8), SHAPE),
    ("convert", waveform_of(2, 8, 1), SHAPE),
    ("encode", {"waveform": np.zeros([1, 8], np.int16)}, DTYPE),
    ("encode", {"sample_rate": np.array([800], np.int32)}, SHAPE),
    ("decode", codes_of(3), SHAPE),
    ("decode", {"speaker": np.int32(1)}, SHAPE),
    ("sample", {"seed": np.zeros([2], np.int32)}, SHAPE),
    ("encode", {"sample_rate": np.int32(8000)}, "sample rate of 800 Hz"),
    ("convert", speakers(0, 3), "The speakers are ann, bob, eve"),
]


def test_a_server_runs_the_checks_too(served):
    with session_of(served[1]) as session:
        codes = session("encode", valid_inputs("encode"))["codes"]
        assert codes.shape == (2, 3)
        run_server_refusals(session, valid_inputs, REFUSED_BY_A_SERVER)


# Warm-up and document ---------------------------------------------------------


def test_warmup_requests_are_answered(served, signatures):
    run_warmup_test(served[1], signatures)


def test_requests_of_the_document(served, tmp_path, monkeypatch):
    changes = [("george", "ann"), ("theo", "bob"), ("8000.0", "80.0")]
    names = run_document(
        served[1], "vqvae_speech8k", changes, monkeypatch, tmp_path
    )
    assert names["codes"].shape == (1, 20)
    assert names["again"].shape == names["other"].shape == (1, 80)
    assert names["spoken"].shape == (2, 64 * 4)
