"""Sources and presets for the tests of coded data sets."""

import json
import pathlib

import numpy as np
import small
import tfds_sets
from PIL import Image

import vqvae_tf as vq

tfds = tfds_sets.tfds
SIZE = small.SIZE


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
    import tensorflow as tf

    for path in sorted(folder.glob(f"{name}-train*")):
        records = list(tf.data.TFRecordDataset(str(path)).as_numpy_iterator())
        if index >= len(records):
            index -= len(records)
            continue
        example = tf.train.Example.FromString(records[index])
        image = example.features.feature["image"].bytes_list
        image.value[0] = image.value[0][:30]
        records[index] = example.SerializeToString()
        with tf.io.TFRecordWriter(str(path)) as writer:
            for record in records:
                writer.write(record)
        return


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
