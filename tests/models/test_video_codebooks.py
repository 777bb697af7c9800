"""Video in the codes of several codebooks, and of quantizers without one."""

import numpy as np
import pytest
import tensorflow as tf

from support import small, video as videos
from support.harness import assert_config_round_trip, saved_and_loaded
from support.video import SIZES, by_loop, clips, some_actions
from vqvae_tf import (
    ConditionalDensity,
    PastFrames,
    PixelCNN,
    VideoGenerator,
    data,
)

SIZE = small.SIZE


def axes_of(kind):
    """The axis of codebooks, which one codebook does not have."""
    count = len(SIZES[kind])
    return (count,) if count > 1 else ()


@pytest.fixture(scope="module", params=list(SIZES))
def kind(request):
    return request.param


@pytest.fixture(scope="module")
def video(kind):
    return videos.model(kind)


@pytest.fixture(scope="module")
def residual():
    return videos.model("residual")


def assert_exist(codes, kind):
    """Codes that their codebooks have."""
    codes = np.asarray(codes)
    assert codes.min() >= 0
    assert np.all(codes < (SIZES[kind] if axes_of(kind) else SIZES[kind][0]))


# Codes ------------------------------------------------------------------------


def test_frames_are_coded_one_by_one(video, kind):
    frames = clips()
    codes = video.encode(frames)
    assert codes.shape == (2, 3, 4, 4, *axes_of(kind))
    assert codes.dtype == tf.int32
    assert_exist(codes, kind)
    decoded = video.decode(codes)
    assert decoded.shape == frames.shape and decoded.dtype == tf.uint8
    for t in range(3):
        one = video.autoencoder.encode(frames[:, t])
        np.testing.assert_array_equal(codes[:, t], one)
        picture = video.autoencoder.decode(one).numpy().astype(int)
        np.testing.assert_allclose(decoded[:, t], picture, atol=1)
    for codebook in np.reshape(codes, [-1, len(SIZES[kind])]).T:
        assert len(np.unique(codebook)) > 1


# Rollouts ---------------------------------------------------------------------


def test_a_rollout_is_the_loop_over_frames(video, kind):
    start, actions = video.encode(clips()), some_actions(2, 4)
    options = {"temperature": 0.5, "seed": 3}
    received = video.rollout_codes(start, actions, **options)
    assert received.shape == (2, 4, 4, 4, *axes_of(kind))
    assert_exist(received, kind)
    expected = by_loop(video, start, actions, 4, **options)
    np.testing.assert_array_equal(received, expected)
    frames = video.rollout(clips(), actions, **options)
    np.testing.assert_array_equal(frames, video.decode(received))
    futures = video.rollout_codes(start, actions, num_futures=2, seed=3)
    assert futures.shape == (4, 4, 4, 4, *axes_of(kind))
    assert np.any(futures[0] != futures[1])


def test_the_past_of_every_codebook_matters(residual):
    start, actions = residual.encode(clips()).numpy(), some_actions(2, 1)
    expected = residual.prior.logits(
        start[:, 2], {"past": start[:, :2], "action": actions[:, 0]}
    )
    for book, size in enumerate(SIZES["residual"]):
        other = start[:, :2].copy()
        other[..., book] = (other[..., book] + 1) % size
        context = {"past": other, "action": actions[:, 0]}
        logits = residual.prior.logits(start[:, 2], context)
        assert np.any(np.abs(logits - expected) > 1e-3)


def test_temperature_0_takes_the_mode_of_each_code_with_marginals():
    video = videos.model("residual", marginal_channels=8)
    start, actions = video.encode(clips()).numpy(), some_actions(2, 3)
    received = video.rollout_codes(start, actions, temperature=0).numpy()
    past = start[:, -2:]
    for t in range(3):
        context = {"past": past, "action": actions[:, t]}
        logits = video.prior.marginal_logits(context).numpy()
        for book, size in enumerate(SIZES["residual"]):
            expected = logits[..., book, :size].argmax(axis=-1)
            np.testing.assert_array_equal(received[:, t, ..., book], expected)
        past = np.concatenate([past[:, 1:], received[:, t : t + 1]], axis=1)


