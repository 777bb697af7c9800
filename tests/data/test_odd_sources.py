"""Odd arguments, splits and arrays: one clear error each."""

import pathlib

import numpy as np
import pytest

from support.data_helpers import noise, write
from vqvae_tf import data
from vqvae_tf.commands.inputs import pictures as picture_inputs
from vqvae_tf.data.pictures import npz
from vqvae_tf.encoding import sources as code_sources
from vqvae_tf.encoding.picture_format import PictureFormat

IMAGES = noise(3, 4, 4, 3)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("root")
    for name in ("train/a/1.png", "train/b/1.PNG", "test/a/1.png"):
        write(root / "pets" / name, noise(4, 4, 3))
    (root / "pets" / "empty").mkdir()
    return root


def opened(root, split="train", source="folder:pets", **options):
    options = {"data_dir": str(root), "progress": False, **options}
    return data.open_images(source, split, **options)


@pytest.mark.parametrize(
    "split", ["", ".", "..", "../pets", "train/..", "/etc", "\0", "~", "dev"]
)
def test_a_split_never_leaves_its_folder(root, split):
    with pytest.raises(ValueError, match="split"):
        opened(root, split)
    with pytest.raises(ValueError, match="split"):
        data.open_audio("folder:pets", split, 8000, str(root), progress=False)


@pytest.mark.parametrize("split", [None, 5, b"train"])
def test_a_split_is_a_name(root, split):
    for open_it in (data.open_images, data.open_episodes):
        with pytest.raises(ValueError, match="split must be the name of a spl"):
            open_it("tfds:mnist", split)


@pytest.mark.parametrize("source", [None, 5, pathlib.Path("folder")])
def test_a_source_is_a_string(source):
    for open_it in (data.open_images, data.open_episodes):
        with pytest.raises(ValueError, match="source must be a string.*Recei"):
            open_it(source, "train")
    with pytest.raises(ValueError, match="source must be a string.*Received"):
        data.open_audio(source, "train", 8000)


def test_an_empty_split_is_named(root):
    with pytest.raises(ValueError, match="No picture file.*pets/empty"):
        opened(root, "empty")


@pytest.mark.parametrize(
    "options, message",
    [
        ({"channels": 2}, "channels must be 1 or 3. Received: 2"),
        ({"channels": True}, "channels must be 1 or 3. Received: True"),
        ({"cache_bytes": None}, "cache_bytes must be a number.*None"),
        ({"cache_bytes": -1}, "cache_bytes must be a number.*-1"),
        ({"cache_bytes": np.nan}, "cache_bytes must be a number.*nan"),
        ({"data_dir": 5}, "data_dir must be a path or None. Received: 5"),
        ({"on_corrupt": None}, 'on_corrupt must be "error" or "skip"'),
    ],
)
def test_odd_options(root, options, message):
    with pytest.raises(ValueError, match=message):
        opened(root, **options)


@pytest.mark.parametrize("channels", [0, 2, 4, "1", None, True])
def test_other_channels_are_no_colours(root, channels):
    path = root / "pets" / "train" / "a" / "1.png"
    with pytest.raises(ValueError, match="channels must be 1 or 3"):
        data.load_picture(path, channels=channels)


@pytest.mark.parametrize("rate", [0, -1, 8000.5, "8000", None, True, np.nan])
def test_odd_sample_rates(rate):
    from vqvae_tf.samples.voices import voice_files

    with pytest.raises(ValueError, match="sample_rate must be a positive int"):
        data.load_waveform(voice_files()[0], rate)
    with pytest.raises(ValueError, match='normalize must be "peak" or None'):
        data.load_waveform(voice_files()[0], 8000, "rms")


def test_a_square_that_no_memory_holds_is_refused():
    with pytest.raises(ValueError, match="at most 178,956,970 .*: 1000000"):
        data.resize_and_crop(IMAGES[0], 10**6)
    with pytest.raises(ValueError, match="at least one pixel"):
        data.resize_and_crop(IMAGES[0, :0], 4)


ARRAYS = {
    "no_height": {"images": IMAGES[:, :0]},
    "no_channels": {"images": IMAGES[..., :0]},
    "grey_and_alpha": {"images": IMAGES[..., :2]},
    "sixteen_bits": {"images": IMAGES.astype(np.uint16)},
    "five_axes": {"images": IMAGES[None]},
    "a_label_of_a_billion": {"images": IMAGES, "labels": [0, 1, 10**9]},
    "labels_beyond_int64": {"images": IMAGES, "labels": [0, 1, 2**64 - 1]},
    "negative_labels": {"images": IMAGES, "labels": [0, 1, -1]},
    "too_few_labels": {"images": IMAGES, "labels": [0, 1]},
    "labels_of_text": {"images": IMAGES, "labels": ["a", "b", "c"]},
    "labels_in_one_hot_form": {
        "images": IMAGES,
        "labels": np.eye(3, dtype=int),
    },
}


@pytest.mark.parametrize("name", ARRAYS)
def test_odd_arrays_are_named(tmp_path, name):
    np.savez(tmp_path / "a.npz", **ARRAYS[name])
    with pytest.raises(ValueError, match="a.npz' must .*Received"):
        opened(tmp_path, source="npz:a.npz")
    form = PictureFormat(4)
    with pytest.raises(ValueError, match="a.npz' must .*Received"):
        code_sources.open_source(str(tmp_path / "a.npz"), "train", form)


def test_as_many_classes_as_there_may_be(tmp_path):
    labels = np.array([0, npz.MAX_CLASSES - 1, 0])
    npz.check_labels("a.npz", labels, 3)
    with pytest.raises(ValueError, match=f"in 0..{npz.MAX_CLASSES - 1}"):
        npz.check_labels("a.npz", labels + 1, 3)


def test_npz_in_capitals(tmp_path):
    with open(tmp_path / "A.NPZ", "wb") as file:
        np.savez(file, images=IMAGES)
    form, path = PictureFormat(4), str(tmp_path / "A.NPZ")
    ((names, images),) = picture_inputs.picture_batches(path, form)
    np.testing.assert_array_equal(images, IMAGES)
    (reader,) = code_sources.open_source(path, "train", form).values()
    assert len(reader) == 3
