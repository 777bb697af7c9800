"""Exported models of sequences: answers, refusals and warm-up requests."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from support import sequences, small
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
from support.video import clips
from vqvae_tf.export.saved_model import export
from vqvae_tf.export.signatures import endpoints
from vqvae_tf.models import TDVAE, NextFrameModel, StateSpaceModel

LATENTS = dict(latent_sizes=(2, 3), hidden_units=6)


def td_vae(gaps=((1, 3),)):
    # Of a scale at which what is drawn depends on all inputs.
    return sequences.small(TDVAE, 1.5, gaps=gaps, **LATENTS)


def waves(batch=2, time=6, channels=1):
    rng = np.random.default_rng(0)
    return rng.normal(size=[batch, time, channels]).astype(np.float32)


def code_maps(batch=2, time=5):
    rng = np.random.default_rng(0)
    return rng.integers(0, 8, [batch, time, 4, 4], dtype=np.int32)


def asked(frames, times, num_futures, temperature, seed):
    return {
        "frames": frames,
        "times": np.array(times, np.int32),
        "num_futures": np.int32(num_futures),
        "temperature": np.float32(temperature),
        "seed": np.int32(seed),
    }


DRAWS = [([1], 1, 1.0, 0), ([2, 3, 6], 2, 0.5, 7), ([1, 4], 1, 0.0, 7)]


def answers(model, frames, draws=DRAWS):
    """Returns what the model itself makes of frames, by signature."""
    found = [("belief", {"frames": frames}, {"belief": model.belief(frames)})]
    for times, num_futures, temperature, seed in draws:
        drawn = model.rollout(
            frames,
            times=times,
            num_futures=num_futures,
            temperature=temperature,
            seed=seed,
        )
        assert drawn.shape[:2] == (len(frames) * num_futures, len(times))
        inputs = asked(frames, times, num_futures, temperature, seed)
        found.append(("rollout", inputs, {"frames": drawn}))
    return found


def compare(model, frames, draws=DRAWS):
    """Compares a model's signatures, in this process, with the model."""
    signatures = endpoints(model).signatures()
    for signature, inputs, outputs in answers(model, frames, draws):
        for name, value in outputs.items():
            found = call(signatures, signature, inputs)[name]
            assert found.dtype == value.dtype
            np.testing.assert_allclose(found, value, atol=1e-5)
    return signatures


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """A TDVAE of binary pictures, exported."""
    model = td_vae()
    expected = [
        *answers(model, sequences.frames(3, time=4)),
        # Longer than what `BeliefModel.read` unrolls.
        *answers(model, sequences.frames(1, time=40), DRAWS[1:2]),
    ]
    folder = tmp_path_factory.mktemp("served") / "digits"
    return model, run_comparison(model, folder, expected, default="belief")


@pytest.fixture(scope="module")
def signatures(served):
    return tf.saved_model.load(served[1]).signatures


@pytest.fixture(scope="module")
def coded(tmp_path_factory):
    """A model of sequences of codes with its autoencoder, exported."""
    model, frames = sequences.coded(), clips(2, 3)
    codes = model.encode(frames).numpy()
    assert len(np.unique(codes)) > 2
    expected = [
        *answers(model, frames),
        ("encode", {"frames": frames}, {"codes": codes}),
        ("decode", {"codes": codes}, {"frames": model.decode(codes)}),
    ]
    folder = tmp_path_factory.mktemp("served") / "coded"
    return model, run_comparison(model, folder, expected, default="belief")


@pytest.fixture(scope="module")
def coded_signatures(coded):
    return tf.saved_model.load(coded[1]).signatures


# Answers ----------------------------------------------------------------------


def test_signatures_name_their_outputs(signatures, coded_signatures):
    belief, frames = {"belief": ("float32", 3)}, {"frames": ("uint8", 5)}
    common = {"serving_default": belief, "belief": belief, "rollout": frames}
    assert kinds_of_outputs(signatures) == common
    assert kinds_of_outputs(coded_signatures) == {
        **common,
        "encode": {"codes": ("int32", 4)},
        "decode": frames,
    }


@pytest.mark.parametrize(
    "cls, options",
    [
        (StateSpaceModel, LATENTS),
        (StateSpaceModel, {**LATENTS, "posterior": "mean_field"}),
        (NextFrameModel, {}),
    ],
    ids=["filtering", "mean_field", "next_frame"],
)
def test_models_that_go_step_by_step(cls, options):
    compare(sequences.small(cls, **options), sequences.frames(2))


