"""Pictures and episodes of tfds sets to encode, read incrementally."""

import hashlib
import os
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from vqvae_tf.data import decoding as pictures
from vqvae_tf.data.episodes import rlds
from vqvae_tf.data.options import OpenOptions
from vqvae_tf.data.pictures import prepared
from vqvae_tf.data.records import builders
from vqvae_tf.data.records.sequential import Records, intact
from vqvae_tf.encoding.picture_format import fitted
from vqvae_tf.encoding.streams import batched
from vqvae_tf.utils.messages import first_line

_SEEN = 2**20  # bytes of each file that are hashed, to notice changes


def open_tfds(name: str, options: OpenOptions) -> tuple[Callable, list[str]]:
    """Opens "tfds:name"; see `encoding.sources.open_source`."""
    builder = builders.open_builder(name, options)

    def open_split(split, form):
        found = builders.find_split(builder, name, split)
        title = f"tfds:{name} ({split})"
        kind = _Episodes if rlds.is_rlds(builder) else _Pictures
        return kind(builder, Records(found, title), title, form, options)

    splits = builder.info.splits
    return open_split, [s for s in splits if splits[s].num_examples]


class _Units:
    """The units of a split, each stored in one record.

    Args:
        builder: of tensorflow_datasets.
        records: the split's `Records`.
        title: data set and split, for messages.
        form: the `PictureFormat` of the pictures to return.
        options: `OpenOptions`.
    """

    def __init__(self, builder, records, title, form, options):
        self._builder, self._records = builder, records
        self._title, self._form, self._options = title, form, options

    def __len__(self):
        return len(self._records)

    @property
    def origin(self):
        digest = hashlib.sha256()
        for path, *rest in self._records.pieces:
            length = tf.io.gfile.stat(path).length
            seen = (os.path.basename(path), *rest, length)
            digest.update(repr(seen).encode())
            # A file with other labels may have the same length.
            with tf.io.gfile.GFile(path, "rb") as file:
                digest.update(file.read(_SEEN))
        return {
            "version": str(self._builder.version),
            "pieces_sha256": digest.hexdigest(),
        }


class _Pictures(_Units):
    """Pictures with their label and their record's name.

    Records are parsed and decoded in batches, which takes a third of the time
    of tfds' own reading; this matters with a fast encoder.
    """

    unit = "pictures"

    def __init__(self, builder, records, title, form, options):
        super().__init__(builder, records, title, form, options)
        features = builder.info.features
        keys = prepared.feature_keys(features, title)
        self._image, self._label = keys
        self._features = prepared.only(features, *keys)
        # Traced once, not for each shard.
        self._decode = tf.function(
            self._decode_batch,
            input_signature=[tf.TensorSpec([None], tf.string)],
            autograph=False,
        )

    @property
    def features(self):
        import tensorflow_datasets as tfds

        label = {"label": self._features["label"]} if self._label else {}
        return {"name": tfds.features.Text(), **label}

    def batches(self, start, stop, batch_size):
        """Yields dicts of `image`, `name` and perhaps `label`."""
        names = self._records.names(start, stop)
        records = self._records.dataset(start, stop, batch_size)
        decoded = records.map(self._decode, num_parallel_calls=2)
        done = 0
        try:
            batches = _untuned(decoded.prefetch(2)).as_numpy_iterator()
            for batch in intact(batches, self._title):
                count = len(batch["image"])
                done += count
                yield {**batch, "name": _take(names, count)}
        except tf.errors.InvalidArgumentError:
            # A picture cannot be decoded: find out which, one by one.
            rest = self._one_by_one(start + done, stop)
            yield from batched(rest, batch_size)

    def _one_by_one(self, start, stop):
        names = self._records.names(start, stop)
        records = self._records.dataset(start, stop, 1).unbatch()
        for name, record in zip(names, intact(records, self._title)):
            try:
                row = self._decode(record[None])
            except (tf.errors.InvalidArgumentError, ValueError) as error:
                self._options.refuse(
                    f"Cannot decode {name} of {self._title}: "
                    f"{first_line(error).rstrip('.')}.",
                    error,
                )
                continue
            row = {k: v.numpy() for k, v in row.items()}
            yield {**row, "name": np.array([name], object)}

    def _decode_batch(self, records):
        spec = {self._image: tf.io.FixedLenFeature([], tf.string)}
        if self._label:
            spec["label"] = tf.io.FixedLenFeature([], tf.int64)
        raw = tf.io.parse_example(records, spec)
        # One by one, since each picture is an image file of its own.
        image = tf.map_fn(
            self._decode_image,
            raw[self._image],
            fn_output_signature=tf.uint8,
            parallel_iterations=1,
        )
        found = {"image": image}
        return {**found, "label": raw["label"]} if self._label else found

    def _decode_image(self, content):
        image = self._features[self._image].decode_example(content)
        image = pictures.convert_channels(image, self._form.channels)
        return fitted(image, self._form)


