"""Checks and broadcasting of the contexts of densities."""

from collections.abc import Iterable, Sequence

import tensorflow as tf

from vqvae_tf.utils import tensor_checks


def check_context(
    context: dict[str, tf.Tensor] | None,
    global_channels: int | None,
    local_channels: int | None,
    rank: int,
) -> tuple[tf.Tensor | None, tf.Tensor | None]:
    """Returns a context's (global, local) entries, float32 or None if absent.

    Args:
        context: None or a dict with `"global"` `[batch, channels]` and
            `"local"` `[batch, *grid, channels]`.
        global_channels, local_channels: of the entries; None for an entry
            that must be absent.
        rank: the number of grid axes.

    Raises:
        ValueError: for missing or unexpected entries, the wrong rank or number
            of channels, and (eagerly) values that are not finite.
    """
    expected = {"global": global_channels, "local": local_channels}
    context = {k: v for k, v in (context or {}).items() if v is not None}
    wanted = sorted(k for k, v in expected.items() if v)
    if sorted(context) != wanted:
        raise ValueError(
            f"The density expects a context with the entries {wanted}, as set "
            "by global_channels and local_channels of its constructor. "
            f"Received: a context with the entries {sorted(context)}."
        )
    entries = {}
    for name, axes in (("global", 0), ("local", rank)):
        if name in context:
            tensor_checks.check_finite(f'context["{name}"]', context[name])
            entry = tf.cast(tf.convert_to_tensor(context[name]), tf.float32)
            _check_entry(name, entry, axes, expected[name])
            entries[name] = entry
    return entries.get("global"), entries.get("local")


def _check_entry(name, entry, axes, channels):
    if len(entry.shape) != axes + 2 or entry.shape[-1] != channels:
        grid = "*grid, " if axes else ""
        raise ValueError(
            f'context["{name}"] must have shape [batch, {grid}{channels}], '
            f"{axes + 2} axes. Received: shape {tuple(entry.shape)}."
        )


def check_grid(
    tensor: tf.Tensor,
    factor: int,
    grid: Sequence[int | tf.Tensor],
    name: str = 'context["local"]',
) -> tf.Tensor:
    """Returns a tensor `[batch, *sizes, channels]` that must fit a grid.

    Args:
        tensor: on the grid, or on a coarser one.
        factor: the ratio of the grid's sizes to the tensor's.
        grid: the sizes, integers or int32 scalar tensors.
        name: the tensor's, for the error.

    Raises:
        ValueError: for other sizes; `InvalidArgumentError` at run time if
            sizes are not known statically.
    """
    sizes = [size_of(tensor, axis) for axis in range(1, len(grid) + 1)]
    if all(isinstance(size, int) for size in (*sizes, *grid)):
        if [size * factor for size in sizes] != list(grid):
            raise ValueError(
                f"{name} must be on the grid {tuple(grid)} over {factor}. "
                f"Received: {name} of shape {tuple(tensor.shape)}."
            )
        return tensor
    message = f"{name} does not fit the grid (sizes * {factor} on the left)."
    same = tf.debugging.assert_equal(
        tf.stack(sizes) * factor, tf.stack(grid), message
    )
    return after(same, tensor)


def after(check: tf.Operation | None, tensor: tf.Tensor) -> tf.Tensor:
    """Returns the tensor with a control dependency on a check.

    Otherwise operations on the tensor may fail first in a graph, with a less
    helpful error.
    """
    with tf.control_dependencies([] if check is None else [check]):
        return tf.identity(tensor)


def resolve_num_samples(
    num_samples: int | tf.Tensor | None, tensors: Iterable[tf.Tensor | None]
) -> int | tf.Tensor:
    """Returns the number of samples to draw, an integer if it is known.

    Args:
        num_samples: the user's: an integer, an int32 scalar tensor, or None
            for the largest batch of the tensors, or 1 without tensors.
        tensors: with a batch axis; entries may be None.
    """
    if num_samples is None:
        batches = [size_of(t, 0) for t in tensors if t is not None]
        if all(isinstance(batch, int) for batch in batches):
            num_samples = max(batches, default=1)
            if num_samples == 0:
                raise ValueError(
                    "One sample is drawn per row of the context or of the "
                    "codes to complete. Received: a batch of 0 rows."
                )
            return num_samples
        return tf.reduce_max(tf.stack(batches))
    return tensor_checks.count("num_samples", num_samples)


def size_of(tensor: tf.Tensor, axis: int) -> int | tf.Tensor:
    """Returns the size of an axis, an integer if it is known."""
    static = tensor.shape[axis]
    return tf.shape(tensor)[axis] if static is None else static


def check_batch(
    name: str, tensor: tf.Tensor | None, num_samples: int | tf.Tensor
) -> tf.Tensor | None:
    """Returns a tensor (or None) whose batch must be 1 or num_samples."""
    if tensor is None:
        return None
    batch = size_of(tensor, 0)
    if isinstance(batch, int) and isinstance(num_samples, int):
        if batch not in (1, num_samples):
            raise ValueError(
                f"{name} must have a batch of 1 or of num_samples="
                f"{num_samples}. Received: {name} of shape "
                f"{tuple(tensor.shape)}."
            )
        return tensor
    fits = tf.logical_or(tf.equal(batch, 1), tf.equal(batch, num_samples))
    check = tf.debugging.Assert(
        fits, [f"{name} must have a batch of 1 or of num_samples.", batch]
    )
    return after(check, tensor)


def check_same_batch(
    name: str, tensor: tf.Tensor | None, of_name: str, other: tf.Tensor
) -> None:
    """Raises ValueError unless two batches are equal, or the first is 1.

    Args:
        name, of_name: of the tensors, for the error.
        tensor: the first one, or None.
        other: the second one.
    """
    if tensor is None:
        return
    batch, expected = tensor.shape[0], other.shape[0]
    if None not in (batch, expected) and batch not in (1, expected):
        raise ValueError(
            f"{name} must have a batch of 1 or that of {of_name}, {expected}. "
            f"Received: {name} of shape {tuple(tensor.shape)}."
        )


def broadcast_batch(
    name: str, tensor: tf.Tensor | None, num_samples: int | tf.Tensor
) -> tf.Tensor | None:
    """Broadcasts a tensor's batch from 1 to num_samples.

    Args:
        name: the tensor's, for the error.
        tensor: `[1 or num_samples, ...]`, or None, which is returned.
        num_samples: an integer or int32 scalar tensor.

    Raises:
        ValueError: for another batch (`InvalidArgumentError` at run time if
            it is not known statically).
    """
    if tensor is None:
        return None
    tensor = check_batch(name, tensor, num_samples)
    shape = tf.concat([[num_samples], tf.shape(tensor)[1:]], axis=0)
    result = tf.broadcast_to(tensor, shape)
    batch = num_samples if isinstance(num_samples, int) else None
    result.set_shape([batch, *tensor.shape[1:]])
    return result
