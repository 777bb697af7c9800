"""Positions of latents: their masks, and static shapes."""

import tensorflow as tf


def position_weights(
    latents: tf.Tensor, mask: tf.Tensor | None
) -> tf.Tensor | None:
    """Returns the weight of each position, float32 `[N]`, or None for 1.

    Args:
        latents: `[batch, ..., channels]`.
        mask: `[batch, ...]` without the channels, or `[batch]`; None for 1.

    Raises:
        ValueError: for a mask of another shape.
    """
    if mask is None:
        return None
    mask = tf.cast(mask, tf.float32)
    _check_mask_shape(mask.shape, latents.shape)
    shape = tf.shape(latents)[:-1]
    while len(mask.shape) < len(latents.shape) - 1:
        mask = mask[..., tf.newaxis]
    return tf.reshape(tf.broadcast_to(mask, shape), [-1])


def _check_mask_shape(mask, latents):
    """Raises ValueError unless a mask is `[batch]` or `[batch, ...]`."""
    positions = latents[:-1]
    fits = 1 <= len(mask) <= len(positions) and all(
        None in (own, size) or own == size or (number and own == 1)
        for number, (own, size) in enumerate(zip(mask, positions))
    )
    if not fits:
        raise ValueError(
            f"A mask of latents of shape {tuple(latents)} must have their "
            f"shape without the channels, {tuple(positions)}, or only the "
            f"batch axis. Received: a mask of shape {tuple(mask)}."
        )


def of_shape(
    tensor: tf.Tensor, shape: tf.TensorShape | tuple[int | None, ...]
) -> tf.Tensor:
    """Returns the tensor with this static shape.

    `tf.ensure_shape` would add an operation that TFLite lacks.
    """
    tensor.set_shape(shape)
    return tensor
