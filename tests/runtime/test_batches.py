"""What a batch is, and what is said of all that is none."""

import numpy as np
import pytest
import tensorflow as tf

from vqvae_tf.runtime.batches import check_data, first_rows, unpack_batch


@pytest.mark.parametrize(
    "x",
    [
        np.zeros([2, 4, 4, 1], np.uint8),
        np.zeros([2, 4], np.float64),
        np.zeros([2], bool),
        tf.zeros([2, 4]),
        tf.Variable(tf.zeros([2, 4])),
        tf.TensorSpec([None, None], tf.int32),
    ],
    ids=lambda x: type(x).__name__,
)
def test_arrays_tensors_and_specs_are_data(x):
    check_data(x, (4, 4, 1))


BAD = {
    "dict": (
        {"label": [0], "image": np.zeros([2, 4])},
        r"keys 'label', 'image'\. .* batch\['image'\]",
    ),
    "dict of no known key": ({"pixels": 0}, r"batch\['pixels'\]"),
    "empty dict": ({}, "keys none"),
    "spec of a dict": (
        {"image": tf.TensorSpec([None, 4])},
        r"dataset.map\(lambda batch: batch\['image'\]\)",
    ),
    "ragged": (tf.ragged.constant([[1], [2, 3]]), r"x\.to_tensor"),
    "spec of ragged": (tf.RaggedTensorSpec([None, None]), "a ragged tensor"),
    "sparse": (tf.sparse.from_dense([[1, 0]]), r"tf\.sparse\.to_dense"),
    "spec of sparse": (tf.SparseTensorSpec([None, 4]), "a sparse tensor"),
    "list of arrays": (
        [np.zeros([4])] * 3,
        r"list of length 3\. .*np\.stack",
    ),
    "None": (None, "x is None. Pass an array"),
    "a string": ("photos", "of type str"),
    "unknown rank": (
        tf.TensorSpec(None, tf.uint8),
        r"unknown rank.* tf\.ensure_shape\(x, \[None, 4, 4, 1\]\)",
    ),
    "strings": (np.array(["a.png"]), "decode"),
    "tensor of strings": (tf.constant(["a.png"]), "dtype string"),
    "objects": (np.array([None, 1], object), r"dtype object.* np\.stack"),
    "complex": (np.zeros([2], complex), "complex128. Pass real numbers"),
    "a number": (np.float32(1), "a single number"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_batch_gets_one_error_that_says_what_is(name):
    x, message = BAD[name]
    with pytest.raises(ValueError, match="A batch is x, .x, context. or") as e:
        check_data(x, (4, 4, 1))
    assert e.match(f"(?s){message}")


def test_labels_are_no_context():
    with pytest.raises(ValueError, match=r"lambda x, y: x.*one_hot"):
        unpack_batch((np.zeros([2, 4]), np.zeros([2], int)))


def test_first_rows():
    rows = first_rows({"a": np.zeros([100, 2]), "b": None, "c": 1.0})
    assert rows["a"].shape == (64, 2) and rows["b"] is None
    assert rows["c"] == 1.0
