"""Batches of pictures: augmented to train on, or every picture once."""

import tensorflow as tf

from vqvae_tf.data import batches as batching, decoding as pictures, order
from vqvae_tf.data.pictures import source as sources
from vqvae_tf.utils import tensor_checks
from vqvae_tf.utils.checks import check_choice, check_positive

_CROPS = ("random", "center", None)
_FILTERS = (*pictures.RESIZE_FILTERS, "random")


def training_batches(
    images: sources.ImageSource,
    batch_size: int,
    image_size: int | None = None,
    crop: str | None = "random",
    resize_range: tuple[int, int] | None = None,
    flip: bool = True,
    seed: int = 0,
    num_classes: int | None = None,
    skip_steps: int = 0,
    part: tuple[int, int] = (0, 1),
    resize_filter: str = "bilinear",
) -> tf.data.Dataset:
    """Endless shuffled, augmented batches: a function of (seed, step).

    With the same arguments, step s is the same batch in every run: a training
    resumed with `skip_steps=s` sees the data it would have seen. Skipped steps
    are not read. A source smaller than the batch is repeated within it (with a
    warning).

    Args:
        images: source from `open_images`.
        batch_size: global batch size, B.
        image_size: side S of the square crop in pixels; None (default) keeps
            pictures as they are (all must have one size).
        crop: position of the crop, "random" (default) or "center"; None
            resizes the whole picture to S x S, ignoring its aspect ratio.
            Pictures smaller than S are enlarged until their shorter side is S.
        resize_range: (low, high) with S <= low <= high: before the crop, the
            shorter side is resized to a random size in this range, both ends
            included. None (default) crops at the original scale. Needs a crop.
        flip: whether to mirror each picture left to right with probability
            1/2 (default True).
        seed: 64-bit integer (default 0); determines order and augmentation.
        num_classes: width of the one-hot context; None (default) for no
            context.
        skip_steps: number of the first step (default 0).
        part: (index, count) of a worker that reads only its B / count rows of
            each batch; the default (0, 1) reads all.
        resize_filter: how pictures are resized to a crop: "bilinear"
            (default), "bicubic", "lanczos" or "box", all antialiased; or
            "random", one of these for each picture, so that a model meets
            pictures of any sharpness.

    Returns:
        An infinite dataset of x, uint8 [B, S, S, C], or with `num_classes`
        of (x, {"global": float32 [B, num_classes]}).

    Raises:
        ValueError: arguments that do not fit each other or the source.

    Example:

    >>> from vqvae_tf.data.pictures.source import ArrayImages
    >>> images = ArrayImages("noise", np.zeros([10, 32, 32, 3], np.uint8))
    >>> batches = training_batches(images, batch_size=4, image_size=24)
    >>> next(iter(batches)).shape.as_list()
    [4, 24, 24, 3]
    """
    _check_sizes(images, image_size, crop, resize_range)
    _check_filter(resize_filter, crop)
    _check_labels(images, num_classes)
    batching.tell_if_few(images, batch_size)
    drawn = 4 if resize_filter != "random" else 5
    indices = order.training_rows(
        images.num_examples, batch_size, seed, skip_steps, part, noise=(drawn,)
    )

    def transform(image, noise):
        sizes = (image_size, crop, resize_range)
        return _augment(image, noise, *sizes, resize_filter)

    def finish(example, noise):
        x = example["image"]
        if flip:
            chosen = noise[:, 3, None, None, None] < 0.5
            x = tf.where(chosen, tf.reverse(x, axis=[2]), x)
        if num_classes is None:
            return x
        return x, _class_context(example["label"], num_classes)

    still = image_size is None or _already(images, image_size, resize_range)
    size = batch_size // part[1]
    batches = _fetch(
        images, indices, size, None if still else transform, finish
    )
    return batching.pipeline_options(batches)


def evaluation_batches(
    images: sources.ImageSource,
    batch_size: int,
    image_size: int | None = None,
    num_classes: int | None = None,
    resize_filter: str = "bilinear",
) -> tf.data.Dataset:
    """Batches that hold every picture exactly once, in order.

    The last batch is padded with repeated rows of weight 0: no picture is
    dropped and no replica gets an empty shard.

    Args:
        images, batch_size, num_classes: as in `training_batches`.
        image_size: side S for `resize_and_crop`, in pixels; None (default)
            keeps pictures as they are (all must have one size).
        resize_filter: as for `resize_and_crop`.

    Returns:
        A finite dataset of (x, context, sample_weight): uint8 [B, S, S, C],
        {} or {"global": float32 [B, num_classes]}, float32 [B] of 0 and 1
        whose sum over the dataset is `images.num_examples`.

    Raises:
        ValueError: arguments that do not fit the source.

    Example:

    >>> from vqvae_tf.data.pictures.source import ArrayImages
    >>> images = ArrayImages("noise", np.zeros([5, 8, 8, 3], np.uint8))
    >>> [w.numpy().tolist() for x, c, w in evaluation_batches(images, 4)]
    [[1.0, 1.0, 1.0, 1.0], [1.0, 0.0, 0.0, 0.0]]
    """
    _check_sizes(images, image_size, "center", None)
    _check_labels(images, num_classes)
    check_choice("resize_filter", resize_filter, pictures.RESIZE_FILTERS)
    indices = order.evaluation_order(images.num_examples, batch_size)

    def transform(image, weight):
        return pictures.resize_and_crop(image, image_size, resize_filter)

    def finish(example, weight):
        if num_classes is None:
            return example["image"], {}, weight
        context = _class_context(example["label"], num_classes)
        return example["image"], context, weight

    still = image_size is None or _already(images, image_size)
    batches = _fetch(
        images, indices, batch_size, None if still else transform, finish
    )
    return batching.finite(batches, images, batch_size)


