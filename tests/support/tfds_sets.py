"""Data sets as tensorflow_datasets stores them, written for tests."""

import json
import shutil

import numpy as np
import pytest
import tensorflow as tf

from support import small

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


def samples(number, time=600):
    """Returns noise of `time + number` samples, as 16-bit integers go."""
    generator = np.random.default_rng(number)
    return generator.integers(-(2**13), 2**13, time + number)


def write_vctk(data_dir, spoken):
    """Writes recordings at 48 kHz as the stock `vctk/mic2` is stored.

    Args:
        data_dir: where.
        spoken: a dict of speakers to the numbers of their recordings.
    """
    features = {
        "id": np.str_,
        "text": tfds.features.Text(),
        "speech": tfds.features.Audio(sample_rate=48000, dtype=np.int16),
        "speaker": tfds.features.ClassLabel(names=["p225", "p226", "s5"]),
    }
    rows = [
        {
            "id": f"{speaker}_{number:03}",
            "text": "",
            "speech": samples(number, 4800).astype(np.int16),
            "speaker": speaker,
        }
        for speaker, numbers in spoken.items()
        for number in numbers
    ]
    prepare(data_dir, "vctk", features, {"train": rows})
    # The stock builder has configurations, each in a folder of its own.
    folder = data_dir / "vctk" / "mic2" / "1.0.1"
    shutil.move(data_dir / "vctk" / "1.0.0", folder)
    path = folder / "dataset_info.json"
    info = json.loads(path.read_text())
    info |= {"version": "1.0.1", "configName": "mic2"}
    path.write_text(json.dumps(info))
