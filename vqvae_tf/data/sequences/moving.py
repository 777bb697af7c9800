"""Pictures that move sideways, such as the moving digits of TD-VAE."""

import numpy as np
import tensorflow as tf

from vqvae_tf.data.pictures.source import ArrayImages, ImageSource
from vqvae_tf.data.sequences.source import SequenceSource


class MovingPictures(SequenceSource):
    """Pictures that move one pixel a step, to the right or to the left.

    They wrap round. The first frame is shifted by a random offset, so that
    every position is equally likely at every time: where a picture is does not
    tell how far the sequence has come.

    Args:
        images: source of pictures of one size, from `open_images`. Pictures
            that are not in memory yet are read into it.
        length: frames of each sequence, T; 20 by default, as in the paper.
        binary: whether pixels above 127 become 255 and others 0 (default
            True); else they stay as they are.
        stream: int (default 0), as for `SequenceSource`.

    A sequence has frames uint8 `[T, height, width, channels]`, and no mask.
    `noise_size` is 2, for direction and offset. `known` returns

    * "direction": int32 `[batch]`, +1 to the right, -1 to the left;
    * "start": int32 `[batch]`, the offset of the first frame to the right, in
      pixels, 0 to width - 1;
    * "label": int64 `[batch]`, only if the pictures have labels.

    So frame t is `np.roll(picture, start + direction * t, axis=1)`.

    Raises:
        ValueError: pictures of different sizes, no source of pictures, or
            sequences of one frame.

    Example:

    >>> from vqvae_tf.data.pictures.source import ArrayImages
    >>> row = np.array([[[[0], [200], [0], [0]]]], np.uint8)
    >>> moving = MovingPictures(ArrayImages("a dot", row), length=4)
    >>> noise = tf.constant([[0.7, 0.3]])  # to the left, from offset 1
    >>> moving.known([0], noise)["direction"].numpy().tolist()
    [-1]
    >>> moving.get([0], noise)[0].numpy()[0, :, 0, :, 0].tolist()
    [[0, 0, 255, 0], [0, 255, 0, 0], [255, 0, 0, 0], [0, 0, 0, 255]]

    References:
        Gregor et al. 2019, arXiv:1806.03107, the experiment on moving MNIST.
    """

    def __init__(
        self,
        images: ImageSource,
        length: int = 20,
        binary: bool = True,
        stream: int = 0,
    ):
        _check_images(images)
        super().__init__(
            f"moving {images.name}",
            images.num_examples,
            length,
            images.shape,
            noise_size=2,
            class_names=images.class_names,
            stream=stream,
        )
        self.binary = bool(binary)
        self._images = _in_memory(images)

    def get(self, index: tf.Tensor, noise: tf.Tensor) -> tuple[tf.Tensor, None]:
        pictures = self._images.get(index)["image"]
        if self.binary:
            pictures = 255 * tf.cast(pictures > 127, tf.uint8)
        direction, start = self._motion(noise)
        times = tf.range(self.length)
        shift = start[:, None] + direction[:, None] * times
        width = self.shape[1]
        columns = tf.math.floormod(tf.range(width) - shift[..., None], width)
        # Columns first, so that each is copied as a whole.
        by_column = tf.transpose(pictures, [0, 2, 1, 3])
        frames = tf.gather(by_column, columns, axis=1, batch_dims=1)
        return tf.transpose(frames, [0, 1, 3, 2, 4]), None

    def known(self, index: tf.Tensor, noise: tf.Tensor) -> dict[str, tf.Tensor]:
        direction, start = self._motion(noise)
        labels = self._images.get(index)
        del labels["image"]
        return {"direction": direction, "start": start, **labels}

    def _motion(self, noise):
        """Returns direction and first offset, int32 `[batch]` each."""
        width = self.shape[1]
        direction = tf.where(noise[:, 0] < 0.5, 1, -1)
        return direction, tf.cast(noise[:, 1] * width, tf.int32)


def _in_memory(images):
    """Returns pictures of which several can be read at once."""
    if isinstance(images, ArrayImages):
        return images
    found = list(images.dataset().as_numpy_iterator())
    labels = [example["label"] for example in found if "label" in example]
    return ArrayImages(
        images.name,
        np.stack([example["image"] for example in found]),
        labels or None,
        images.class_names,
    )


def _check_images(images):
    if not isinstance(images, ImageSource):
        raise ValueError(
            "images must be a source of pictures; open one with open_images. "
            f"Received: {type(images).__name__}."
        )
    if not images.uniform:
        raise ValueError(
            "Only pictures of one size can move in a sequence. Received: "
            f"{images.name} with pictures of shape {images.shape}. Resize "
            "them to one size first."
        )
