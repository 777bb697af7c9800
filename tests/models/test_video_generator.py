"""Rollouts: the plain loop over frames that they are, and their manners."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from support import small
from support.harness import (
    assert_config_round_trip,
    assert_same_variables,
    saved_and_loaded,
)
from support.video import by_loop, clips, some_actions
from vqvae_tf import (
    VQVAE,
    ConditionalDensity,
    LatentGenerator,
    PastFrames,
    PixelCNN,
    VideoGenerator,
)
from vqvae_tf.presets import PresetError

SIZE = small.SIZE


def make(**kwargs):
    """A model whose next frame is not drawn from nearly equal numbers."""
    keras.utils.set_random_seed(1)
    video = small.video(**kwargs)
    rng = np.random.default_rng(1)
    for v in video.prior.trainable_variables:
        v.assign(v + 0.2 * rng.normal(size=v.shape))
    return video


@pytest.fixture(scope="module")
def video():
    return make()


@pytest.fixture(scope="module")
def without_actions():
    return make(num_actions=None)


@pytest.fixture(scope="module")
def of_vectors():
    return make(num_actions=None, action_size=3)


@pytest.fixture(scope="module")
def start(video):
    return video.encode(clips()).numpy()


# Codes ------------------------------------------------------------------------


def test_frames_are_coded_one_by_one(video):
    frames = clips(2, 3)
    codes = video.encode(frames)
    assert codes.shape == (2, 3, 4, 4) and codes.dtype == tf.int32
    decoded = video.decode(codes)
    assert decoded.shape == frames.shape and decoded.dtype == tf.uint8
    for t in range(3):
        one = video.autoencoder.encode(frames[:, t])
        np.testing.assert_array_equal(codes[:, t], one)
        picture = video.autoencoder.decode(one).numpy().astype(int)
        np.testing.assert_allclose(decoded[:, t], picture, atol=1)
    assert np.any(decoded[:, 0] != decoded[:, 1])
    np.testing.assert_array_equal(video.reconstruct(frames), decoded)


def test_attributes(video, of_vectors):
    assert video.num_past == 2
    assert video.num_actions == 5
    assert of_vectors.num_actions is None


# Rollouts ---------------------------------------------------------------------


@pytest.mark.parametrize(
    "options", [{}, dict(temperature=0.5, top_k=4), dict(top_p=0.8)]
)
def test_a_rollout_is_the_loop_over_frames(video, start, options):
    actions = some_actions(2, 4)
    received = video.rollout_codes(start, actions, seed=3, **options)
    assert received.shape == (2, 4, 4, 4) and received.dtype == tf.int32
    expected = by_loop(video, start, actions, 4, 3, **options)
    np.testing.assert_array_equal(received, expected)


def test_frames_of_a_rollout_are_its_decoded_codes(video, start):
    actions = some_actions(2, 3)
    received = video.rollout(clips(), actions, temperature=0.5, seed=3)
    assert received.shape == (2, 3, SIZE, SIZE, 3)
    assert received.dtype == tf.uint8
    codes = video.rollout_codes(start, actions, temperature=0.5, seed=3)
    np.testing.assert_array_equal(received, video.decode(codes))


def test_without_actions(video, without_actions, start):
    given = video.rollout_codes(start, some_actions(2, 3), seed=3)
    for model in (video, without_actions):
        alone = model.rollout_codes(start, num_frames=3, seed=3)
        expected = by_loop(model, start, None, 3, 3)
        np.testing.assert_array_equal(alone, expected)
    alone = video.rollout_codes(start, num_frames=3, seed=3)
    assert np.any(alone != given)


def test_vectors_as_actions(of_vectors, start):
    rng = np.random.default_rng(0)
    actions = rng.normal(size=[2, 3, 3]).astype(np.float32)
    received = of_vectors.rollout_codes(start, actions, seed=3)
    expected = by_loop(of_vectors, start, actions, 3, 3)
    np.testing.assert_array_equal(received, expected)
    other = of_vectors.rollout_codes(start, -actions, seed=3)
    assert np.any(other != received)


def test_an_action_leads_to_the_frame_that_follows_it(video, start):
    actions = some_actions(2, 4)
    expected = video.rollout_codes(start, actions, seed=3).numpy()
    changed = actions.copy()
    changed[:, 2] = (changed[:, 2] + 2) % 5
    received = video.rollout_codes(start, changed, seed=3).numpy()
    np.testing.assert_array_equal(received[:, :2], expected[:, :2])
    assert np.any(received[:, 2] != expected[:, 2])


def test_seeds(video, start):
    actions = some_actions(2, 4)
    expected = video.rollout_codes(start, actions, seed=3)
    for seed in (3, tf.constant([3, 0])):
        same = video.rollout_codes(start, actions, seed=seed)
        np.testing.assert_array_equal(same, expected)
    other = video.rollout_codes(start, actions, seed=4)
    assert np.all(np.any(other != expected, axis=(2, 3)))
    keras.utils.set_random_seed(5)
    free = video.rollout_codes(start, actions)
    assert np.any(video.rollout_codes(start, actions) != free)
    keras.utils.set_random_seed(5)
    again = video.rollout_codes(start, actions)
    np.testing.assert_array_equal(again, free)


def test_temperature_0_is_greedy(video, start):
    actions = some_actions(2, 4)
    options = dict(temperature=0)
    expected = video.rollout_codes(start, actions, seed=3, **options)
    other = video.rollout_codes(start, actions, seed=4, **options)
    np.testing.assert_array_equal(other, expected)
    # Each code is the most probable one, given those before it.
    first = expected[:, 0]
    context = {"past": start[:, -2:], "action": actions[:, 0]}
    logits = video.prior.logits(first, context)
    np.testing.assert_array_equal(np.argmax(logits, axis=-1), first)


def test_temperature_0_takes_the_mode_of_each_code_with_marginals(start):
    video = make(marginal_channels=8)
    actions = some_actions(2, 4)
    received = video.rollout_codes(start, actions, temperature=0).numpy()
    past = start[:, -2:]
    for t in range(4):
        context = {"past": past, "action": actions[:, t]}
        logits = video.prior.marginal_logits(context)
        expected = np.argmax(logits, axis=-1)
        np.testing.assert_array_equal(received[:, t], expected)
        past = np.concatenate([past[:, 1:], received[:, t : t + 1]], axis=1)
    # Otherwise codes are drawn by the density, as ever.
    warm = video.rollout_codes(start, actions, temperature=0.5, seed=3)
    expected = by_loop(video, start, actions, 4, 3, temperature=0.5)
    np.testing.assert_array_equal(warm, expected)


def test_futures(video, start):
    actions = some_actions(2, 3)
    drawn = video.rollout_codes(start, actions, num_futures=3, seed=3).numpy()
    assert drawn.shape == (6, 3, 4, 4)
    repeated = [np.repeat(x, 3, axis=0) for x in (start, actions)]
    expected = by_loop(video, *repeated, 3, 3)
    np.testing.assert_array_equal(drawn, expected)
    for i, j in [(0, 1), (0, 2), (1, 2), (3, 4)]:
        assert np.any(drawn[i] != drawn[j])
    # Greedy futures are all alike, those of one start next to each other.
    options = dict(num_futures=3, temperature=0, seed=3)
    futures = video.rollout_codes(start, actions, **options).numpy()
    single = video.rollout_codes(start, actions, temperature=0).numpy()
    assert np.any(single[0] != single[1])
    np.testing.assert_array_equal(futures, np.repeat(single, 3, axis=0))
    frames = video.rollout(clips(), num_frames=1, num_futures=3, seed=3)
    assert frames.shape == (6, 1, SIZE, SIZE, 3)


def test_a_shorter_rollout_is_the_beginning_of_a_longer_one(video, start):
    actions = some_actions(2, 5)
    longer = video.rollout_codes(start, actions, seed=3)
    shorter = video.rollout_codes(start, actions[:, :3], seed=3)
    np.testing.assert_array_equal(shorter, longer[:, :3])
    limited = video.rollout_codes(start, actions, num_frames=3, seed=3)
    np.testing.assert_array_equal(limited, shorter)


def test_only_the_last_frames_matter(video):
    frames, actions = clips(2, 5), some_actions(2, 3)
    expected = video.rollout(frames[:, -2:], actions, seed=3)
    np.testing.assert_array_equal(
        video.rollout(frames, actions, seed=3), expected
    )
    frames = frames.copy()
    frames[:, :-2] = 0
    np.testing.assert_array_equal(
        video.rollout(frames, actions, seed=3), expected
    )
    frames[:, -2] = clips(2, 9)[:, -1]
    assert np.any(video.rollout(frames, actions, seed=3) != expected)


def test_unknown_sizes(video):
    @tf.function(
        input_signature=[
            tf.TensorSpec([None] * 4 + [3], tf.uint8),
            tf.TensorSpec([None, None], tf.int32),
            tf.TensorSpec([], tf.int32),
        ],
        autograph=False,
    )
    def roll(frames, actions, num_futures):
        return video.rollout(frames, actions, num_futures=num_futures, seed=3)

    for batch, time, number, futures in [(2, 3, 4, 1), (1, 2, 1, 3)]:
        frames, actions = clips(batch, time), some_actions(batch, number)
        expected = video.rollout(frames, actions, num_futures=futures, seed=3)
        np.testing.assert_array_equal(roll(frames, actions, futures), expected)


# Saving -----------------------------------------------------------------------


def test_preset(video, tmp_path):
    folder = tmp_path / "video"
    video.save_to_preset(folder)
    loaded = VideoGenerator.from_preset(folder)
    assert type(loaded) is VideoGenerator
    options = dict(actions=some_actions(2, 3), num_futures=2, seed=3)
    np.testing.assert_array_equal(
        loaded.rollout(clips(), **options), video.rollout(clips(), **options)
    )
    assert type(VQVAE.from_preset(folder)) is VQVAE
    message = "holds a VideoGenerator. Received: LatentGenerator.from_preset"
    with pytest.raises(PresetError, match=message):
        LatentGenerator.from_preset(folder)


def test_saved_as_a_model(video):
    assert_config_round_trip(video)
    loaded = saved_and_loaded(video)
    trained = video.trainable_variables
    assert_same_variables(loaded.trainable_variables, trained)
    codes = video.encode(clips())
    np.testing.assert_array_equal(loaded.encode(clips()), codes)
    np.testing.assert_array_equal(loaded.decode(codes), video.decode(codes))


# What is refused --------------------------------------------------------------


def test_other_options_counts_and_actions_do_not_trace_another_graph():
    video = make()
    codes = np.zeros([2, 2, 4, 4], np.int32)
    for i, options in enumerate(
        [
            {"top_p": 0.5, "num_frames": 1},
            {"top_p": 0.9, "num_frames": 2, "num_futures": 3},
            {"top_k": 3, "num_frames": 3, "temperature": 0.5},
        ]
    ):
        drawn = video.rollout_codes(codes[: 1 + i % 2], seed=i, **options)
        assert drawn.shape[1] == 1 + i
    for time in (1, 3):
        video.rollout_codes(codes, some_actions(2, time), top_k=2)
    (graph,) = video._graphs._made.values()
    assert graph.experimental_get_tracing_count() == 2  # with actions, without


@pytest.mark.parametrize(
    "call, message",
    [
        (
            lambda v: v.rollout(clips(2, 1), some_actions(2, 3)),
            r"needs 2 frames.* Received: context_frames of .* 1 frames",
        ),
        (
            lambda v: v.rollout_codes(np.zeros([2, 1, 4, 4], int), None, 3),
            r"needs 2 frames.* Received: codes of shape \(2, 1, 4, 4\)",
        ),
        (
            lambda v: v.rollout(clips()[:, :, :8], some_actions(2, 3)),
            r"\[batch, time, 16, 16, 3\].*shape \(2, 3, 8, 16, 3\)",
        ),
        (lambda v: v.encode(clips()[0]), r"shape \(3, 16, 16, 3\)"),
        (
            lambda v: v.decode(np.zeros([2, 4, 4], int)),
            r"\[batch, time, height, width\].*shape \(2, 4, 4\)",
        ),
        (
            lambda v: v.rollout_codes(np.zeros([2, 4, 4], int), None, 3),
            r"\[batch, time, height, width\].*shape \(2, 4, 4\)",
        ),
        (
            lambda v: v.rollout_codes(np.full([2, 2, 4, 4], 8), None, 3),
            r"Codes must be in 0..7. Received: codes in 8..8",
        ),
        (
            lambda v: v.rollout_codes(np.zeros([2, 2, 4, 4]), None, 3),
            "Codes must be integers in 0..7. Received: codes of dtype float64",
        ),
        (
            lambda v: v.rollout(clips(), num_frames=0),
            "num_frames must be a positive integer. Received: 0",
        ),
        (
            lambda v: v.rollout(clips(), some_actions(2, 0)),
            "num_frames must be a positive integer. Received: 0",
        ),
        (
            lambda v: v.rollout(clips(), num_frames=2, num_futures=0),
            "num_futures must be a positive integer. Received: 0",
        ),
        (
            lambda v: v.rollout(clips(), some_actions(2, 3) + 1),
            r"in 0..4. Received: actions in 1..5",
        ),
        (
            lambda v: v.rollout(clips(), some_actions(2, 3) - 1),
            r"in 0..4. Received: actions in -1..3",
        ),
        (
            lambda v: v.rollout(clips(), some_actions(2, 3) / 2),
            r"in 0..4. Received: actions of dtype float64",
        ),
        (
            lambda v: v.rollout(clips(), some_actions(3, 3)),
            r"\[batch, num_frames\], with a batch of 2.* shape \(3, 3\)",
        ),
        (
            lambda v: v.rollout(clips(), some_actions(2)),
            r"\[batch, num_frames\], with a batch of 2.* shape \(2,\)",
        ),
        (lambda v: v.rollout(clips()), "number of frames.* Received: neither"),
        (
            lambda v: v.rollout(clips(), some_actions(2, 3), num_frames=4),
            r"action for each of 4 frames. Received: .* shape \(2, 3\)",
        ),
        (
            lambda v: v.rollout(clips(), None, 2, temperature=-1.0),
            "finite number of at least 0.* Received: ",
        ),
        (lambda v: v.rollout(clips() / 255.0, None, 2), "scaled already"),
    ],
)
def test_errors(video, call, message):
    with pytest.raises(ValueError, match=message) as error:
        call(video)
    assert "Received: " in str(error.value)


def test_fit_is_refused():
    video = small.video()
    video.compile("adam")
    for call in (video.fit, video.evaluate):
        with pytest.raises(RuntimeError, match="trained in two stages: fit"):
            call(clips(), verbose=0)


def test_actions_of_another_kind(without_actions, of_vectors):
    with pytest.raises(ValueError, match="without actions.*leave them out"):
        without_actions.rollout(clips(), some_actions(2, 3))
    for shape in ([2, 3], [2, 3, 2]):
        message = rf"\b3\].* Received: .* shape \({', '.join(map(str, shape))}"
        if shape[-1] == 2:  # of a frame
            message = r"Actions are \[batch, 3\].* Received: "
        with pytest.raises(ValueError, match=message):
            of_vectors.rollout(clips(), np.zeros(shape, np.float32))


def test_parts_that_do_not_fit(video):
    def of(num_embeddings, **options):
        network = PastFrames(num_embeddings, 2, hidden_channels=8)
        prior = PixelCNN(num_embeddings, (4, 4), local_channels=8, **options)
        return ConditionalDensity(network, prior)

    for prior, message in [
        (small.prior(), "past frames .* Received: PixelCNN with .* NoneType"),
        (
            ConditionalDensity(keras.layers.Dense(3), small.prior()),
            "Received: ConditionalDensity with the network Dense",
        ),
        (of(9), "num_embeddings=8. Received: .*num_embeddings=9. Make it"),
        (of(8, num_codebooks=2), "Received: .* with num_codebooks=2"),
        (
            ConditionalDensity(
                PastFrames(9, 2, hidden_channels=8),
                PixelCNN(8, (4, 4), local_channels=8),
            ),
            "embed .* num_embeddings=8. Received: .* num_embeddings=9",
        ),
    ]:
        with pytest.raises(ValueError, match=message):
            VideoGenerator(video.autoencoder, prior)
    with pytest.raises(ValueError, match="num_codebooks=3. Received: .*=1"):
        VideoGenerator(small.autoencoder(num_codebooks=3), of(8))
