"""Sources that stock tensorflow_datasets prepared: a small one, made here."""

import pathlib
import shutil

import numpy as np
import pytest

from support.data_helpers import noise
from support.tfds_sets import prepare
from vqvae_tf import data
from vqvae_tf.data.audio import prepared as audio_tfds
from vqvae_tf.data.pictures import prepared
from vqvae_tf.data.pictures.source import ArrayImages, LazyImages
from vqvae_tf.encoding import sources as code_sources
from vqvae_tf.encoding.picture_format import PictureFormat

tfds = pytest.importorskip("tensorflow_datasets")

ROWS = {"train": 7, "test": 3}


def pictures(split):
    return noise(ROWS[split], 6, 5, 3, seed=len(split))


@pytest.fixture(scope="module")
def shared_dir(tmp_path_factory):
    data_dir = tmp_path_factory.mktemp("tfds")
    features = {
        "image": tfds.features.Image(shape=(6, 5, 3)),
        "label": tfds.features.ClassLabel(names=["cat", "dog"]),
        "id": tfds.features.Scalar(np.int64),
    }
    tiny = {
        split: [
            {"image": x, "label": i % 2, "id": i}
            for i, x in enumerate(pictures(split))
        ]
        for split in ROWS
    }
    prepare(data_dir, "tiny", features, tiny)
    features = {"value": tfds.features.Scalar(np.int64)}
    prepare(data_dir, "numbers", features, {"train": [{"value": 3}] * 3})
    return data_dir


@pytest.fixture
def data_dir(shared_dir, tmp_path):
    return shutil.copytree(shared_dir, tmp_path / "tfds")


def opened(data_dir, source="tfds:tiny", split="train", **options):
    return data.open_images(
        source, split, str(data_dir), progress=False, **options
    )


def examples(images):
    return list(images.dataset().as_numpy_iterator())


@pytest.mark.parametrize(
    "cache_bytes, kind", [(10**6, ArrayImages), (100, LazyImages)]
)
def test_small_and_large_sets_give_the_same(shared_dir, cache_bytes, kind):
    images = opened(shared_dir, cache_bytes=cache_bytes)
    assert isinstance(images, kind)
    assert images.num_examples == 7 and images.shape == (6, 5, 3)
    assert images.class_names == ("cat", "dog")
    found = examples(images)
    assert (np.stack([e["image"] for e in found]) == pictures("train")).all()
    assert [e["label"] for e in found] == [0, 1, 0, 1, 0, 1, 0]


@pytest.mark.parametrize("cache_bytes", [10**6, 100])
@pytest.mark.parametrize(
    "split, rows",
    [
        ("train[2:5]", slice(2, 5)),
        ("train[5:]", slice(5, 7)),
        ("train[5:99]", slice(5, 7)),
        ("train[:50%]", slice(0, 4)),
    ],
)
def test_slices(shared_dir, split, rows, cache_bytes):
    images = opened(shared_dir, split=split, cache_bytes=cache_bytes)
    found = np.stack([e["image"] for e in examples(images)])
    assert (found == pictures("train")[rows]).all()


@pytest.mark.parametrize("cache_bytes", [10**6, 100])
def test_all_splits_and_grey(shared_dir, cache_bytes):
    images = opened(
        shared_dir, split="all", channels=1, cache_bytes=cache_bytes
    )
    assert images.num_examples == 10 and images.shape == (6, 5, 1)
    assert examples(images)[0]["image"].shape == (6, 5, 1)


def test_training_on_records_read_when_used(shared_dir):
    batches = [
        data.training_batches(
            opened(shared_dir, cache_bytes=size), 4, 4, num_classes=2
        )
        for size in (10**6, 100)
    ]
    for (x, c), (y, d) in zip(*(b.take(3) for b in batches)):
        assert (x == y).numpy().all()
        assert (c["global"] == d["global"]).numpy().all()


def shard(data_dir):
    """Returns the path of the first shard, which holds examples 0 to 3."""
    (path,) = pathlib.Path(data_dir).glob("tiny/1.0.0/tiny-train.*-00000-*")
    return path


def damage_a_picture(data_dir):
    """Overwrites the head of the third PNG inside of its record."""
    path = shard(data_dir)
    content = path.read_bytes()
    start = -1
    for _ in range(3):
        start = content.index(b"\x89PNG", start + 1)
    path.write_bytes(content[:start] + b"????" + content[start + 4 :])


