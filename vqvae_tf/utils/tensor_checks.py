"""Checks of tensors: errors if values are known, assertions in graphs.

Arrays, lists and eager tensors are checked before any cast, since casting a
64-bit integer beyond int32 would change it. Tensors of a graph get assertions,
which raise InvalidArgumentError when the graph runs. XLA drops assertions, so
codes are also clamped, which keeps look-ups within their codebook.
"""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from vqvae_tf.utils import checks
from vqvae_tf.utils.checks import MAX_INT32, MAX_TEMPERATURE
from vqvae_tf.utils.code_sizes import as_argument


def known(value: Any) -> bool:
    """Returns whether values can be read now, unlike those of a graph."""
    if isinstance(value, (tf.Variable, keras.Variable)):
        return tf.executing_eagerly()
    if isinstance(value, keras.KerasTensor):
        return False
    return not tf.is_tensor(value) or hasattr(value, "numpy")


def array_of(name: str, value: Any) -> np.ndarray | None:
    """Returns values as an array, or None if only a graph will know them.

    Raises:
        ValueError: they are not an array, but lists of different lengths, say.
    """
    if isinstance(value, keras.KerasTensor):
        return None
    if not known(value):
        return tf.get_static_value(tf.convert_to_tensor(value))
    try:
        found = np.asarray(value)
        # TensorFlow's widest floats have 64 bits.
        wide = found.dtype.kind == "f" and found.dtype.itemsize > 8
        return found.astype(np.float64) if wide else found
    except NotImplementedError:  # a list that contains a tensor of a graph
        return None
    except (ValueError, TypeError) as error:
        raise ValueError(
            f"{name} must be an array of numbers. Received: "
            f"{type(value).__name__} ({error})."
        ) from error


# A condition, the message if it does not hold everywhere, and the tensor that
# completes the message.
Condition = tuple[tf.Tensor, str, tf.Tensor]


def checked(tensor: tf.Tensor, *conditions: Condition) -> tf.Tensor:
    """Returns the tensor, with assertions of the conditions in a graph."""
    assertions = [
        # 8 numbers, to show whole shapes.
        tf.debugging.Assert(tf.reduce_all(condition), [message, received], 8)
        for condition, message, received in conditions
    ]
    with tf.control_dependencies(assertions):
        return tf.identity(tensor)


# Scalars ----------------------------------------------------------------------


# Known values are returned as Python numbers, and tensors of a graph as checked
# scalar tensors of float32 or int32. What `checks` does not accept raises
# ValueError.


def temperature(value: Any, name: str = "temperature") -> float | tf.Tensor:
    """Returns a temperature, checked to be finite and at least 0."""
    return _scalar(
        name,
        value,
        lambda found: checks.check_temperature(found, name),
        lambda t: (t >= 0) & (t <= MAX_TEMPERATURE),
        expected=checks.EXPECTED["temperature"],
    )


def top_k(value: Any) -> int | tf.Tensor | None:
    """Returns None, or an integer checked to be at least 1."""
    return _scalar(
        "top_k", value, checks.check_top_k, lambda k: k >= 1, tf.int32
    )


def top_p(value: Any) -> float | tf.Tensor | None:
    """Returns None, or a number checked to be in (0, 1]."""
    return _scalar(
        "top_p", value, checks.check_top_p, lambda p: (p > 0) & (p <= 1)
    )


def count(name: str, value: Any) -> int | tf.Tensor:
    """Returns an integer checked to be at least 1."""
    return _scalar(
        name,
        value,
        lambda found: checks.check_positive(name, found),
        lambda n: n >= 1,
        tf.int32,
        "a positive integer",
    )


def _scalar(name, value, check, valid, dtype=tf.float32, expected=None):
    expected = expected or checks.EXPECTED[name]
    if known(value):
        return check(value)
    tensor = tf.convert_to_tensor(value)
    static = tf.get_static_value(tensor)
    if static is not None:
        return check(static)
    is_number = tensor.dtype.is_integer or (
        dtype.is_floating and tensor.dtype.is_floating
    )
    if not is_number or not tensor.shape.is_compatible_with([]):
        raise ValueError(
            f"{name} must be {expected}. Received: a tensor of dtype "
            f"{tensor.dtype.name} and shape {tensor.shape}."
        )
    tensor = tf.ensure_shape(tensor, [])
    wide = _wide(tensor)
    condition = valid(wide)
    if dtype.is_integer:
        condition &= wide <= MAX_INT32
    message = f"{name} must be {expected}. Received: {name} ="
    return tf.cast(checked(tensor, (condition, message, tensor)), dtype)


