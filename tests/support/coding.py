"""Sources and presets for the tests of coded data sets."""

import functools
import json
import pathlib

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

import vqvae_tf as vq
from support import small, tfds_sets
from vqvae_tf.encoding import (
    dataset as code_sets,
    encoder as code_encoder,
    job as code_job,
)

tfds = tfds_sets.tfds
SIZE = small.SIZE


@functools.lru_cache
def _encoder(preset, batch_size):
    return code_encoder.CodeEncoder(preset, batch_size)


@pytest.fixture(autouse=True)
def one_encoder(monkeypatch):
    """Has a preset loaded and traced once, whatever the tests."""
    monkeypatch.setattr(code_job, "CodeEncoder", _encoder)


def encode(home, folder, source="tfds:album", **kwargs):
    """Encodes by the preset in `home`, in small batches."""
    kwargs = {"preset": f"{home}/preset", "data_dir": str(home), **kwargs}
    return code_sets.encode_dataset(
        source=source,
        folder=folder,
        progress=False,
        **{"num_shards": 4, "batch_size": 4, **kwargs},
    )


def write_pictures(data_dir, name="album", counts=(10, 5), corrupt=()):
    """Writes a tfds set of labelled pictures, in two files a split."""
    features = {
        "image": tfds.features.Image(shape=(None, None, 3)),
        "label": tfds.features.ClassLabel(names=["dull", "bright"]),
    }
    images = small.pictures(12)
    rows = {}
    for split, count in zip(("train", "test"), counts):
        rows[split] = [
            {"image": np.roll(images[i % 12], i, axis=0), "label": i % 2}
            for i in range(count)
        ]
    tfds_sets.prepare(data_dir, name, features, rows)
    for index in corrupt:
        spoil(data_dir / name / "1.0.0", name, index)


def spoil(folder, name, index):
    """Puts a picture that is none in the place of one of the split train."""
    paths = sorted(folder.glob(f"{name}-train*"))
    places = [(path, i) for path in paths for i in range(len(records_of(path)))]
    spoilt, place = places[index]
    rewrite(spoilt, lambda i, example: i == place and cut_picture(example))


def cut_picture(example):
    image = example.features.feature["image"].bytes_list
    image.value[0] = image.value[0][:30]


def relabel(path):
    """Changes all labels of a file, 0 to 1 and 1 to 0, and nothing else."""

    def change(_, example):
        label = example.features.feature["label"].int64_list
        label.value[0] = 1 - label.value[0]

    rewrite(path, change)


def drop_last(path, count):
    """Writes a TFRecord again without its last records."""
    records = records_of(path)[:-count]
    with tf.io.TFRecordWriter(str(path)) as writer:
        for record in records:
            writer.write(record)


def as_array_record(folder):
    """Changes a prepared set of TFRecord to ArrayRecord."""
    from array_record.python import array_record_module

    for path in sorted(folder.glob("*.tfrecord*")):
        target = str(path).replace(".tfrecord", ".array_record")
        writer = array_record_module.ArrayRecordWriter(target, "group_size:1")
        for record in records_of(path):
            writer.write(record)
        writer.close()
        path.unlink()
    info = folder / "dataset_info.json"
    info.write_text(info.read_text().replace('"tfrecord"', '"array_record"'))


def records_of(path):
    return list(tf.data.TFRecordDataset(str(path)).as_numpy_iterator())


def rewrite(path, change):
    """Writes a TFRecord again, after `change(number, example)` of each."""
    records = records_of(path)
    with tf.io.TFRecordWriter(str(path)) as writer:
        for number, record in enumerate(records):
            example = tf.train.Example.FromString(record)
            change(number, example)
            writer.write(example.SerializeToString())


def write_folder(folder, split="train", count=6):
    """Writes a folder of two classes of pictures."""
    for i, picture in enumerate(small.pictures(count, 20)):
        path = folder / split / "ab"[i % 2] / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(path)


def save_preset(folder, model=None):
    """Saves an untrained preset."""
    (model or small.generator()).save_to_preset(folder)
    return str(folder)


def plain_model():
    """A small model whose codes need 16 bits."""
    likelihood = vq.Gaussian()
    model = vq.VQVAE(
        vq.Encoder(4, hidden_channels=8),
        vq.VectorQuantizer(300, 4, seed=1),
        vq.FactorizedDensity(
            vq.Decoder(likelihood.num_parameters(3), hidden_channels=8),
            likelihood,
        ),
        event_shape=(SIZE, SIZE, 3),
    )
    model.build()
    return model


def contents(folder) -> dict:
    """Returns each file's bytes, by its path inside the folder."""
    folder = pathlib.Path(folder)
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def plan_of(folder) -> dict:
    return json.loads((pathlib.Path(folder) / "encoding.json").read_text())