def _fetch(images, indices, batch_size, transform, finish):
    """Turns (index [B], extra [B, ...]) into `finish(examples, extra)`.

    Pictures of one size that need no `transform` are gathered batch-wise,
    which is many times faster than one by one.
    """
    if transform is None and isinstance(images, sources.ArrayImages):
        return indices.map(
            lambda index, extra: finish(images.get(index), extra),
            **batching.PARALLEL,
        )

    def example(index, extra):
        found = images.get(index)
        if transform is not None:
            found["image"] = transform(found["image"], extra)
        return found, extra

    examples = indices.unbatch().map(example, **batching.PARALLEL)
    return examples.batch(batch_size, drop_remainder=True).map(finish)


def _augment(image, noise, image_size, crop, resize_range, resize_filter):
    """Resizes and crops a picture; noise is float32 [4 or 5] in [0, 1)."""
    if crop is None:
        return tf.ensure_shape(
            pictures.resize(image, image_size, image_size),
            [image_size, image_size, image.shape[-1]],
        )
    if resize_range is None:
        side = tf.maximum(tf.reduce_min(tf.shape(image)[:2]), image_size)
    else:
        low, high = resize_range
        drawn = tf.cast(noise[0] * (high - low + 1), tf.int32)
        side = low + tf.minimum(drawn, high - low)
    fractions = None if crop == "center" else (noise[1], noise[2])
    if resize_filter == "random":
        count = len(pictures.RESIZE_FILTERS)
        drawn = tf.cast(noise[4] * count, tf.int32)
        resize_filter = tf.minimum(drawn, count - 1)
    square = pictures.resized_square(
        image, side, image_size, fractions, resize_filter
    )
    return tf.ensure_shape(square, [image_size, image_size, image.shape[-1]])


def _class_context(labels, num_classes):
    # one_hot would turn invalid labels into rows of zeros.
    labels = tensor_checks.whole_numbers(labels, num_classes, "labels")
    return {"global": tf.one_hot(labels, num_classes, dtype=tf.float32)}


def is_resized(images: sources.ImageSource, image_size: int | None) -> bool:
    """Returns whether evaluation resizes any picture of a source."""
    return image_size is not None and not _already(images, image_size)


def _already(images, image_size, resize_range=None):
    """Whether every picture already has the requested size."""
    square = images.shape[:2] == (image_size, image_size)
    return square and resize_range in (None, (image_size, image_size))


def _check_sizes(images, image_size, crop, resize_range):
    if crop not in _CROPS:
        raise ValueError(f"crop must be one of {_CROPS}. Received: {crop!r}.")
    if image_size is None:
        if resize_range is not None:
            raise ValueError(
                "resize_range needs image_size, the side of the crop. "
                f"Received: resize_range={resize_range}, image_size=None."
            )
        if not images.uniform:
            raise ValueError(
                f"{images.name} holds pictures of different sizes; set "
                "image_size. Received: image_size=None."
            )
        return
    image_size = check_positive("image_size", image_size)
    if resize_range is None:
        return
    low, high = resize_range
    if crop is None or not image_size <= low <= high:
        raise ValueError(
            "resize_range must be (low, high) with image_size <= low <= high, "
            "and needs a crop. Received: "
            f"resize_range={resize_range}, image_size={image_size}, "
            f"crop={crop!r}."
        )


def _check_filter(resize_filter, crop):
    check_choice("resize_filter", resize_filter, _FILTERS)
    if crop is None and resize_filter != "bilinear":
        raise ValueError(
            "Whole pictures are resized bilinearly; another resize_filter "
            f"needs a crop. Received: resize_filter={resize_filter!r}, "
            "crop=None."
        )


def _check_labels(images, num_classes):
    if num_classes is None:
        return
    if images.num_classes is None:
        raise ValueError(
            f"{images.name} has no class labels; omit num_classes. "
            f"Received: num_classes={num_classes}."
        )
    if num_classes < images.num_classes:
        raise ValueError(
            f"{images.name} has {images.num_classes} classes; num_classes "
            f"must be at least that. Received: {num_classes}."
        )
