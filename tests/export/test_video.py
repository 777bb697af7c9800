"""Exported models of video: answers, refusals and warm-up requests."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from support import small, video as videos
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
from support.video import clips, some_actions
from vqvae_tf.export.saved_model import export
from vqvae_tf.export.signatures import endpoints


def answers(video, frames, actions, temperature, seed):
    """Returns what the model makes of frames and actions, by signature."""
    codes = video.encode(frames).numpy()
    numbers = {"temperature": np.float32(temperature), "seed": np.int32(seed)}
    inputs = {"context_frames": frames, **numbers}
    number = actions.shape[1]
    given = video.rollout(frames, actions, temperature=temperature, seed=seed)
    alone = video.rollout(
        frames, num_frames=number, temperature=temperature, seed=seed
    )
    assert given.dtype == tf.uint8 and given.shape[1] == number
    return [
        ("encode", {"frames": frames}, {"codes": codes}),
        ("decode", {"codes": codes}, {"frames": video.decode(codes)}),
        ("rollout", {**inputs, "actions": actions}, {"frames": given}),
        (
            "continue",
            {**inputs, "num_frames": np.int32(number)},
            {"frames": alone},
        ),
    ]


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """A model of video with five actions, exported."""
    keras.utils.set_random_seed(1)
    video = small.video(num_actions=5, marginal_channels=8)
    expected = [
        *answers(video, clips(2, 3), some_actions(2, 4), 1.0, seed=0),
        *answers(video, clips(3, 2), some_actions(3, 1), 0.5, seed=7),
        *answers(video, clips(3, 2), some_actions(3, 1), 0.0, seed=7),
    ]
    folder = tmp_path_factory.mktemp("served") / "video"
    return video, run_comparison(video, folder, expected)


@pytest.fixture(scope="module")
def signatures(served):
    return tf.saved_model.load(served[1]).signatures


# Answers ----------------------------------------------------------------------


def test_signatures_name_their_outputs(signatures):
    frames, codes = {"frames": ("uint8", 5)}, {"codes": ("int32", 4)}
    assert kinds_of_outputs(signatures) == {
        "serving_default": codes,
        "encode": codes,
        "decode": frames,
        "rollout": frames,
        "continue": frames,
    }


def test_actions_and_seeds_matter(signatures):
    inputs = valid_inputs("rollout")
    others = [
        {},
        {"seed": np.int32(1)},
        {"actions": 4 - inputs["actions"]},
        {"context_frames": inputs["context_frames"][:, ::-1]},
    ]
    draws = [
        call(signatures, "rollout", {**inputs, **other})["frames"].numpy()
        for other in others
    ]
    changed = [np.any(draw != draws[0]) for draw in draws]
    assert changed == [False, True, True, True]


def test_only_the_last_frames_matter(signatures):
    inputs = valid_inputs("rollout")
    frames = inputs["context_frames"]
    longer = np.concatenate([frames[:, ::-1], frames], axis=1)
    np.testing.assert_array_equal(
        call(signatures, "rollout", inputs)["frames"],
        call(signatures, "rollout", {**inputs, "context_frames": longer})[
            "frames"
        ],
    )


def test_frames_of_another_size(signatures):
    frames = clips(2, 2)[:, :, :8, :12]
    codes = call(signatures, "encode", {"frames": frames})["codes"]
    assert codes.shape == (2, 2, 2, 3)
    inputs = {**valid_inputs("rollout"), "context_frames": frames}
    drawn = call(signatures, "rollout", inputs)["frames"]
    assert drawn.shape == (2, 3, 8, 12, 3)


def test_continuous_actions():
    video = small.video(num_actions=None, action_size=2)
    served = endpoints(video)
    signatures = served.signatures()
    assert served.examples()["rollout"]["actions"].dtype == np.float32
    frames = clips()
    actions = np.linspace(-1, 1, 12, dtype=np.float32).reshape(2, 3, 2)
    inputs = {**valid_inputs("rollout"), "actions": actions}
    np.testing.assert_array_equal(
        call(signatures, "rollout", inputs)["frames"],
        video.rollout(frames, actions, seed=0),
    )
    actions = np.where(actions == 1, np.float32("nan"), actions)
    inputs["actions"] = actions
    run_refusal_test(signatures, "rollout", inputs, "finite numbers", "[1]")


def test_codes_of_several_codebooks():
    video = videos.model("residual")
    served = endpoints(video)
    signatures = served.signatures()
    assert served.examples()["decode"]["codes"].shape == (1, 1, 4, 4, 2)
    frames = clips()
    codes = call(signatures, "encode", {"frames": frames})["codes"]
    np.testing.assert_array_equal(codes, video.encode(frames))
    np.testing.assert_array_equal(
        call(signatures, "decode", {"codes": codes})["frames"],
        video.decode(codes),
    )
    inputs = valid_inputs("rollout")
    np.testing.assert_array_equal(
        call(signatures, "rollout", inputs)["frames"],
        video.rollout(frames, inputs["actions"], seed=0),
    )
    inputs = codes_of(1, 2, 4, 4, 2, value=4)
    expected = "in 0..[7, 3] of each codebook"
    run_refusal_test(signatures, "decode", inputs, expected, "[4 4]")


def test_without_actions():
    video = small.video(num_actions=None)
    signatures = endpoints(video).signatures()
    assert sorted(signatures) == [
        "continue",
        "decode",
        "encode",
        "serving_default",
    ]
    np.testing.assert_array_equal(
        call(signatures, "continue", valid_inputs("continue"))["frames"],
        video.rollout(clips(), num_frames=2, seed=0),
    )


@pytest.mark.slow
def test_other_precision_is_exported_in_float32(tmp_path):
    reference = small.video()
    keras.config.set_dtype_policy("mixed_bfloat16")
    model = small.video()
    model.set_weights(reference.get_weights())
    saved = tf.saved_model.load(export(model, tmp_path / "m")).signatures
    inputs = valid_inputs("rollout")
    np.testing.assert_array_equal(
        call(saved, "rollout", inputs)["frames"],
        reference.rollout(inputs["context_frames"], inputs["actions"], seed=0),
    )


# Refusals ---------------------------------------------------------------------


def valid_inputs(signature):
    """Returns inputs that the model of `served` accepts."""
    drawing = {"temperature": np.float32(1), "seed": np.int32(0)}
    context = {"context_frames": clips(), **drawing}
    return {
        "encode": {"frames": clips()},
        "decode": {"codes": np.zeros([2, 3, 4, 4], np.int32)},
        "rollout": {**context, "actions": some_actions(2, 3)},
        "continue": {**context, "num_frames": np.int32(2)},
    }[signature]


def frames_of(*shape):
    return {"frames": np.zeros(shape, np.uint8)}


def context_of(*shape):
    return {"context_frames": np.zeros(shape, np.uint8)}


def codes_of(*shape, value=0):
    return {"codes": np.full(shape, value, np.int32)}


def actions_of(*shape, value=0):
    return {"actions": np.full(shape, value, np.int32)}


SIZES = "Height and width must be multiples of 4, and not 0; crop or pad the "
FEW = "Expected at least 2 frames to go on from. "
REFUSED = [
    ("encode", frames_of(2, 3, 18, 16, 3), SIZES, "[2 3 18 16 3]"),
    ("encode", frames_of(2, 3, 16, 0, 3), SIZES, "[2 3 16 0 3]"),
    ("encode", frames_of(0, 3, 16, 16, 3), "one frame", "[0 3 16 16 3]"),
    ("encode", frames_of(2, 0, 16, 16, 3), "one frame", "[2 0 16 16 3]"),
    ("decode", codes_of(1, 2, 4, 4, value=8), "in 0..7", "up to] [8]"),
    ("decode", codes_of(1, 2, 4, 4, value=-1), "in 0..7", "down to] [-1]"),
    ("decode", codes_of(1, 0, 4, 4), "one grid of codes", "[1 0 4 4]"),
    ("rollout", context_of(2, 1, 16, 16, 3), FEW, "[2 1 16 16 3]"),
    ("rollout", context_of(2, 2, 16, 15, 3), SIZES, "[2 2 16 15 3]"),
    ("rollout", context_of(0, 2, 16, 16, 3), "one frame", "[0 2 16 16 3]"),
    ("rollout", actions_of(2, 3, value=5), "actions in 0..4", "up to] [5]"),
    ("rollout", actions_of(2, 3, value=-1), "in 0..4", "down to] [-1]"),
    ("rollout", actions_of(2, 0), "at least one action", "[2 0]"),
    ("rollout", actions_of(1, 3), "row of actions for each", "[1 2]"),
    ("rollout", actions_of(4, 3), "row of actions for each", "[4 2]"),
    ("rollout", {"temperature": np.float32(-1)}, "temperature must", "[-1]"),
    ("rollout", {"temperature": np.float32("nan")}, "finite", "[nan]"),
    ("continue", {"temperature": np.float32("inf")}, "finite", "[inf]"),
    ("continue", {"num_frames": np.int32(0)}, "num_frames must", "[0]"),
    ("continue", {"num_frames": np.int32(2**31 - 1)}, "max_samples", "[4294"),
    ("continue", context_of(2, 1, 16, 16, 3), FEW, "[2 1 16 16 3]"),
    ("continue", context_of(2, 2, 8, 10, 3), SIZES, "[2 2 8 10 3]"),
]


@pytest.mark.parametrize("signature, inputs, expected, received", REFUSED)
def test_refused_values(signatures, signature, inputs, expected, received):
    inputs = {**valid_inputs(signature), **inputs}
    run_refusal_test(signatures, signature, inputs, expected, received)


SHAPE, DTYPE = "is not compatible with expected shape", "Type mismatch"
REFUSED_BY_A_SERVER = [
    ("encode", frames_of(3, 16, 16, 3), SHAPE),
    ("encode", frames_of(1, 3, 16, 16, 1), SHAPE),
    ("decode", codes_of(3, 4, 4), SHAPE),
    ("rollout", context_of(2, 16, 16, 3), SHAPE),
    ("rollout", actions_of(2), SHAPE),
    ("rollout", {"actions": np.zeros([2, 3], np.float32)}, DTYPE),
    ("rollout", {"seed": np.zeros([2], np.int32)}, SHAPE),
    ("continue", {"num_frames": np.array([2], np.int32)}, SHAPE),
    ("rollout", actions_of(1, 3), "row of actions for each clip"),
    ("continue", context_of(2, 1, 16, 16, 3), FEW),
]


@pytest.mark.slow
def test_a_server_runs_the_checks_too(served):
    with session_of(served[1]) as session:
        drawn = session("rollout", valid_inputs("rollout"))["frames"]
        assert drawn.shape == (2, 3, 16, 16, 3)
        run_server_refusals(session, valid_inputs, REFUSED_BY_A_SERVER)


# Warm-up and document ---------------------------------------------------------


def test_warmup_requests_are_answered(served, signatures):
    run_warmup_test(served[1], signatures)


def test_requests_of_the_document(served, tmp_path, monkeypatch):
    sizes = ("84, 84", "16, 16")  # the preset's, and this model's
    names = run_document(
        served[1], "video_dmlab84", [sizes], monkeypatch, tmp_path
    )
    assert names["turned"].shape == (1, 4, 16, 16, 3)
    assert names["alone"].shape == (1, 4, 16, 16, 3)