@pytest.mark.parametrize("cls", [TDVAE, StateSpaceModel, NextFrameModel])
def test_sequences_of_numbers(cls):
    signatures = compare(sequences.numbers(cls), waves())
    assert kinds_of_outputs(signatures)["rollout"] == {"frames": ("float32", 3)}


def test_sequences_of_codes():
    signatures = compare(sequences.of_codes(), code_maps(), DRAWS[1:2])
    assert kinds_of_outputs(signatures)["rollout"] == {"frames": ("int32", 4)}


def test_the_time_axis_is_read_in_a_loop(signatures):
    """An unrolled graph would have a number of frames of its own."""
    longest = sequences.frames(1, 33)
    whole = call(signatures, "belief", {"frames": longest})["belief"]
    assert whole.shape == (1, 33, 5)
    for time in (1, 2):
        found = call(signatures, "belief", {"frames": longest[:, :time]})
        np.testing.assert_allclose(found["belief"], whole[:, :time], atol=1e-6)


@pytest.mark.parametrize("kind", ["signatures", "coded_signatures"])
def test_inputs_matter(kind, request):
    signatures, inputs = request.getfixturevalue(kind), valid_inputs("rollout")
    if kind == "coded_signatures":
        inputs["frames"] = clips(2, 3)
    others = [
        {},
        {"seed": np.int32(1)},
        {"temperature": np.float32(3)},
        {"frames": 255 - inputs["frames"]},
    ]
    draws = [
        call(signatures, "rollout", {**inputs, **other})["frames"].numpy()
        for other in others
    ]
    changed = [np.any(draw != draws[0]) for draw in draws]
    assert changed == [False, True, True, True]


def test_futures_of_a_sequence_are_consecutive(signatures):
    inputs = {**valid_inputs("rollout"), "temperature": np.float32(0)}
    one = call(signatures, "rollout", {**inputs, "num_futures": np.int32(1)})
    assert np.any(one["frames"][0] != one["frames"][1])
    two = call(signatures, "rollout", inputs)
    np.testing.assert_array_equal(
        two["frames"], np.repeat(one["frames"], 2, axis=0)
    )


def test_a_model_of_longer_jumps():
    """Its example must be one of its jumps, or the warm-up would fail."""
    served = endpoints(td_vae(gaps=[(2, 5), (3, 9)]))
    signatures = served.signatures()
    example = served.examples()["rollout"]
    assert example["times"].tolist() == [2]
    assert call(signatures, "rollout", example)["frames"].shape[0] == 1
    inputs = valid_inputs("rollout")
    call(signatures, "rollout", {**inputs, "times": times(9, 11)["times"]})
    for wrong in (times(2, 3), times(10)):
        run_refusal_test(
            signatures, "rollout", {**inputs, **wrong}, "jump by 2 to 9", "["
        )


@pytest.mark.slow
def test_other_precision_is_exported_in_float32(tmp_path):
    reference = td_vae()
    keras.config.set_dtype_policy("mixed_bfloat16")
    model = td_vae()
    model.set_weights(reference.get_weights())
    saved = tf.saved_model.load(export(model, tmp_path / "m")).signatures
    frames = sequences.frames(2)
    np.testing.assert_allclose(
        call(saved, "belief", {"frames": frames})["belief"],
        reference.belief(frames),
        atol=1e-5,
    )


# Refusals ---------------------------------------------------------------------


def valid_inputs(signature):
    """Returns inputs that the model of `served` accepts."""
    frames = sequences.frames(2)
    if signature == "rollout":
        return asked(frames, [1, 4], 2, 1.0, 0)
    return {"frames": frames}


def frames_of(*shape):
    return {"frames": np.zeros(shape, np.uint8)}


def times(*values):
    return {"times": np.array(values, np.int32)}


LAST = 2**31 - 1
RISE = "times must increase, from 1 on. "
REFUSED = [
    ("belief", frames_of(0, 3, 4, 4, 1), "one frame", "[0 3 4 4 1]"),
    ("belief", frames_of(2, 0, 4, 4, 1), "one frame", "[2 0 4 4 1]"),
    ("rollout", frames_of(2, 0, 4, 4, 1), "one frame", "[2 0 4 4 1]"),
    ("rollout", times(), "at least one time", "[0]"),
    ("rollout", times(0, 1), RISE, "[0 1]"),
    ("rollout", times(-1), RISE, "[-1]"),
    ("rollout", times(2, 2), RISE, "[2 2]"),
    ("rollout", times(3, 1), RISE, "[3 1]"),
    # The difference would wrap in 32 bits, to more than 0.
    ("rollout", times(3, -LAST), RISE, "[3 -2147483647]"),
    ("rollout", times(1, 5), "to jump by 1 to 3 frames", "[1 4]"),
    ("rollout", times(4), "to jump by 1 to 3 frames", "[4]"),
    ("rollout", {"num_futures": np.int32(0)}, "num_futures must", "[0]"),
    ("rollout", {"num_futures": np.int32(LAST)}, "max_samples", "[8589"),
    ("rollout", {"temperature": np.float32(-1)}, "temperature must", "[-1]"),
    ("rollout", {"temperature": np.float32("nan")}, "finite", "[nan]"),
]