def _wide(tensor):
    """Returns integers as int32 or int64, the narrowest that fits their dtype.

    Other dtypes stay. uint64 beyond int64 becomes negative.
    """
    if not tensor.dtype.is_integer:
        return tensor
    wide = tensor.dtype.size > 4 or tensor.dtype == tf.uint32
    return tf.cast(tensor, tf.int64 if wide else tf.int32)


# Seeds ------------------------------------------------------------------------


def seed(value: Any) -> tf.Tensor:
    """Returns a seed other than None as an int32 tensor [] or [2].

    Raises:
        ValueError: a seed of another shape, or outside int32.
    """
    found = array_of("A seed", value)
    given = value if tf.is_tensor(value) or found is None else found
    shape = tf.TensorShape(given.shape) if hasattr(given, "shape") else None
    if found is None:
        given = tf.convert_to_tensor(given)
        shape = given.shape
    if not any(shape.is_compatible_with(s) for s in ([], [2])):
        raise _seed_error(f"a seed of shape {shape}")
    if found is None:
        if not given.dtype.is_integer:
            raise _seed_error(f"a seed of dtype {given.dtype.name}")
        wide = _wide(given)
        if wide.dtype == tf.int64:
            valid = (wide <= MAX_INT32) & (wide >= -MAX_INT32 - 1)
            message = "A seed must be an int32. Received: seed ="
            given = checked(given, (valid, message, wide))
        return tf.cast(given, tf.int32)
    if found.dtype.kind not in "iu" or (
        found.min() < -MAX_INT32 - 1 or found.max() > MAX_INT32
    ):
        raise _seed_error(f"seed={found.tolist()!r}")
    if tf.is_tensor(given):
        return tf.cast(given, tf.int32)
    return tf.constant(found.astype(np.int32))


def _seed_error(received):
    return ValueError(
        "A seed must be None or one or two integers of int32 "
        f"({-MAX_INT32 - 1}..{MAX_INT32}). Received: {received}."
    )


# Arrays -----------------------------------------------------------------------


def as_tensor(name: str, values: Any) -> tf.Tensor:
    """Returns an array or a list of numbers as a tensor, without rounding.

    Raises:
        ValueError: they are not numbers, or integers beyond 64 bits.
    """
    found = None if tf.is_tensor(values) else array_of(name, values)
    if found is None:
        return tf.convert_to_tensor(values)
    if _dtype(found) is None:
        raise ValueError(
            f"{name} must be an array of numbers. Received: values of dtype "
            f"{found.dtype}."
        )
    return tf.convert_to_tensor(found)


def whole_numbers(
    values: Any,
    size: int | Sequence[int],
    name: str = "codes",
    floats: bool = False,
) -> tf.Tensor:
    """Returns whole numbers as int32, checked to be in 0..size-1.

    Args:
        values: an array or tensor of any dtype.
        size: number of different values, or one number for each entry of the
            last axis, the codebooks.
        name: what messages call them (default "codes").
        floats: whether whole numbers of a float dtype are accepted (default
            False).

    Raises:
        ValueError: other values; graphs raise
            `tf.errors.InvalidArgumentError` when they run, and clamp values
            instead if compiled by XLA.
    """
    title, size = name.capitalize(), as_argument(np.atleast_1d(size).tolist())
    found = array_of(title, values)
    dtype = values.dtype if tf.is_tensor(values) else None
    if found is None:
        values = tf.convert_to_tensor(values)
        dtype = values.dtype
    elif dtype is None:
        dtype = _dtype(found)
    valid = dtype is not None and (
        dtype.is_integer or (floats and dtype.is_floating)
    )
    if not valid:
        received = found.dtype if dtype is None else dtype.name
        raise ValueError(
            f"{title} must be integers in 0..{np.max(size) - 1}. Received: "
            f"{name} of dtype {received}."
        )
    if found is None:
        return _whole_in_graph(values, size, name)
    if found.size and isinstance(size, int):
        _check_known(found, size, name)
    elif found.size:
        _check_codebooks(found, size, name)
    if tf.is_tensor(values):
        return tf.cast(values, tf.int32)
    return tf.constant(found.astype(np.int32))


def _dtype(array):
    if array.dtype.kind == "O":  # Python integers beyond 64 bits, say
        return None
    try:
        return tf.as_dtype(array.dtype)
    except TypeError:
        return None


