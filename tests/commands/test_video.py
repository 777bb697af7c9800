"""`vqvae-tf rollout`, and what other commands do with video."""

import numpy as np
from PIL import Image

from support.command_line import refused, run
from vqvae_tf import presets


def test_rollout(film, tmp_path, capsys):
    clip, gif, npz = film / "clip.npz", tmp_path / "a.gif", tmp_path / "a.npz"
    assert run("rollout", film, clip, f"--output={gif}") == 0
    assert "1 futures of 3 frames" in capsys.readouterr().out
    with Image.open(gif) as animation:
        # Two frames are given; what came beside what was drawn.
        assert animation.n_frames == 2 + 3
        assert animation.size == (2 * 18 + 2, 18 + 2)
    flags_ = ["--actions=1,2", "--num_futures=2", f"--output={npz}"]
    assert run("rollout", film, clip, *flags_, "--seed=3") == 0
    video = presets.load(film)
    with np.load(clip) as arrays:
        past = arrays["frames"][None, :2]
    expected = video.rollout(past, [[1, 2]], num_futures=2, seed=3)
    with np.load(npz) as arrays:
        np.testing.assert_array_equal(arrays["frames"], expected)


def test_rollout_refuses(film, zoo, tmp_path, capsys):
    clip = film / "clip.npz"
    wrong = refused(capsys, "rollout", film, clip, "--actions=1,9")
    assert "0..4" in wrong and "9" in wrong
    wrong = refused(capsys, "rollout", film, clip, "--output=a.png")
    assert ".gif" in wrong
    assert "LatentGenerator" in refused(capsys, "rollout", zoo, clip)


def test_pictures_of_a_preset_of_video(film, zoo, tmp_path):
    codes = tmp_path / "codes.npz"
    assert run("encode", film, zoo / "photos", codes) == 0
    with np.load(codes) as arrays:
        assert arrays["codes"].shape == (3, 4, 4)
    assert run("decode", film, codes, tmp_path / "again") == 0
    assert len(list((tmp_path / "again").glob("*.png"))) == 3
