"""Pictures from a prepared data set of tensorflow_datasets."""

from typing import TYPE_CHECKING

import numpy as np
import tensorflow as tf

from vqvae_tf.data import decoding as pictures
from vqvae_tf.data.episodes import rlds
from vqvae_tf.data.options import OpenOptions
from vqvae_tf.data.pictures import source as sources
from vqvae_tf.data.records import builders
from vqvae_tf.data.records.random_access import RandomRecords

if TYPE_CHECKING:
    import tensorflow_datasets as tfds

_READ = 64  # pictures that are fetched at once


def open_tfds(name: str, options: OpenOptions) -> sources.ImageSource:
    """Opens "tfds:name"; see `open_images`.

    Pictures are decoded by tensorflow_datasets, so they equal those of
    `tfds.load`, and keep the order of the files. A set beyond
    `options.cache_bytes` is read by random access to its TFRecord files, and
    its pictures are checked only when used, unless on_corrupt="skip".
    """
    builder = builders.open_builder(name, options)
    split = builders.find_split(builder, name, options.split)
    if rlds.is_rlds(builder):
        episodes = rlds.load(builder, split, name, options)
        return sources.ArrayImages(episodes.name, episodes.values)
    image_key, label_key = feature_keys(builder.info.features, f"tfds:{name}")
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
            records = _sound(RandomRecords(split), decode, options, e)
            found = records.dataset(decode)
            loaded = _load(found, shape, len(records), options)
    if loaded is not None:
        return sources.in_memory(title, *loaded, names)
    if records is None:
        records = RandomRecords(split)
        if options.on_corrupt == "skip":
            records = _sound(records, decode, options)
    return sources.LazyImages(
        title,
        len(records),
        shape,
        lambda index: decode(records.read(index)),
        names,
    )


def feature_keys(
    features: "tfds.features.FeatureConnector", title: str
) -> tuple[str, str | None]:
    """Returns the keys of the picture and of the class label (or None).

    Args:
        features: features of the data set's builder.
        title: name of the data set, for messages.

    Raises:
        ValueError: an example does not have exactly one 8-bit picture.
    """
    import tensorflow_datasets as tfds

    images = [
        key
        for key, feature in builders.named(features).items()
        if isinstance(feature, tfds.features.Image)
        and feature.np_dtype == np.uint8
    ]
    if "image" in images:
        images = ["image"]
    if len(images) != 1:
        raise ValueError(
            "A data set with one uint8 picture per example was expected, or "
            "with several of which one is called image. Load it with "
            "tensorflow-datasets and save the pictures to an npz file "
            f'("npz:FILE"). Received: {title!r} with '
            f"{builders.described(features)}."
        )
    label = features["label"] if "label" in features else None
    is_class = isinstance(label, tfds.features.ClassLabel)
    return images[0], "label" if is_class and label.num_classes else None


def only(
    features: "tfds.features.FeaturesDict", *keys: str | None
) -> "tfds.features.FeaturesDict":
    """Returns only the features with the given keys, None of which count."""
    import tensorflow_datasets as tfds

    return tfds.features.FeaturesDict(
        {key: features[key] for key in keys if key}
    )


def _fits(shape, rows, options):
    """Whether the pictures may fit in memory; True if their size is unknown."""
    size = 0 if None in shape else rows * int(np.prod(shape))
    return size <= options.cache_bytes


def _load(examples, shape, rows, options):
    """Returns (images, labels or None), or None if the bound is exceeded."""
    # Batches are faster to fetch, but need pictures of one size.
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
    """Decodes every record; refuses or skips the corrupt ones.

    `known_error` is one that sequential reading raised.
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
            "The prepared files are damaged, and the damage cannot be "
            "skipped; prepare the data set again. "
            f"Received: {records.files}."
        ) from known_error
    return records.subset(sound)