def _check_codebooks(found, sizes, name):
    hint = (
        f" The codebooks have {sizes} codes, in the order of the last axis; "
        f"check that order, and that the {name} are of this model."
    )
    for g, size in enumerate(sizes):
        _check_known(found[..., g], size, name, f" of codebook {g}", hint)


def _check_known(found, size, name, place="", hint=""):
    title = name.capitalize() + place
    if found.dtype.kind not in "iu":
        found = found.astype(np.float64)
        if not np.all(found == np.round(found)):  # also for NaN
            raise ValueError(
                f"{title} must be whole numbers. Received: {name} with "
                "fractions or NaN."
            )
    low, high = found.min(), found.max()
    if low < 0 or high >= size:
        raise ValueError(
            f"{title} must be in 0..{size - 1}. Received: {name} in "
            f"{low:.10g}..{high:.10g}.{hint}"
        )


def _whole_in_graph(values, size, name):
    wide, axes, most = _wide(values), None, np.subtract(size, 1).tolist()
    expected = f"{name.capitalize()} must be whole numbers in 0..{most}"
    if isinstance(size, list):
        expected += ", one of these for each codebook"
        axes = list(range(len(values.shape) - 1))
        size, most = tf.cast(size, wide.dtype), tf.cast(most, wide.dtype)
    low, high = tf.reduce_min(wide, axes), tf.reduce_max(wide, axes)
    valid = (low >= 0) & (high < size)
    if values.dtype.is_floating:
        # Finds NaN, too, which minimum and maximum may ignore.
        valid &= tf.reduce_all(values == tf.round(values))
    wide = checked(
        wide,
        (valid, f"{expected}. Received: min and max", tf.stack([low, high])),
    )
    # For XLA, which drops the assertion.
    return tf.cast(tf.clip_by_value(wide, 0, most), tf.int32)


def finite(name: str, values: Any) -> tf.Tensor:
    """Returns values as a tensor, checked to be finite.

    Raises:
        ValueError: NaN or infinite values; graphs raise
            `tf.errors.InvalidArgumentError` when they run.
    """
    values = tf.convert_to_tensor(values)
    if not values.dtype.is_floating:
        return values
    valid = tf.reduce_all(tf.math.is_finite(values))
    if known(values):
        if not valid:
            others = tf.math.count_nonzero(~tf.math.is_finite(values))
            raise ValueError(
                f"{name} must be finite numbers. Received: {int(others)} NaN "
                f"or infinite of {int(tf.size(values))}."
            )
        return values
    message = f"{name} must be finite numbers. Received: NaN or infinite ones"
    return checked(values, (valid, message, tf.shape(values)))


def check_finite(name: str, values: Any) -> None:
    """Raises ValueError if known values are NaN or infinite.

    Graphs are not checked: in training, NaN shows in the loss anyway.
    """
    if known(values):
        finite(name, values)


def check_levels(values: Any, num_levels: int = 256) -> None:
    """Raises ValueError unless known values are levels of a likelihood.

    Args:
        values: an array or tensor; uint8 and tensors of a graph are not
            checked.
        num_levels: levels are 0..num_levels-1 (default 256).
    """
    if not known(values):
        return
    dtype = getattr(values, "dtype", None)
    if num_levels >= 256 and getattr(dtype, "name", None) == "uint8":
        return
    found = array_of("Values", values)
    if found.dtype.kind in "iu" or not found.size:
        wrong = found.size and (found.min() < 0 or found.max() >= num_levels)
    else:
        if found.dtype.kind not in "fV":
            raise ValueError(
                f"Values must be numbers. Received: values of {found.dtype}."
            )
        if found.dtype.kind == "V":  # bfloat16 and similar
            found = found.astype(np.float32)
        inside = (found >= 0) & (found <= num_levels - 1)
        wrong = not np.all(inside & (found == np.round(found)))
    if wrong:
        raise ValueError(
            "A likelihood takes values as stored, whole numbers in "
            f"0..{num_levels - 1}. Received: {_described(found)}."
        )


def _described(found):
    if found.dtype.kind == "f" and not np.all(np.isfinite(found)):
        return f"{np.count_nonzero(~np.isfinite(found))} NaN or infinite ones"
    values = f"values in [{found.min():.6g}, {found.max():.6g}]"
    fractions = np.count_nonzero(found != np.round(found))
    return f"{values}, {fractions} with fractions" if fractions else values
