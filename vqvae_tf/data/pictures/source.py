"""Random access to the examples of a picture data set."""

import dataclasses
import numbers
import os
from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf
from absl import logging

from vqvae_tf.data.pictures.files import check_channels

# Decoded pictures are kept in memory up to this many bytes a source.
CACHE_BYTES = 512 * 2**20


class ImageSource:
    """Pictures with optional class labels, addressed by index.

    `open_images` makes one. Batches come from `training_batches` and
    `evaluation_batches`.

    Attributes:
        name: what was opened, for messages.
        num_examples: number of pictures, exact.
        shape: (height, width, channels); height and width are None where
            pictures differ (or may differ) in size.
        class_names: tuple of str, or None without labels.
        num_classes: its length, or None.
    """

    def __init__(
        self,
        name: str,
        num_examples: int,
        shape: tuple[int | None, int | None, int],
        class_names: Sequence[str] | None = None,
    ):
        if num_examples < 1:
            raise ValueError(
                "A picture source must hold at least one readable picture. "
                f"Received: {name} with none."
            )
        self.name = name
        self.num_examples = int(num_examples)
        self.shape = tuple(shape)
        self.class_names = None if class_names is None else tuple(class_names)

    @property
    def num_classes(self) -> int | None:
        return None if self.class_names is None else len(self.class_names)

    @property
    def uniform(self) -> bool:
        """Whether all pictures have one size."""
        return None not in self.shape

    def get(self, index) -> dict[str, tf.Tensor]:
        """Returns example `index` (an int64 scalar tensor), in a graph or not.

        Returns:
            {"image": uint8 [h, w, c], "label": int64 []}, no label where the
            source has none.
        """
        raise NotImplementedError

    def dataset(self) -> tf.data.Dataset:
        """Returns all examples once, unbatched, in the order of their index.

        Returns:
            Dataset of {"image": uint8 [h, w, c], "label": int64 [],
            "index": int64 []}; no label where the source has none.
        """
        return tf.data.Dataset.range(self.num_examples).map(
            lambda index: {**self.get(index), "index": index},
            num_parallel_calls=tf.data.AUTOTUNE,
            deterministic=True,
        )


class ArrayImages(ImageSource):
    """Pictures of one size in memory: uint8 [n, h, w, c].

    `get` also takes a vector of indices and returns a batch.
    """

    def __init__(self, name, images, labels=None, class_names=None):
        super().__init__(name, len(images), images.shape[1:], class_names)
        with tf.device("CPU:0"):
            self._images = held(images)
            self._labels = _label_tensor(labels)

    def get(self, index):
        image = tf.gather(self._images, index)
        return _example(image, self._labels, index)


def held(array) -> tf.Tensor:
    """Returns an array as a tensor, in the same memory where that can be.

    Args:
        array: one that nobody changes afterwards. `tf.constant` would keep two
            copies of it.
    """
    flags = array.flags
    # Kernels may ask for memory that is aligned so.
    if flags.c_contiguous and flags.writeable and not array.ctypes.data % 64:
        return tf.experimental.dlpack.from_dlpack(array.__dlpack__())
    return tf.identity(array)


class PackedImages(ImageSource):
    """Pictures of several sizes in memory, end to end in one vector."""

    def __init__(self, name, images, labels=None, class_names=None):
        shapes = np.array([image.shape for image in images], np.int32)
        shape = common_shape(shapes)
        super().__init__(name, len(images), shape, class_names)
        sizes = shapes.astype(np.int64).prod(axis=1)
        with tf.device("CPU:0"):
            self._flat = tf.constant(
                np.concatenate([i.ravel() for i in images])
            )
            self._starts = tf.constant(np.cumsum(sizes) - sizes)
            self._sizes = tf.constant(sizes)
            self._shapes = tf.constant(shapes)
            self._labels = _label_tensor(labels)

    def get(self, index):
        start = tf.gather(self._starts, index)
        size = tf.gather(self._sizes, index)
        image = tf.reshape(
            tf.slice(self._flat, start[None], size[None]),
            tf.gather(self._shapes, index),
        )
        image = tf.ensure_shape(image, self.shape)
        return _example(image, self._labels, index)