@pytest.mark.parametrize("cache_bytes", [10**6, 100])
def test_corrupt_record_is_skipped_with_a_warning(
    data_dir, cache_bytes, caplog
):
    damage_a_picture(data_dir)
    caplog.clear()
    images = opened(data_dir, on_corrupt="skip", cache_bytes=cache_bytes)
    found = np.stack([e["image"] for e in examples(images)])
    assert (found == np.delete(pictures("train"), 2, axis=0)).all()
    assert [e["label"] for e in examples(images)] == [0, 1, 1, 0, 1, 0]
    skipped = [m for m in caplog.messages if m.startswith("Skipped")]
    assert len(skipped) == 1 and "tiny-train.tfrecord" in skipped[0]


def test_corrupt_record_is_refused_by_name(data_dir):
    damage_a_picture(data_dir)
    with pytest.raises(ValueError, match="record at byte .*tiny-train.tfrec"):
        opened(data_dir)


def test_a_flipped_checksum_is_refused(data_dir):
    path = shard(data_dir)
    content = bytearray(path.read_bytes())
    content[-1] ^= 1  # the last record's checksum; its picture is sound
    path.write_bytes(content)
    with pytest.raises(ValueError, match="damaged.*prepare the data set again"):
        opened(data_dir)


@pytest.mark.parametrize("cache_bytes", [10**6, 100])
def test_truncated_file_is_refused(data_dir, cache_bytes):
    path = shard(data_dir)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(ValueError, match="truncated.*tiny-train"):
        opened(data_dir, cache_bytes=cache_bytes)


@pytest.mark.parametrize(
    "source, split, error, message",
    [
        ("tfds:tiny", "validation", ValueError, "'train': 7, 'test': 3.*'vali"),
        ("tfds:tiny", "train[9:]", ValueError, "no examples for this split"),
        ("tfds:unheard_of", "train", ValueError, "has no data set.*unheard"),
        ("tfds:mnist", "train", FileNotFoundError, "not prepared: .*download"),
        (
            "tfds:numbers",
            "train",
            ValueError,
            r"one uint8 picture.*\['value'\]",
        ),
    ],
)
def test_what_cannot_be_opened(shared_dir, source, split, error, message):
    with pytest.raises(error, match=message) as raised:
        opened(shared_dir, source, split)
    assert len(str(raised.value)) < 400


def test_a_split_without_examples_is_no_part_of_all(tmp_path):
    features = {"image": tfds.features.Image(shape=(6, 5, 3))}
    rows = [{"image": x} for x in pictures("train")]
    prepare(tmp_path, "part", features, {"train": rows, "test": []})
    assert opened(tmp_path, "tfds:part", "all").num_examples == 7
    readers = code_sources.open_source(
        "tfds:part", "all", PictureFormat(4), str(tmp_path)
    )
    assert list(readers) == ["train"]
    for split in ("test", "train[7:]", "train[7:9]", "train[5:2]", "train["):
        with pytest.raises(ValueError, match="no examples for this .*'t"):
            opened(tmp_path, "tfds:part", split)


IMAGE = tfds.features.Image(shape=(2, 2, 3))
STRUCTURES = {
    "nested": tfds.features.FeaturesDict({"data": {"image": IMAGE}}),
    "several": tfds.features.FeaturesDict({"left": IMAGE, "right": IMAGE}),
    "sixteen_bits": tfds.features.FeaturesDict(
        {"image": tfds.features.Image(shape=(2, 2, 1), dtype=np.uint16)}
    ),
    "film": tfds.features.FeaturesDict(
        {"image": tfds.features.Video((2, 2, 2, 3))}
    ),
    "no_dict": tfds.features.Tensor(shape=(2, 2, 3), dtype=np.uint8),
}


@pytest.mark.parametrize("name", STRUCTURES)
def test_sets_of_another_structure_are_told_what_is_expected(name):
    message = "one uint8 picture per example.*npz file.*'tfds:x' with"
    with pytest.raises(ValueError, match=message) as raised:
        prepared.feature_keys(STRUCTURES[name], "tfds:x")
    assert "\n" not in str(raised.value)


def test_audio_of_another_structure_is_told_what_is_expected():
    with pytest.raises(ValueError, match="one Audio feature.*Tensor.shape"):
        audio_tfds._Parts(STRUCTURES["no_dict"], None, "x")
