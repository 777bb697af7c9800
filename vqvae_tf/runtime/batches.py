"""The parts of a batch, and clear errors for anything else."""

from typing import Any

import keras
import tensorflow as tf

BATCH = "A batch is x, (x, context) or (x, context, sample_weight)"

# Replaces a missing context, since Keras drops sample weights without a y.
_NO_CONTEXT = "no context"
# Common keys of the data, rather than of labels, in dicts of data sets.
_DATA_KEYS = ("image", "images", "audio", "waveform", "codes", "x", "inputs")


def unpack_batch(batch: Any) -> tuple[Any, dict | None, Any]:
    """Splits a batch into `(x, context, sample_weight)`, absent parts None.

    Raises:
        ValueError: another number of parts, or a context that is not a dict
            (labels or targets, for instance).
    """
    if not isinstance(batch, (tuple, list)):
        return batch, None, None
    if not 1 <= len(batch) <= 3:
        raise ValueError(
            f"{BATCH}. Received: a {type(batch).__name__} of length "
            f"{len(batch)}."
        )
    x, context, weight = (*batch, None, None)[:3]
    if isinstance(weight, dict):  # from Keras, the same for each entry of y
        weight = next(iter(weight.values()))
    if context is not None and not isinstance(context, dict):
        raise ValueError(
            "The context, which follows x in a batch, must be a dict or None: "
            "x is its own target. Received: a context of type "
            f"{type(context).__name__}. Drop targets and labels, "
            "dataset.map(lambda x, y: x), or condition the model on classes by "
            '{"global": tf.one_hot(y, num_classes)}.'
        )
    if context and _NO_CONTEXT in context:
        context = None
    return x, context, weight


def context_for_keras(context: dict | None, weight: Any) -> dict | None:
    """Returns the y to pass to Keras, so that it keeps the weights."""
    if weight is None or (context is not None and len(context)):
        return context
    return {_NO_CONTEXT: weight}


def weight_for_keras(context: dict | None, weight: Any) -> Any:
    """Returns the sample weight to pass to Keras, so that it accepts masks.

    Keras takes more than one number per example for the weights of several
    outputs. Each entry of the context therefore gets the mask, and
    `unpack_batch` picks one of them.

    Args:
        context: result of `context_for_keras`.
        weight: None, `[batch]`, or a mask `[batch, *grid]`.
    """
    is_mask = weight is not None and len(getattr(weight, "shape", ())) > 1
    return dict.fromkeys(context, weight) if is_mask else weight


def first_rows(nest: Any, count: int = 64) -> Any:
    """Returns the first rows of each array or tensor of a nest."""

    def cut(value):
        return value[:count] if getattr(value, "shape", ()) else value

    return keras.tree.map_structure(cut, nest)


def check_data(
    x: Any, example_shape: tuple[int | None, ...] | None = None
) -> None:
    """Raises ValueError unless x is one dense array of numbers of known rank.

    Args:
        x: the data of a batch, or their spec in a `tf.data.Dataset`.
        example_shape: shape of one example, for the advice in the error; None
            (default) if unknown.
    """
    axes = ", ".join(map(str, example_shape or ())) or "..."
    for is_it, what, advice in _OTHERS:
        if is_it(x):
            raise ValueError(
                f"{BATCH}, where x is one dense array or tensor of numbers, "
                f"[batch, {axes}], and the context a dict or None. Received: "
                f"x is {what(x)}. {advice(x, axes)}"
            )


def _key(x):
    """Returns the key of the entry that is probably the data."""
    known = [key for key in _DATA_KEYS if key in x]
    return next(iter([*known, *x]), "image")


def _rank(x):
    """Returns the number of axes, or None if it is unknown."""
    shape = x.shape
    return shape.rank if isinstance(shape, tf.TensorShape) else len(shape)


def _dtype(x):
    return getattr(x.dtype, "name", None) or str(x.dtype)


def _named(text):
    return lambda x: text


def _always(text):
    return lambda x, axes: text


_RAGGED = (tf.RaggedTensor, tf.RaggedTensorSpec)
_SPARSE = (tf.SparseTensor, tf.SparseTensorSpec)
_NOT_NUMBERS = ("str", "bytes", "object", "variant")

# What is not an array: a test for it, its name in the error, and advice.
_OTHERS = (
    (
        lambda x: isinstance(x, dict),
        lambda x: f"a dict with the keys {', '.join(map(repr, x)) or 'none'}",
        lambda x, axes: (
            "Select the entry with the data: dataset.map(lambda batch: "
            f"batch[{_key(x)!r}]), or x[{_key(x)!r}] for arrays."
        ),
    ),
    (
        lambda x: isinstance(x, _RAGGED),
        _named("a ragged tensor"),
        _always(
            "Resize the examples to one size, or pad them by x.to_tensor() and "
            "mask the padding by a sample_weight."
        ),
    ),
    (
        lambda x: isinstance(x, _SPARSE),
        _named("a sparse tensor"),
        _always("Make it dense: tf.sparse.to_dense(x)."),
    ),
    (
        lambda x: isinstance(x, (list, tuple)),
        lambda x: f"a {type(x).__name__} of length {len(x)}",
        _always(
            "Stack arrays of one shape to one array, np.stack(x), or convert "
            "numbers, np.array(x)."
        ),
    ),
    (
        lambda x: not (hasattr(x, "shape") and hasattr(x, "dtype")),
        lambda x: "None" if x is None else f"of type {type(x).__name__}",
        _always("Pass an array, a tensor or a tf.data.Dataset."),
    ),
    (
        lambda x: _rank(x) is None,
        _named("a tensor of unknown rank"),
        lambda x, axes: (
            "Set the shape: dataset.map(lambda x: tf.ensure_shape(x, [None, "
            f"{axes}])), or tf.data.Dataset.from_generator(..., "
            f"output_signature=tf.TensorSpec([None, {axes}], DTYPE))."
        ),
    ),
    (
        lambda x: _dtype(x).lower().startswith(_NOT_NUMBERS),
        lambda x: f"an array of dtype {_dtype(x)}",
        _always(
            "Read and decode files first (data.open_images, "
            "tf.io.decode_image); stack arrays of one shape by np.stack."
        ),
    ),
    (
        lambda x: _dtype(x).startswith("complex"),
        lambda x: f"an array of dtype {_dtype(x)}",
        _always("Pass real numbers."),
    ),
    (
        lambda x: _rank(x) == 0,
        _named("a single number"),
        _always("Pass an array with a batch axis."),
    ),
)