class _Episodes(_Units):
    """Frames with the number of their episode, their step and action.

    Episodes are decoded as a whole, but batches may span several.
    """

    unit = "episodes"

    def __init__(self, builder, records, title, form, options):
        super().__init__(builder, records, title, form, options)
        steps = builder.info.features[rlds.STEPS].feature
        self._path = rlds.picture_path(steps, title)
        self._action = _numeric_action(steps)
        self._are_integers = self._action is not None and (
            not self._action.shape
            and np.issubdtype(self._action.np_dtype, np.integer)
        )

    @property
    def features(self):
        import tensorflow_datasets as tfds

        scalar = tfds.features.Scalar
        features = {
            "episode": scalar(np.int64),
            "step": scalar(np.int64),
            "is_last": scalar(np.bool_),
        }
        if self._are_integers:
            features["action"] = scalar(np.int64)
        elif self._action is not None:
            size = int(np.prod(self._action.shape))
            vector = tfds.features.Tensor(shape=(size,), dtype=np.float32)
            features["action"] = vector
        return features

    def batches(self, start, stop, batch_size):
        """Yields dicts of `image`, `episode`, `step`, `is_last`, `action`."""
        yield from batched(self._episodes(start, stop), batch_size)

    def _episodes(self, start, stop):
        records = self._records.dataset(start, stop, 1).unbatch()
        examples = _untuned(
            records.map(self._builder.info.features.deserialize_example)
        )
        read = rlds.read_episodes(
            examples, self._path, self._options, self._title
        )
        for number, found in enumerate(read, start):
            fault = found if isinstance(found, str) else rlds.find_fault(found)
            if fault:
                text = f"Episode {number} of {self._title} {fault}."
                self._options.refuse(text)
                continue
            yield self._rows(number, found)

    def _rows(self, number, found):
        frames = self._form.fit_all(found["frames"])
        count = len(frames)
        rows = {
            "image": frames,
            "episode": np.full(count, number, np.int64),
            "step": np.arange(count, dtype=np.int64),
            "is_last": np.arange(count) == count - 1,
        }
        if self._are_integers:
            rows["action"] = found["action"].astype(np.int64)
        elif self._action is not None:
            action = found["action"].astype(np.float32)
            rows["action"] = action.reshape([count, -1])
        return rows


def _numeric_action(steps):
    """Returns the feature of actions; None unless they are numbers."""
    action = steps["action"] if "action" in steps else None
    dtype = getattr(action, "np_dtype", None)
    if isinstance(dtype, dict) or dtype is None:
        return None
    return action if np.dtype(dtype).kind in "biuf" else None


def _untuned(dataset):
    """Returns a dataset without tf.data's autotuning.

    There is nothing to tune, and the end of a shard could wait up to 0.9 s for
    the tuner's thread to wake up.
    """
    options = tf.data.Options()
    options.autotune.enabled = False
    return dataset.with_options(options)


def _take(names, count):
    return np.array([next(names) for _ in range(count)], object)
