"""Coded data sets: what stock tfds reads, and what is refused."""

import pathlib
import re

import numpy as np
import pytest
import tensorflow as tf

from support import coding, small, tfds_sets
from vqvae_tf import data, presets
from vqvae_tf.data import open_episodes, open_images
from vqvae_tf.encoding import (
    dataset as code_sets,
    encoder as code_encoder,
    shards as code_shards,
)

tfds = tfds_sets.tfds
one_encoder = coding.one_encoder


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder with a preset, pictures, episodes, and an npz file."""
    home = tmp_path_factory.mktemp("home")
    coding.save_preset(home / "preset")
    coding.write_pictures(home)
    tfds_sets.write_clips(home, "clips", small.SIZE)
    coding.write_folder(home / "photos", "train")
    coding.write_folder(home / "photos", "test", 2)
    small.write_data(home)
    return home


def encode(home, source, folder, **kwargs):
    kwargs = {"data_dir": str(home), "batch_size": 4, **kwargs}
    kwargs = {"preset": home / "preset", **kwargs}
    return code_sets.encode_dataset(
        source=source, folder=folder, progress=False, **kwargs
    )


def expected(home, source, split):
    """Returns the codes of the pictures as training would see them."""
    images = open_images(source, split, str(home), progress=False)
    batches = data.evaluation_batches(images, 8, small.SIZE)
    x = np.concatenate([x.numpy() for x, _, _ in batches])
    x = x[: images.num_examples]
    labels = [
        int(images.get(np.int64(i)).get("label", -1)) for i in range(len(x))
    ]
    return presets.load(home / "preset").encode(x).numpy(), labels


@pytest.mark.parametrize("file_format", code_shards.FORMATS)
def test_tfds_reads_pictures(home, tmp_path, file_format):
    out = tmp_path / "codes"
    done = encode(
        home, "tfds:album", out, file_format=file_format, num_shards=3
    )
    assert done == {"examples": 15, "kept": 0, "made": 6}
    builder = tfds.builder_from_directory(out)
    sizes = {k: v.shard_lengths for k, v in builder.info.splits.items()}
    assert sizes == {"train": [3, 3, 4], "test": [1, 2, 2]}
    assert builder.info.features["label"].names == ["dull", "bright"]
    assert builder.info.features["codes"].np_dtype == np.uint8
    codes, labels = expected(home, "tfds:album", "train")
    assert len(np.unique(codes)) > 2
    if file_format == "tfrecord":
        rows = builder.as_dataset(split="train", shuffle_files=False)
        rows = list(rows.as_numpy_iterator())
    else:
        rows = list(builder.as_data_source(split="train"))
    np.testing.assert_array_equal([row["codes"] for row in rows], codes)
    assert [row["label"] for row in rows] == labels
    # tfds' own names of the records.
    config = tfds.ReadConfig(interleave_cycle_length=1, add_tfds_id=True)
    source = tfds.builder("album", data_dir=home).as_dataset(
        split="train", read_config=config, shuffle_files=False
    )
    assert [row["name"] for row in rows] == [
        row["tfds_id"] for row in source.as_numpy_iterator()
    ]


@pytest.mark.parametrize("file_format", code_shards.FORMATS)
def test_reading_back(home, tmp_path, file_format):
    encode(home, "tfds:album", tmp_path, file_format=file_format)
    codes, labels = expected(home, "tfds:album", "test")
    found = code_sets.load_codes(tmp_path, "test")
    np.testing.assert_array_equal(found["codes"], codes)
    np.testing.assert_array_equal(found["label"], labels)
    part = code_sets.load_codes(tmp_path, "test[1:3]")
    np.testing.assert_array_equal(part["codes"], codes[1:3])
    batches = list(code_sets.open_codes(tmp_path, "all", batch_size=4))
    assert [len(batch["codes"]) for batch in batches] == [4, 4, 4, 3]
    # What a prior is trained on.
    step = next(iter(data.array_batches(found["codes"], 2)))
    assert step.shape == (2, 4, 4)


def test_folder(home, tmp_path):
    out = tmp_path / "codes"
    encode(home, str(home / "photos"), out, num_shards=2)
    found = code_sets.load_codes(out, "train")
    codes, labels = expected(home, "folder:photos", "train")
    np.testing.assert_array_equal(found["codes"], codes)
    assert found["label"].tolist() == labels == [0, 0, 0, 1, 1, 1]
    assert found["name"].tolist()[2:4] == ["a/4.png", "b/1.png"]
    assert len(code_sets.load_codes(out, "test")["name"]) == 2


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_npz_is_read_in_pieces(home, tmp_path, save):
    images = small.pictures(11, 20)
    save(tmp_path / "x.npz", x_test=images, y_test=np.arange(11) % 3)
    encode(home, str(tmp_path / "x.npz"), tmp_path / "codes", num_shards=3)
    found = code_sets.load_codes(tmp_path / "codes", "test")
    x = np.stack([data.resize_and_crop(i, small.SIZE) for i in images])
    codes = presets.load(home / "preset").encode(x)
    np.testing.assert_array_equal(found["codes"], codes)
    assert found["label"].tolist() == [i % 3 for i in range(11)]
    assert found["name"].tolist() == [str(i) for i in range(11)]


def test_episodes(home, tmp_path):
    encode(home, "tfds:clips", tmp_path, num_shards=2)
    found = code_sets.load_episodes(tmp_path, "train")
    source = open_episodes("tfds:clips", "train", str(home), progress=False)
    codes = presets.load(home / "preset").encode(source.values)
    np.testing.assert_array_equal(found.values, codes)
    np.testing.assert_array_equal(found.actions, source.actions)
    np.testing.assert_array_equal(found.lengths, source.lengths)
    rows = code_sets.load_codes(tmp_path, "test")
    assert rows["episode"].tolist() == [0] * 16 + [1] * 16
    assert rows["step"].tolist() == [*range(16)] * 2
    assert np.flatnonzero(rows["is_last"]).tolist() == [15, 31]
    x, context = next(iter(data.clip_batches(found, 2, 4)))
    assert context["past"].shape == (4, 2, 4, 4)


def test_snippets_of_the_guide_run(home, tmp_path, monkeypatch):
    encode(home, "tfds:album", tmp_path / "cifar10_codes")
    encode(home, "tfds:clips", tmp_path / "dmlab_codes")
    page = pathlib.Path(__file__).parents[2] / "docs" / "encoding.md"
    monkeypatch.chdir(tmp_path)
    names = {}
    for block in re.findall(r"```python\n(.*?)```", page.read_text(), re.S):
        exec(compile(block, str(page), "exec"), names)
    codes, _ = next(iter(names["batches"]))
    assert codes.shape == (64, 4, 4)
    assert names["clips"].element_spec


def test_episodes_of_other_frames_and_actions(home, tmp_path):
    features = {
        "steps": tfds.features.Dataset(
            {
                "observation": {
                    "image": tfds.features.Image(shape=(20, 24, 3))
                },
                "action": tfds.features.Tensor(shape=(2,), dtype=np.float32),
            }
        )
    }
    frames = small.pictures(3, 24)[:, :20]
    actions = np.arange(6, dtype=np.float32).reshape([3, 2]) / 7
    steps = [
        {"observation": {"image": frame}, "action": action}
        for frame, action in zip(frames, actions)
    ]
    rows = [{"steps": steps}, {"steps": steps[:2]}]
    tfds_sets.prepare(tmp_path, "arms", features, {"train": rows})
    encode(home, "tfds:arms", tmp_path / "codes", data_dir=str(tmp_path))
    found = code_sets.load_episodes(tmp_path / "codes", "train")
    np.testing.assert_array_equal(found.actions[:3], actions)
    assert found.lengths.tolist() == [3, 2]
    x = np.stack([data.resize_and_crop(frame, small.SIZE) for frame in frames])
    codes = presets.load(home / "preset").encode(x)
    np.testing.assert_array_equal(found.values[:3], codes)


def test_two_levels(home, tmp_path):
    model = small.two_levels()
    model.save_to_preset(tmp_path / "preset")
    code_sets.encode_dataset(
        tmp_path / "preset",
        "tfds:album",
        tmp_path / "codes",
        data_dir=str(home),
        batch_size=4,
        progress=False,
    )
    found = code_sets.load_codes(tmp_path / "codes", "train")
    above = model.prior.autoencoder.encode(found["codes"].astype(np.int32))
    assert found["global_codes"].shape == (10, 3)
    np.testing.assert_array_equal(found["global_codes"], above[:, 0, 0])
    assert len(np.unique(found["global_codes"])) > 1


def test_model_of_video_encodes_by_its_autoencoder(home, tmp_path):
    model = small.video()
    model.save_to_preset(tmp_path / "preset")
    encode_ = code_encoder.CodeEncoder(tmp_path / "preset", 4)
    images = small.pictures(3)
    np.testing.assert_array_equal(
        encode_(images)["codes"], model.autoencoder.encode(images)
    )


def test_wide_codes_and_several_codebooks(home, tmp_path):
    for name, model, dtype, shape in (
        ("wide", coding.plain_model(), np.uint16, (4, 4)),
        ("books", small.autoencoder(num_codebooks=2), np.uint8, (4, 4, 2)),
    ):
        model.save_to_preset(tmp_path / name)
        folder = tmp_path / f"{name}_codes"
        code_sets.encode_dataset(
            tmp_path / name, "tfds:album", folder, "test", str(home)
        )
        found = code_sets.load_codes(folder, "test")["codes"]
        assert found.dtype == dtype and found.shape == (5, *shape)
        images = open_images("tfds:album", "test", str(home), progress=False)
        x = np.stack([images.get(np.int64(i))["image"] for i in range(5)])
        np.testing.assert_array_equal(found, model.encode(x))


def test_records_equal_those_of_tfds():
    batch = {
        "codes": np.arange(8, dtype=np.uint16).reshape([2, 2, 2]) * 99,
        "name": np.array(["a", "ü"], object),
        "step": np.array([3, -1]),
        "is_last": np.array([True, False]),
        "action": np.array([[0.5, -1], [2, 3]], np.float32),
    }
    features = tfds.features.FeaturesDict(
        {
            "codes": tfds.features.Tensor(
                shape=(2, 2), dtype=np.uint16, encoding="bytes"
            ),
            "name": tfds.features.Text(),
            "step": tfds.features.Scalar(np.int64),
            "is_last": tfds.features.Scalar(np.bool_),
            "action": tfds.features.Tensor(shape=(2,), dtype=np.float32),
        }
    )
    for i, record in enumerate(code_shards.serialized(batch)):
        row = {k: v[i] for k, v in batch.items()}
        other = features.serialize_example(row)
        parsed = tf.train.Example.FromString
        assert parsed(record) == parsed(other)
        # Always in one order, which protocol buffers do not promise.
        places = [record.index(name.encode()) for name in sorted(batch)]
        assert places == sorted(places)


def test_metadata_say_what_made_it(home, tmp_path):
    encode(home, "tfds:album", tmp_path, split="test[:3]")
    plan = code_sets.read_plan(tmp_path)
    assert plan == coding.plan_of(tmp_path)
    weights = home / "preset" / "model.weights.h5"
    files = plan["preset"]["files"]
    assert files["model.weights.h5"] == presets.sha256(weights)
    assert plan["source"] == "tfds:album"
    assert plan["splits"]["test"]["pictures"] == 3


# Mistakes -------------------------------------------------------------------


@pytest.mark.parametrize(
    "kwargs, words",
    [
        ({"num_shards": 3}, "another shard count"),
        ({"file_format": "array_record"}, "Expected tfrecord, as before"),
        ({"split": "train"}, "another split"),
        ({"split": "test[:4]"}, "another state of the source"),
    ],
)
def test_another_set_in_the_folder(home, tmp_path, kwargs, words):
    encode(home, "tfds:album", tmp_path, split="test", num_shards=2)
    before = coding.contents(tmp_path)
    kwargs = {"split": "test", "num_shards": 2, **kwargs}
    with pytest.raises(ValueError, match=words):
        encode(home, "tfds:album", tmp_path, **kwargs)
    assert coding.contents(tmp_path) == before


def test_another_preset_or_source_in_the_folder(home, tmp_path):
    encode(home, "tfds:album", tmp_path / "codes", split="test")
    with pytest.raises(ValueError, match="another source.*npz:small.npz"):
        encode(home, "npz:small.npz", tmp_path / "codes", split="test")
    coding.save_preset(tmp_path / "preset", coding.plain_model())
    with pytest.raises(ValueError, match="another preset"):
        encode(tmp_path, "tfds:album", tmp_path / "codes", data_dir=str(home))


def test_a_folder_of_something_else(home, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(ValueError, match="which contains notes.txt"):
        encode(home, "tfds:album", tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["notes.txt"]


@pytest.mark.parametrize("named", ["path", "folder", "link"])
def test_codes_and_what_they_are_of_are_apart(home, tmp_path, named):
    coding.write_folder(tmp_path / "photos", "train")
    (tmp_path / "link").symlink_to("photos")
    source = {
        "path": str(tmp_path / "photos"),
        "folder": "folder:photos",
        "link": str(tmp_path / "link"),
    }[named]
    before = sorted(tmp_path.rglob("*"))
    for folder, words in (
        ("photos", "would be among the input"),
        ("photos/codes", "would be among the input"),
        ("link/new/codes", "would be among the input"),
        (".", "in the folder of the output"),
    ):
        with pytest.raises(ValueError, match=words):
            encode(home, source, tmp_path / folder, data_dir=str(tmp_path))
    np.savez(tmp_path / "a.npz", images=small.pictures(2))
    with pytest.raises(ValueError, match="in the folder of the output"):
        encode(home, str(tmp_path / "a.npz"), tmp_path)
    (tmp_path / "a.npz").unlink()
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    "kwargs, words",
    [
        ({"split": "test,test[:2]"}, "twice 'test'"),
        ({"split": "valid"}, "no examples for this split"),
        ({"num_shards": 6, "split": "test"}, "from 1 to the 5 pictures"),
        ({"num_shards": 0}, "num_shards must be a positive integer"),
        ({"batch_size": 0}, "batch_size must be a positive integer"),
        ({"file_format": "csv"}, "must be one of .*'csv'"),
        ({"on_corrupt": "ignore"}, "on_corrupt must be"),
    ],
)
def test_bad_arguments(home, tmp_path, kwargs, words):
    with pytest.raises(ValueError, match=words):
        encode(home, "tfds:album", tmp_path / "codes", **kwargs)
    assert not (tmp_path / "codes").exists()


def test_unknown_source(home, tmp_path):
    with pytest.raises(ValueError, match="Received: 'nothing'"):
        encode(home, "nothing", tmp_path / "codes")