def test_unknown_sizes(residual):
    spec = [
        tf.TensorSpec([None] * 4 + [3], tf.uint8),
        tf.TensorSpec([None, None], tf.int32),
    ]
    graph = tf.function(
        lambda x, actions: residual.rollout(x, actions, seed=3),
        spec,
        autograph=False,
    )
    actions = some_actions(1, 2)
    expected = residual.rollout(clips(1, 2), actions, seed=3)
    np.testing.assert_array_equal(graph(clips(1, 2), actions), expected)


# Training ---------------------------------------------------------------------


@pytest.mark.parametrize("marginals", [{}, {"marginal_channels": 8}])
def test_a_prior_is_trained_on_clips_of_codes(residual, marginals):
    codes = residual.encode(small.pictures(12)[None])[0].numpy()
    episodes = data.Episodes("photos", codes, some_actions(12), [12])
    prior = videos.prior(residual.autoencoder.quantizer, **marginals)
    batches = data.clip_batches(episodes, 2, batch_size=5, seed=1)
    x, context = next(iter(batches))
    assert x.shape == (5, 4, 4, 2) and context["past"].shape == (5, 2, 4, 4, 2)
    before = prior.log_prob(x, context)
    assert before.shape == (5,) and np.all(np.isfinite(before))
    prior.compile("adam")
    logs = prior.fit(batches, steps_per_epoch=4, epochs=5, verbose=0).history
    assert logs["loss"][-1] < logs["loss"][0]
    assert np.mean(prior.log_prob(x, context)) > np.mean(before)


# Saving -----------------------------------------------------------------------


def test_saved_and_loaded(residual, tmp_path):
    assert_config_round_trip(residual)
    residual.save_to_preset(tmp_path / "video")
    options = dict(actions=some_actions(2, 2), seed=3)
    expected = residual.rollout(clips(), **options)
    for loaded in (
        VideoGenerator.from_preset(tmp_path / "video"),
        saved_and_loaded(residual),
    ):
        network = loaded.prior.network
        assert list(network.num_embeddings) == [8, 4]
        assert network.num_codes == (8, 4)
        np.testing.assert_array_equal(
            loaded.rollout(clips(), **options), expected
        )


# What is refused --------------------------------------------------------------


@pytest.mark.parametrize(
    "codes, message",
    [
        (
            np.zeros([2, 2, 4, 4], int),
            r"\[batch, time, height, width, 2\].*shape \(2, 2, 4, 4\)",
        ),
        (
            np.zeros([2, 2, 4, 4, 3], int),
            r"\[batch, time, height, width, 2\].*shape \(2, 2, 4, 4, 3\)",
        ),
        (np.full([2, 2, 4, 4, 2], 4), r"Codes of codebook 1 must be in 0\.\.3"),
    ],
)
def test_codes_that_do_not_fit(residual, codes, message):
    with pytest.raises(ValueError, match=message):
        residual.rollout_codes(codes, None, 2)
    with pytest.raises(ValueError, match="shape|Codes of codebook 1"):
        residual.decode(codes)


def of(network_codes, codes, num_codebooks):
    return ConditionalDensity(
        PastFrames(network_codes, 2, hidden_channels=8),
        PixelCNN(codes, (4, 4), num_codebooks, local_channels=8),
    )


@pytest.mark.parametrize(
    "parts, message",
    [
        (
            ([8, 4], 8, 1),
            "num_codebooks=2. Received: a prior with num_codebooks=1. Make it "
            r"with num_embeddings=\[8, 4\] and num_codebooks=2",
        ),
        (([8, 4], 8, 2), r"num_codes=\(8, 4\). Received: .*=\(8, 8\)"),
        (
            (8, [8, 4], 2),
            r"must embed .* num_embeddings=\[8, 4\]. Received: a PastFrames "
            r"with num_embeddings=8. Make it with num_embeddings=\[8, 4\]",
        ),
        (([8, 8], [8, 4], 2), r"Received: .*num_embeddings=\[8, 8\]"),
    ],
)
def test_priors_of_other_codes(residual, parts, message):
    with pytest.raises(ValueError, match=message):
        VideoGenerator(residual.autoencoder, of(*parts))