@pytest.mark.parametrize("signature, inputs, expected, received", REFUSED)
def test_refused_values(signatures, signature, inputs, expected, received):
    inputs = {**valid_inputs(signature), **inputs}
    run_refusal_test(signatures, signature, inputs, expected, received)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_refused_numbers(value):
    signatures = endpoints(sequences.numbers()).signatures()
    frames = waves()
    frames[1, 2] = value
    for signature in ("belief", "rollout"):
        inputs = {**valid_inputs(signature), "frames": frames}
        run_refusal_test(signatures, signature, inputs, "frames must be", "[1]")


def test_refused_codes(coded_signatures):
    signatures = endpoints(sequences.of_codes()).signatures()
    for value, received in ((8, "up to] [8]"), (-1, "down to] [-1]")):
        codes = code_maps()
        codes[0, 1, 2, 3] = value
        for found, signature, name in (
            (signatures, "belief", "frames"),
            (signatures, "rollout", "frames"),
            (coded_signatures, "decode", "codes"),
        ):
            inputs = {name: codes}
            if signature == "rollout":
                inputs = {**valid_inputs(signature), **inputs}
            expected = f"{name} in 0..7"
            run_refusal_test(found, signature, inputs, expected, received)


SHAPE, DTYPE = "is not compatible with expected shape", "Type mismatch"
REFUSED_BY_A_SERVER = [
    ("belief", frames_of(3, 4, 4, 1), SHAPE),
    ("belief", frames_of(2, 3, 4, 5, 1), SHAPE),
    ("belief", frames_of(2, 3, 4, 4, 3), SHAPE),
    ("belief", {"frames": np.zeros([2, 3, 4, 4, 1], np.float32)}, DTYPE),
    ("rollout", frames_of(2, 3, 8, 8, 1), SHAPE),
    ("rollout", {"times": np.array([[1, 2]], np.int32)}, SHAPE),
    ("rollout", {"times": np.int32(1)}, SHAPE),
    ("rollout", {"times": np.array([1.0], np.float32)}, DTYPE),
    ("rollout", {"num_futures": np.array([2], np.int32)}, SHAPE),
    ("rollout", {"seed": np.zeros([2], np.int32)}, SHAPE),
    ("rollout", times(2, 1), RISE),
    ("rollout", times(1, 5), "to jump by 1 to 3 frames"),
]


@pytest.mark.slow
def test_a_server_runs_the_checks_too(served, coded):
    with session_of(served[1]) as session:
        drawn = session("rollout", valid_inputs("rollout"))["frames"]
        assert drawn.shape == (4, 2, 4, 4, 1)
        run_server_refusals(session, valid_inputs, REFUSED_BY_A_SERVER)
    with session_of(coded[1]) as session:
        refused = [("encode", frames_of(1, 2, 20, 16, 3), SHAPE)]
        run_server_refusals(session, lambda signature: {}, refused)


def test_only_models_of_pictures_and_speech_are_compiled(tmp_path):
    with pytest.raises(ValueError, match="jit_sampling is for models of"):
        export(td_vae(), tmp_path / "m", jit_sampling=True)
    with pytest.raises(TypeError, match="TDVAE.*Received: PixelCNN"):
        export(small.prior(), tmp_path / "m")
    assert not (tmp_path / "m").exists()


# Warm-up and document ---------------------------------------------------------


def test_warmup_requests_are_answered(
    served, signatures, coded, coded_signatures
):
    run_warmup_test(served[1], signatures)
    run_warmup_test(coded[1], coded_signatures)


def test_requests_of_the_document(served, tmp_path, monkeypatch):
    sizes = ("28, 28", "4, 4")  # the preset's, and this model's
    names = run_document(
        served[1], "tdvae_digits", [sizes], monkeypatch, tmp_path
    )
    assert names["beliefs"].shape == (1, 10, 5)
    assert names["futures"].shape == (3, 2, 4, 4, 1)
