"""Data sets as tensorflow_datasets stores them, written for tests."""

import json

import numpy as np
import pytest
import small
import tensorflow as tf

tfds = pytest.importorskip("tensorflow_datasets")

TEMPLATE = "{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}"


def prepare(data_dir, name, features, examples):
    """Writes a data set as `tfds` stores it, in two shards a split."""
    folder = data_dir / name / "1.0.0"
    folder.mkdir(parents=True)
    features = tfds.features.FeaturesDict(features)
    features.save_config(folder)
    splits = []
    for split, rows in examples.items():
        shards = rows[: -(-len(rows) // 2)], rows[-(-len(rows) // 2) :]
        for number, shard_rows in enumerate(shards):
            file = f"{name}-{split}.tfrecord-{number:05}-of-00002"
            with tf.io.TFRecordWriter(str(folder / file)) as writer:
                for row in shard_rows:
                    row = features.encode_example(row)
                    writer.write(features.serialize_example(row))
        splits.append(
            {
                "filepathTemplate": TEMPLATE,
                "name": split,
                "numBytes": "1",
                "shardLengths": [str(len(rows)) for rows in shards],
            }
        )
    info = {"fileFormat": "tfrecord", "name": name, "version": "1.0.0"}
    text = json.dumps({**info, "splits": splits})
    (folder / "dataset_info.json").write_text(text)


def write_clips(data_dir, name, size, steps=16):
    """Writes episodes of photos, with 9 actions: three train, two test."""
    features = {
        "steps": tfds.features.Dataset(
            {
                "observation": {
                    "pixels": tfds.features.Image(shape=(size, size, 3))
                },
                "action": np.int64,
                "is_first": np.bool_,
                "is_last": np.bool_,
            }
        )
    }

    def episode(number):
        # Each frame is the one before, moved by a pixel.
        wide = np.concatenate(small.pictures(12, size)[number:], axis=1)
        return {
            "steps": [
                {
                    "observation": {"pixels": wide[:, t : t + size]},
                    "action": (t + number) % 9,
                    "is_first": t == 0,
                    "is_last": t == steps - 1,
                }
                for t in range(steps)
            ]
        }

    rows = {
        "train": [episode(number) for number in range(3)],
        "test": [episode(number) for number in range(3, 5)],
    }
    prepare(data_dir, name, features, rows)
