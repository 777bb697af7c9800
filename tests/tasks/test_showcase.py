"""The pictures of cards: their size, and what is where."""

import numpy as np
import pytest

from support import small
from vqvae_tf.samples.clips import known_frames
from vqvae_tf.samples.digits import sample_digits
from vqvae_tf.tasks.card_samples import known_images
from vqvae_tf.tasks.two_levels import card as two_levels
from vqvae_tf.tasks.video import card as video_card

CELL = small.SIZE + 2  # a picture and the gap beside it


def cell(sheet, row, column):
    top, left = 2 + row * CELL, 2 + column * CELL
    return sheet[..., top : top + small.SIZE, left : left + small.SIZE, :]


def test_known_images():
    assert known_images("photos", 16).shape == (12, 16, 16, 3)
    frames = known_images("dmlab", 84)
    assert frames.shape == (12, 84, 84, 3) and frames.dtype == np.uint8
    np.testing.assert_array_equal(frames, known_frames(12))
    assert len(np.unique(frames.reshape(12, -1), axis=0)) == 12
    digits = known_images("digits", 28, channels=1)
    np.testing.assert_array_equal(digits, sample_digits()[0][:12])
    colour = known_images("digits", 32)
    assert colour.shape == (12, 32, 32, 3)
    assert np.ptp(colour, axis=-1).max() == 0
    for kind in ("photos", "dmlab"):
        grey = known_images(kind, 16, channels=1)
        rgb = known_images(kind, 16).astype(float)
        assert grey.shape == (12, 16, 16, 1)
        luma = rgb @ [0.299, 0.587, 0.114]
        assert abs(luma - grey[..., 0]).max() < 2
    with pytest.raises(ValueError, match="samples must be .*Received: 'cats'"):
        known_images("cats", 16)


def test_global_sheet():
    model, frames = small.two_levels(), small.pictures(3)
    sheet = two_levels.global_sheet(model, frames)
    assert sheet.shape == (2 + 4 * CELL, 2 + 3 * CELL, 3)
    decoded = model.reconstruct(frames).numpy()
    for i in range(3):
        np.testing.assert_array_equal(cell(sheet, 0, i), frames[i])
        np.testing.assert_array_equal(cell(sheet, 1, i), decoded[i])


def test_swap_sheet():
    model, frames = small.two_levels(), small.pictures(2)
    sheet = two_levels.swap_sheet(model, frames)
    assert sheet.shape == (2 + 2 * CELL, 2 + 8 * CELL, 3)
    codes = model.prior.encode(model.encode(frames)).numpy()
    swapped = codes[0].copy()
    swapped[..., 1] = codes[1][..., 1]
    zeroed = codes[1].copy()
    zeroed[..., 2] = 0
    for place, expected in [((0, 3), swapped), ((1, 7), zeroed)]:
        drawn = two_levels.from_global(model, expected[None])[0]
        np.testing.assert_array_equal(cell(sheet, *place), drawn)


@pytest.mark.slow
def test_films():
    video = small.video(num_actions=9)
    clips = np.stack([small.pictures(6), small.pictures(6)[::-1]])
    actions = np.arange(12).reshape(2, 6) % 9
    film = video_card.rollout_film(video, clips, actions)
    assert film.shape == (6, 2 + 4 * CELL, 2 + 2 * CELL, 3)
    np.testing.assert_array_equal(cell(film, 0, 1), clips[1])
    past = video.num_past
    for row in (1, 2, 3):
        np.testing.assert_array_equal(
            cell(film, row, 0)[:past], clips[0, :past]
        )
    drawn = video.rollout(
        clips[:, :past], actions[:, past - 1 : -1], seed=0
    ).numpy()
    np.testing.assert_array_equal(cell(film, 1, 1)[past:], drawn[1])
    long = video_card.long_film(video, clips, steps=5)
    assert long.shape == (5, 2 + 2 * CELL, 2 + 2 * CELL, 3)
    sheet = video_card.rollout_sheet(video, clips, actions)
    # Of frames 2 to 5 the second and the fourth; three rows for each clip.
    assert sheet.shape == (2 + 6 * CELL, 2 + 2 * CELL, 3)
    np.testing.assert_array_equal(cell(sheet, 3, 1), clips[1, 5])
    greedy = video.rollout(
        clips[:, :past], actions[:, past - 1 : -1], temperature=0
    ).numpy()
    np.testing.assert_array_equal(cell(sheet, 1, 0), greedy[0, 1])
    np.testing.assert_array_equal(cell(sheet, 5, 1), drawn[1, 3])
