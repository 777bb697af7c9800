"""Opening pictures from folders, npz files and TFDS."""

import os

import numpy as np
import pytest

from support.data_helpers import noise, write
from vqvae_tf import data
from vqvae_tf.data.pictures.source import ArrayImages, LazyImages, PackedImages


def opened(source, split, data_dir, **options):
    return data.open_images(
        source, split, str(data_dir), progress=False, **options
    )


def examples(images):
    return list(images.dataset().as_numpy_iterator())


@pytest.fixture
def pets(tmp_path):
    """A folder of three classes, of which the test split lacks one."""
    for split, classes in {
        "train": ["cat", "dog", "emu"],
        "test": ["dog", "emu"],
    }.items():
        for number, name in enumerate(classes):
            for i in range(2):
                picture = noise(8 + i, 10, 3, seed=10 * number + i)
                write(tmp_path / "pets" / split / name / f"{i}.png", picture)
    return tmp_path


# Folders


def test_folder_with_classes(pets):
    train = opened("folder:pets", "train", pets)
    assert train.class_names == ("cat", "dog", "emu")
    assert train.num_classes == 3 and train.num_examples == 6
    assert train.shape == (None, 10, 3)
    found = examples(train)
    assert [e["label"] for e in found] == [0, 0, 1, 1, 2, 2]
    assert [e["index"] for e in found] == list(range(6))
    assert (found[3]["image"] == noise(9, 10, 3, seed=11)).all()


def test_a_class_has_one_number_in_all_splits(pets):
    test = opened("folder:pets", "test", pets)
    assert test.class_names == ("cat", "dog", "emu")
    assert [e["label"] for e in examples(test)] == [1, 1, 2, 2]


def test_all_splits_together(pets):
    images = opened("folder:pets", "all", pets)
    labels = [e["label"] for e in examples(images)]
    assert labels == [1, 1, 2, 2, 0, 0, 1, 1, 2, 2]  # test before train


def test_a_picture_outside_of_the_classes_means_no_labels(pets):
    write(pets / "pets" / "cover.png", noise(8, 10, 3))
    images = opened("folder:pets", "all", pets)
    assert images.num_examples == 11 and images.num_classes is None


def test_flat_folder(tmp_path):
    for name in ("b.PNG", "a.bmp", "deep/er/c.gif", ".hidden.png", "notes.txt"):
        path = tmp_path / name
        if name.endswith("txt"):
            path.write_text("no picture")
        else:
            write(path, np.full([4, 5, 3], ord(path.stem[-1]), np.uint8))
    images = opened("folder", "train", tmp_path)
    assert isinstance(images, ArrayImages) and images.num_classes is None
    values = [e["image"][0, 0, 0] for e in examples(images)]
    assert values == [ord("a"), ord("b"), ord("c")]
    with pytest.raises(ValueError, match="no sub-folder for this split"):
        opened("folder", "test", tmp_path)


def test_the_environment_gives_the_folder(pets, monkeypatch):
    monkeypatch.setenv("TFDS_DATA_DIR", str(pets))
    images = data.open_images("folder:pets", "train", progress=False)
    assert images.num_examples == 6


def test_beyond_the_bound_pictures_are_read_when_used(pets):
    kept = opened("folder:pets", "train", pets)
    lazy = opened("folder:pets", "train", pets, cache_bytes=500)
    assert isinstance(kept, PackedImages) and isinstance(lazy, LazyImages)
    assert lazy.shape == kept.shape and lazy.class_names == kept.class_names
    for a, b in zip(examples(kept), examples(lazy)):
        assert (a["image"] == b["image"]).all() and a["label"] == b["label"]
    options = dict(image_size=8, num_classes=3, resize_range=(8, 12))
    for (x, c), (y, d) in zip(
        data.training_batches(kept, 4, **options).take(3),
        data.training_batches(lazy, 4, **options).take(3),
    ):
        assert (x == y).numpy().all()
        assert (c["global"] == d["global"]).numpy().all()


@pytest.mark.parametrize("channels", [1, 3])
def test_mixed_channels_become_one_kind(tmp_path, channels):
    write(tmp_path / "grey.png", noise(4, 4))
    write(tmp_path / "colour.png", noise(4, 4, 3))
    write(tmp_path / "alpha.png", noise(4, 4, 4))
    images = opened("folder", "all", tmp_path, channels=channels)
    assert images.shape == (4, 4, channels)


def damage(pets):
    path = pets / "pets" / "train" / "dog" / "0.png"
    path.write_bytes(path.read_bytes()[:100])


def test_corrupt_picture_is_refused_by_name(pets):
    damage(pets)
    message = "dog/0.png.*Repair or remove it, or use on_corrupt"
    with pytest.raises(ValueError, match=message):
        opened("folder:pets", "train", pets)


@pytest.mark.parametrize("cache_bytes", [10**6, 300])
def test_corrupt_picture_is_skipped_with_a_warning(pets, caplog, cache_bytes):
    damage(pets)
    images = opened(
        "folder:pets",
        "train",
        pets,
        on_corrupt="skip",
        cache_bytes=cache_bytes,
    )
    assert images.num_examples == 5
    assert [e["label"] for e in examples(images)] == [0, 0, 1, 2, 2]
    warnings = [r.getMessage() for r in caplog.records]
    assert len(warnings) == 1 and "dog/0.png" in warnings[0]


