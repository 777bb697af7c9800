"""Random access to the examples of a picture data set."""

from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf

from vqvae_tf.data.source import Source


class ImageSource(Source):
    """Pictures with optional class labels, addressed by index.

    Opened by `open_images`; `training_batches` and `evaluation_batches` make
    batches of it.

    Attributes:
        name: what was opened, for messages.
        num_examples: exact number of pictures.
        shape: (height, width, channels); height and width are None if the
            pictures (may) differ in size.
        class_names: tuple of str, or None without labels.
        num_classes: its length, or None.

    `get(index)` returns {"image": uint8 [h, w, c], "label": int64 []}, without
    "label" if the source has none.
    """

    unit = "picture"

    def __init__(
        self,
        name: str,
        num_examples: int,
        shape: tuple[int | None, int | None, int],
        class_names: Sequence[str] | None = None,
    ):
        super().__init__(name, num_examples, class_names)
        self.shape = tuple(shape)

    @property
    def uniform(self) -> bool:
        """Whether all pictures have one size."""
        return None not in self.shape


class ArrayImages(ImageSource):
    """Pictures of one size in memory: uint8 [n, h, w, c].

    `get` also accepts a vector of indices, and then returns a batch.
    """

    def __init__(
        self,
        name: str,
        images: np.ndarray,
        labels: np.ndarray | None = None,
        class_names: Sequence[str] | None = None,
    ):
        super().__init__(name, len(images), images.shape[1:], class_names)
        with tf.device("CPU:0"):
            self._images = held(images)
            self._labels = _label_tensor(labels)

    def get(self, index: int | tf.Tensor) -> dict[str, tf.Tensor]:
        image = tf.gather(self._images, index)
        return example_of(image, self._labels, index)


def held(array: np.ndarray) -> tf.Tensor:
    """Returns an array as a tensor, sharing its memory if possible.

    `tf.constant` would make a copy.

    Args:
        array: must not be modified afterwards.
    """
    flags = array.flags
    # Kernels may require memory that is aligned to 64 bytes.
    if flags.c_contiguous and flags.writeable and not array.ctypes.data % 64:
        return tf.experimental.dlpack.from_dlpack(array.__dlpack__())
    return tf.identity(array)


class PackedImages(ImageSource):
    """Pictures of several sizes in memory, concatenated to one vector."""

    def __init__(
        self,
        name: str,
        images: list[np.ndarray],
        labels: np.ndarray | None = None,
        class_names: Sequence[str] | None = None,
    ):
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

    def get(self, index: int | tf.Tensor) -> dict[str, tf.Tensor]:
        start = tf.gather(self._starts, index)
        size = tf.gather(self._sizes, index)
        image = tf.reshape(
            tf.slice(self._flat, start[None], size[None]),
            tf.gather(self._shapes, index),
        )
        image = tf.ensure_shape(image, self.shape)
        return example_of(image, self._labels, index)


class LazyImages(ImageSource):
    """Pictures beyond the memory bound: read and decoded at each use.

    `read(index)` takes an int64 scalar tensor and returns an example as `get`
    does; the image's static shape may be unknown.
    """

    def __init__(
        self,
        name: str,
        num_examples: int,
        shape: tuple[int | None, ...],
        read: Callable[[tf.Tensor], dict[str, tf.Tensor]],
        class_names: Sequence[str] | None = None,
    ):
        super().__init__(name, num_examples, shape, class_names)
        self._read = read

    def get(self, index: int | tf.Tensor) -> dict[str, tf.Tensor]:
        example = self._read(tf.cast(index, tf.int64))
        image = tf.ensure_shape(example["image"], self.shape)
        return {**example, "image": image}


def in_memory(
    name: str,
    images: list[np.ndarray],
    labels: np.ndarray | None = None,
    class_names: Sequence[str] | None = None,
) -> ImageSource:
    """Makes a source of uint8 [h, w, c] arrays, of one size or several."""
    if len({image.shape for image in images}) == 1:
        return ArrayImages(name, np.stack(images), labels, class_names)
    if not images:
        return ImageSource(name, 0, (None, None, None))  # raises
    return PackedImages(name, images, labels, class_names)


def common_shape(
    shapes: Sequence[tuple] | np.ndarray,
) -> tuple[int | None, ...]:
    """Returns the common shape, with None on axes where shapes differ."""
    axes = np.asarray(shapes).T
    return tuple(
        int(axis[0]) if (axis == axis[0]).all() else None for axis in axes
    )


def _label_tensor(labels):
    return None if labels is None else tf.constant(labels, tf.int64)


def example_of(
    image: tf.Tensor, labels: tf.Tensor | None, index: int | tf.Tensor
) -> dict[str, tf.Tensor]:
    """Returns the example that `ImageSource.get` promises."""
    if labels is None:
        return {"image": image}
    return {"image": image, "label": tf.gather(labels, index)}
