"""Pictures from a prepared data set of the stock tensorflow_datasets."""

import os
import struct

import numpy as np
import tensorflow as tf

from vqvae_tf.data import builders, pictures, rlds
from vqvae_tf.data import source as sources

_READ = 64  # pictures that are fetched at once


def open_tfds(name: str, options: sources.OpenOptions) -> sources.ImageSource:
    """Opens "tfds:name"; see `open_images`.

    Pictures are decoded by tensorflow_datasets, so they equal those of
    `tfds.load`; they come in the order of their files. A set that does not
    fit the memory bound is read at random places of its TFRecord files; unless
    on_corrupt="skip", its pictures are then first checked when they are used.
    """
    builder = builders.open_builder(name, options)
    split = builders.find_split(builder, name, options.split)
    if rlds.is_rlds(builder):
        return rlds.frames_of(rlds.load(builder, split, name, options))
    image_key, label_key = feature_keys(builder.info.features, name)
    features = only(builder.info.features, image_key, label_key)
    shape = (*features[image_key].shape[:2], options.channels)
    names = features[label_key].names if label_key else None
    title = f"tfds:{name} ({options.split})"

    def example(raw):
        found = {"image": pictures.convert_channels(raw[image_key], shape[2])}
        if label_key:
            found["label"] = raw[label_key]
        return found

    def decode(record):
        return example(features.deserialize_example(record))

    records, loaded = None, None
    if _fits(shape, split.num_examples, options):
        try:
            raw = builders.stream(builder, options.split)
            loaded = _load(raw.map(example), shape, split.num_examples, options)
        except (tf.errors.InvalidArgumentError, tf.errors.DataLossError) as e:
            records = _sound(_Records(split), decode, options, e)
            found = records.dataset(decode)
            loaded = _load(found, shape, len(records), options)
    if loaded is not None:
        return sources.in_memory(title, *loaded, names)
    if records is None:
        records = _Records(split)
        if options.on_corrupt == "skip":
            records = _sound(records, decode, options)
    return sources.LazyImages(
        title,
        len(records),
        shape,
        lambda index: decode(records.read(index)),
        names,
    )


def feature_keys(features, name):
    """Returns the keys of the picture and of the class label (or None)."""
    import tensorflow_datasets as tfds

    images = [
        key
        for key, feature in features.items()
        if isinstance(feature, tfds.features.Image)
        and feature.np_dtype == np.uint8
    ]
    if "image" in images:
        images = ["image"]
    if len(images) != 1:
        raise ValueError(
            "A data set with one uint8 picture an example was expected. "
            f"Received: 'tfds:{name}' with the features {list(features)}."
        )
    label = features["label"] if "label" in features else None
    is_class = isinstance(label, tfds.features.ClassLabel)
    return images[0], "label" if is_class and label.num_classes else None


def only(features, *keys):
    """Returns the features without those that are not needed."""
    import tensorflow_datasets as tfds

    return tfds.features.FeaturesDict(
        {key: features[key] for key in keys if key}
    )


def _fits(shape, rows, options):
    """Whether the pictures may fit in memory; True where it is not known."""
    size = 0 if None in shape else rows * int(np.prod(shape))
    return size <= options.cache_bytes


def _load(examples, shape, rows, options):
    """Returns (images, labels or None), or None if the bound is exceeded."""
    # Whole batches are quicker to fetch; pictures of several sizes have none.
    batches = examples.batch(1 if None in shape else _READ)
    images, labels, size = [], [], 0
    with options.bar(rows) as bar:
        for found in batches.as_numpy_iterator():
            images.extend(found["image"])
            labels.extend(found.get("label", ()))
            bar.update(len(found["image"]))
            size += found["image"].nbytes
            if size > options.cache_bytes:
                return None
    return images, np.array(labels) if labels else None


def _sound(records, decode, options, known_error=None):
    """Decodes every record; refuses or leaves out the corrupt ones.

    `known_error` is one that reading the records in order has met.
    """
    decode = tf.function(decode)
    sound = []
    for index in options.bar(len(records), range(len(records))):
        try:
            decode(records.read(index))
            sound.append(index)
        except (tf.errors.OpError, ValueError) as error:
            reason = str(error).splitlines()[0]
            place = records.place(index)
            options.refuse(f"Cannot decode {place}: {reason}", error)
    if not sound or (known_error and len(sound) == len(records)):
        raise ValueError(
            "The prepared files are damaged, and the damage cannot be left "
            f"out; prepare the data set again. Received: {records.files}."
        ) from known_error
    return records.subset(sound)


class _Records:
    """Random access to the TFRecord files of a split.

    A record is: length (8 bytes, little-endian), checksum (4), data,
    checksum (4). One pass over the headers finds where each one lies.
    """

    def __init__(self, split):
        self.files, places = [], []
        for part in split.file_instructions:
            starts = _record_places(part.filename, part.skip, part.take)
            number = np.full([len(starts), 1], len(self.files))
            places.append(np.concatenate([number, starts], axis=1))
            self.files.append(part.filename)
        self._places = np.concatenate(places)  # [n, 3]: file, start, size

    def __len__(self):
        return len(self._places)

    def subset(self, indices):
        chosen = object.__new__(_Records)
        chosen.files = self.files
        chosen._places = self._places[np.array(indices, np.int64)]
        return chosen

    def place(self, index):
        file, start, _ = self._places[index]
        return f"the record at byte {start} of {self.files[file]!r}"

    def read(self, index) -> tf.Tensor:
        """Returns the serialized example, a scalar string tensor."""
        record = tf.numpy_function(
            self._bytes, [index], tf.string, stateful=False
        )
        return tf.ensure_shape(record, [])

    def dataset(self, decode):
        return tf.data.Dataset.range(len(self)).map(
            lambda index: decode(self.read(index)),
            num_parallel_calls=tf.data.AUTOTUNE,
        )

    def _bytes(self, index):
        file, start, size = self._places[index]
        with open(self.files[file], "rb") as stream:
            stream.seek(start)
            return stream.read(size)


def _record_places(path, skip, take):
    """Returns int64 [rows, 2], start and size, of records [skip, skip+take)."""
    path = os.fspath(path)
    if not path.split(".")[-1].startswith("tfrecord"):
        raise ValueError(
            "A data set that exceeds the memory bound must be prepared as "
            f"TFRecord; raise cache_bytes otherwise. Received: {path!r}."
        )
    end, places, position = os.path.getsize(path), [], 0
    stop = end if take < 0 else skip + take
    with open(path, "rb") as stream:
        while position + 12 <= end and len(places) < stop:
            stream.seek(position)
            (size,) = struct.unpack("<Q", stream.read(8))
            places.append((position + 12, size))
            position += 16 + size
    if position > end or (take >= 0 and len(places) < stop):
        raise ValueError(
            "A prepared TFRecord file is truncated; prepare the data set "
            f"again. Received: {path!r} of {end} bytes."
        )
    return np.array(places[skip:], np.int64).reshape(-1, 2)