def test_only_corrupt_pictures(tmp_path):
    (tmp_path / "a.png").write_bytes(b"nothing")
    with pytest.raises(ValueError, match="at least one readable picture"):
        opened("folder", "all", tmp_path, on_corrupt="skip")


def test_progress_bar(tmp_path, capfd, monkeypatch):
    import tqdm

    monkeypatch.setattr(tqdm.tqdm, "__init__", _eager(tqdm.tqdm.__init__))
    write(tmp_path / "a.png", noise(4, 4, 3))
    data.open_images("folder", "all", str(tmp_path), progress=False)
    assert capfd.readouterr().err == ""
    data.open_images("folder", "all", str(tmp_path), progress=True)
    assert "pictures" in capfd.readouterr().err


def _eager(init):
    def without_delay(self, *args, **kwargs):
        init(self, *args, **{**kwargs, "delay": 0})

    return without_delay


# Files of arrays


def test_npz_with_splits_and_labels(tmp_path):
    images = noise(5, 6, 7, 3)
    np.savez(
        tmp_path / "a.npz", train_images=images, train_labels=[0, 1, 2, 1, 0]
    )
    source = opened("npz:a.npz", "train", tmp_path)
    assert source.shape == (6, 7, 3) and source.class_names == ("0", "1", "2")
    found = examples(source)
    assert (np.stack([e["image"] for e in found]) == images).all()
    assert [e["label"] for e in found] == [0, 1, 2, 1, 0]


def test_npz_as_keras_stores_mnist(tmp_path):
    images = noise(4, 5, 5)
    np.savez(tmp_path / "m.npz", x_test=images, y_test=np.uint8([1, 0, 1, 0]))
    source = opened("npz:m.npz", "test", tmp_path)
    assert source.num_classes == 2
    for channel in range(3):
        found = examples(source)[2]["image"][..., channel]
        assert (found == images[2]).all()
    assert opened("npz:m.npz", "test", tmp_path, channels=1).shape == (5, 5, 1)


def test_npz_without_splits(tmp_path):
    np.savez(tmp_path / "a.npz", images=noise(4, 5, 5, 3))
    assert opened("npz:a.npz", "all", tmp_path).num_classes is None
    assert opened("npz:a.npz", "train", tmp_path).num_examples == 4
    with pytest.raises(ValueError, match=r"test_images.*\['images'\].*'test'"):
        opened("npz:a.npz", "test", tmp_path)


@pytest.mark.parametrize(
    "arrays, message",
    [
        ({"images": np.zeros([2, 4, 4, 3])}, "must be uint8.*float64"),
        ({"images": np.zeros([2, 4], np.uint8)}, "must be uint8"),
        ({"images": np.zeros([2, 4, 4, 2], np.uint8)}, "4 .RGBA. channels"),
        ({"images": np.zeros([0, 4, 4, 3], np.uint8)}, "at least one readable"),
        (
            {"images": np.zeros([2, 4, 4, 3], np.uint8), "labels": [0]},
            "must be 2 integers",
        ),
        (
            {"images": np.zeros([2, 4, 4, 3], np.uint8), "labels": [0, -1]},
            r"class numbers in 0.*in -1\.\.0",
        ),
        ({"images": np.array([None])}, "plain arrays.*Python objects"),
    ],
)
def test_npz_refuses(tmp_path, arrays, message):
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(ValueError, match=message):
        opened("npz:a.npz", "all", tmp_path)


def test_npz_that_is_none(tmp_path):
    (tmp_path / "a.npz").write_bytes(b"PK nothing")
    with pytest.raises(ValueError, match="npz file of plain arrays.*a.npz"):
        opened("npz:a.npz", "all", tmp_path)


# Errors common to all


@pytest.mark.parametrize(
    "source, split, error, message",
    [
        ("cifar10", "train", ValueError, "\"tfds:NAME\".*Received: 'cifar10'"),
        ("tfds:", "train", ValueError, '"tfds:NAME".*Received'),
        ("folder:nothing", "all", FileNotFoundError, "No such folder.*nothing"),
        ("npz:nothing.npz", "all", FileNotFoundError, "No such npz.*nothing"),
        ("folder:empty", "all", ValueError, "No picture file.*empty"),
        (
            "folder:pets",
            "validation",
            ValueError,
            "such as train/ and test/.* for: train, test",
        ),
    ],
)
def test_what_cannot_be_opened(pets, source, split, error, message):
    (pets / "empty").mkdir()
    with pytest.raises(error, match=message):
        opened(source, split, pets)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"on_corrupt": "ignore"}, 'on_corrupt must be "error" or "skip"'),
        ({"channels": 4}, "channels must be 1 or 3. Received: 4"),
    ],
)
def test_bad_options(tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        opened("folder", "all", tmp_path, **options)


needs_cifar10 = pytest.mark.skipif(
    not os.path.isdir(
        os.path.join(os.environ.get("TFDS_DATA_DIR", ""), "cifar10")
    ),
    reason="needs cifar10 prepared in TFDS_DATA_DIR",
)


@needs_cifar10
def test_cifar10_equals_tfds():
    import tensorflow_datasets as tfds

    images = data.open_images("tfds:cifar10", "test[:50]", progress=False)
    expected = tfds.load("cifar10", split="test[:50]", download=False)
    for found, other in zip(examples(images), expected.as_numpy_iterator()):
        assert (found["image"] == other["image"]).all()
        assert found["label"] == other["label"]
    assert images.class_names[6] == "frog" and images.num_examples == 50
