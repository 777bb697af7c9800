"""What a batch is: its parts, and a clear error for anything else."""

import keras
import tensorflow as tf

BATCH = "A batch is x, (x, context) or (x, context, sample_weight)"

# Stands in for a context, as Keras drops the sample weights of data without y.
_NO_CONTEXT = "no context"
# Entries of dicts that are data rather than labels, as data sets name them.
_DATA_KEYS = ("image", "images", "audio", "waveform", "codes", "x", "inputs")


def unpack_batch(batch) -> tuple:
    """Splits a batch into `(x, context, sample_weight)`, absent parts None.

    Raises:
        ValueError: for another number of parts, and for a context that is not
            a dict (labels or targets, say).
    """
    if not isinstance(batch, (tuple, list)):
        return batch, None, None
    if not 1 <= len(batch) <= 3:
        raise ValueError(
            f"{BATCH}. Received: a {type(batch).__name__} of length "
            f"{len(batch)}."
        )
    x, context, weight = (*batch, None, None)[:3]
    if isinstance(weight, dict):  # Keras copies it for each entry of y.
        weight = next(iter(weight.values()))
    if context is not None and not isinstance(context, dict):
        raise ValueError(
            "What follows x in a batch is its context, a dict, or None: x is "
            "its own target. Received: a context of type "
            f"{type(context).__name__}. Leave targets and labels out, "
            "dataset.map(lambda x, y: x); a model of classes is told them by "
            '{"global": tf.one_hot(y, num_classes)}.'
        )
    if context and _NO_CONTEXT in context:
        context = None
    return x, context, weight


def context_for_keras(context: dict | None, weight) -> dict | None:
    """Returns what to give Keras as y, so that it keeps the weights."""
    if weight is None or (context is not None and len(context)):
        return context
    return {_NO_CONTEXT: weight}


def weight_for_keras(context: dict | None, weight):
    """Returns what to give Keras as weight, so that it accepts masks.

    Keras takes an array with more than one number per example for the weights
    of several outputs. Each entry of the context therefore gets the mask, and
    `unpack_batch` picks one of them.

    Args:
        context: what `context_for_keras` returned.
        weight: None, `[batch]`, or a mask `[batch, *grid]`.
    """
    is_mask = weight is not None and len(getattr(weight, "shape", ())) > 1
    return dict.fromkeys(context, weight) if is_mask else weight


def first_rows(nest, count: int = 64):
    """Returns the first rows of each array or tensor of a nest."""

    def cut(value):
        return value[:count] if getattr(value, "shape", ()) else value

    return keras.tree.map_structure(cut, nest)


def check_data(x, example_shape: tuple | None = None):
    """Raises ValueError unless x is one dense array of numbers of known rank.

    Args:
        x: the data of a batch, or their spec in a `tf.data.Dataset`.
        example_shape: the shape of one example, for the advice in the error.
    """
    axes = "..." if example_shape is None else _sizes(example_shape)
    for is_it, what, advice in _OTHERS:
        if is_it(x):
            raise ValueError(
                f"{BATCH}, where x is one dense array or tensor of numbers, "
                f"[batch, {axes}], and the context a dict or None. Received: "
                f"x is {what(x)}. {advice(x, axes)}"
            )


def _sizes(example_shape):
    return ", ".join(map(str, example_shape))


def _key(x):
    """Returns the key of the entry that is probably meant."""
    known = [key for key in _DATA_KEYS if key in x]
    return next(iter([*known, *x]), "image")


def _rank(x):
    """Returns the number of axes, None where it is unknown."""
    shape = x.shape
    return shape.rank if isinstance(shape, tf.TensorShape) else len(shape)


def _dtype(x):
    return getattr(x.dtype, "name", None) or str(x.dtype)


def _is_text_or_object(x):
    dtype = _dtype(x).lower()
    return dtype.startswith(("str", "bytes", "object", "variant"))


def _named(text):
    return lambda x: text


def _always(text):
    return lambda x, axes: text


_RAGGED = (tf.RaggedTensor, tf.RaggedTensorSpec)
_SPARSE = (tf.SparseTensor, tf.SparseTensorSpec)

# What is not an array: a test for it, its name in the error, and the advice.
_OTHERS = (
    (
        lambda x: isinstance(x, dict),
        lambda x: f"a dict with the keys {', '.join(map(repr, x)) or 'none'}",
        lambda x, axes: (
            "Take the entry that is meant: dataset.map(lambda batch: "
            f"batch[{_key(x)!r}]), or x[{_key(x)!r}] of arrays."
        ),
    ),
    (
        lambda x: isinstance(x, _RAGGED),
        _named("a ragged tensor"),
        _always(
            "Bring the examples to one size, or pad them with x.to_tensor() "
            "and mask the padding by a sample_weight."
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
            "Put arrays of one shape into one array, np.stack(x), or numbers, "
            "np.array(x)."
        ),
    ),
    (
        lambda x: not (hasattr(x, "shape") and hasattr(x, "dtype")),
        lambda x: "None" if x is None else f"of type {type(x).__name__}",
        _always("Give an array, a tensor or a tf.data.Dataset."),
    ),
    (
        lambda x: _rank(x) is None,
        _named("a tensor of unknown rank"),
        lambda x, axes: (
            "Say the shape: dataset.map(lambda x: tf.ensure_shape(x, [None, "
            f"{axes}])), or tf.data.Dataset.from_generator(..., "
            f"output_signature=tf.TensorSpec([None, {axes}], DTYPE))."
        ),
    ),
    (
        _is_text_or_object,
        lambda x: f"an array of dtype {_dtype(x)}",
        _always(
            "Files are read and decoded first (data.open_images, "
            "tf.io.decode_image); arrays of one shape are put into one by "
            "np.stack."
        ),
    ),
    (
        lambda x: _dtype(x).startswith("complex"),
        lambda x: f"an array of dtype {_dtype(x)}",
        _always("Give real numbers."),
    ),
    (
        lambda x: _rank(x) == 0,
        _named("a single number"),
        _always("Give an array with an axis of examples."),
    ),
)