class LazyImages(ImageSource):
    """Pictures too big for the memory bound: read and decoded when asked for.

    `read(index)` takes an int64 scalar tensor and returns an example as `get`
    does; the image's static shape may be incomplete.
    """

    def __init__(
        self,
        name,
        num_examples,
        shape,
        read: Callable[[tf.Tensor], dict[str, tf.Tensor]],
        class_names=None,
    ):
        super().__init__(name, num_examples, shape, class_names)
        self._read = read

    def get(self, index):
        example = self._read(tf.cast(index, tf.int64))
        image = tf.ensure_shape(example["image"], self.shape)
        return {**example, "image": image}


def in_memory(name, images, labels=None, class_names=None) -> ImageSource:
    """Holds a list of uint8 [h, w, c] arrays, of one size or several."""
    if len({image.shape for image in images}) == 1:
        return ArrayImages(name, np.stack(images), labels, class_names)
    if not images:
        return ImageSource(name, 0, (None, None, None))  # raises
    return PackedImages(name, images, labels, class_names)


def common_shape(shapes) -> tuple[int | None, ...]:
    """Returns the one shape, with None on axes where the shapes differ."""
    axes = np.asarray(shapes).T
    return tuple(
        int(axis[0]) if (axis == axis[0]).all() else None for axis in axes
    )


def _label_tensor(labels):
    return None if labels is None else tf.constant(labels, tf.int64)


def _example(image, labels, index):
    if labels is None:
        return {"image": image}
    return {"image": image, "label": tf.gather(labels, index)}


def split_source(source) -> tuple[str, str]:
    """Returns the kind of a source and its name, of "kind:name".

    Raises:
        ValueError: it is no string.
    """
    if not isinstance(source, str):
        raise ValueError(
            'source must be a string such as "tfds:cifar10", "folder" or '
            f'"npz:FILE"; a path goes into data_dir. Received: {source!r}.'
        )
    kind, _, name = source.partition(":")
    return kind, name


@dataclasses.dataclass(frozen=True)
class OpenOptions:
    """The arguments of `open_images` and `open_episodes`, checked."""

    split: str
    data_dir: str | None = None
    on_corrupt: str = "error"
    progress: bool = True
    channels: int = 3
    download: bool = False
    cache_bytes: int = CACHE_BYTES

    def __post_init__(self):
        if self.on_corrupt not in ("error", "skip"):
            raise ValueError(
                'on_corrupt must be "error" or "skip". '
                f"Received: {self.on_corrupt!r}."
            )
        check_channels(self.channels)
        if not isinstance(self.split, str) or not self.split:
            raise ValueError(
                'split must be the name of a split, such as "train", or "all". '
                f"Received: {self.split!r}."
            )
        if not isinstance(self.data_dir, str | os.PathLike | None):
            raise ValueError(
                f"data_dir must be a path or None. Received: {self.data_dir!r}."
            )
        is_size = isinstance(self.cache_bytes, numbers.Real)
        if not is_size or not self.cache_bytes >= 0:
            raise ValueError(
                "cache_bytes must be a number of bytes. "
                f"Received: {self.cache_bytes!r}."
            )

    def place(self, name) -> str:
        """Returns the path of a name that may be relative to `base`."""
        return os.path.join(self.base, os.path.expanduser(name))

    @property
    def base(self) -> str:
        """The folder that relative paths start from."""
        return os.path.expanduser(
            self.data_dir or os.environ.get("TFDS_DATA_DIR") or "."
        )

    def bar(self, total, iterable=None, unit="pictures"):
        """Returns a tqdm progress bar that shows after a second."""
        from tqdm import tqdm

        return tqdm(
            iterable,
            total=total,
            unit=f" {unit}",
            delay=1,
            mininterval=0.5,
            leave=False,
            disable=not self.progress,
        )

    def refuse(self, message: str, cause: Exception | None = None) -> None:
        """Raises ValueError on a corrupt picture, or logs that it is left."""
        if self.on_corrupt == "error":
            raise ValueError(
                f'{message} Repair or remove it, or use on_corrupt="skip" '
                "(vqvae-tf evaluate, encode: --on_corrupt=skip; train: "
                "--config.data.on_corrupt=skip)."
            ) from cause
        logging.warning("Skipped: %s", message)
