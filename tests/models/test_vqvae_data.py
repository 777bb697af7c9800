"""What data a VQ-VAE takes, and how it refuses others."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from support.vqvae import K, make, pictures


@pytest.mark.parametrize(
    "x",
    [
        np.zeros([2, 8, 8, 3], np.float32),
        np.ones([2, 8, 8, 3], np.float32),
        np.full([2, 8, 8, 3], 255.0),
    ],
    ids=["black", "1", "white"],
)
def test_legal_pictures_of_one_colour(x):
    model = make()
    assert model.encode(x).shape == (2, 2, 2)
    model.compile("sgd")
    assert np.isfinite(model.fit(x, verbose=0).history["loss"][0])


def half(x):
    return x.astype(np.float32) / 255


BAD = {
    "scaled": (
        half(pictures()),
        "which looks like pictures scaled already. Pass the uint8 pictures",
    ),
    "scaled to -1..1": (2 * half(pictures()) - 1, "scaled already"),
    "NaN": (
        np.where(np.arange(8)[:, None] == 3, np.nan, pictures()),
        "must be finite numbers .* Received: 96 NaN",
    ),
    "out of range": (pictures() * 2.0, r"expected in 0\.\.255"),
    "empty": (pictures()[:0], "Expected at least one picture"),
    "channels": (
        pictures(channels=1),
        r"made for 3 channels.* shape \((4|None), 8, 8, 1\), 1 channels",
    ),
    "sizes": (
        pictures(size=10),
        r"multiples of the encoder's stride product, 4. Received: shape "
        r"\((4|None), 10, 10, 3\). Crop or pad .* to \[12, 12\]",
    ),
    "no batch axis": (
        pictures()[0],
        r"\[batch, None, None, 3\] .* shape \((8|None), 8, 3\). Add a batch",
    ),
    "too many axes": (
        pictures()[None],
        r"Received: shape \((1|None), 4, 8, 8, 3\)",
    ),
}


CASES = [
    (name, how)
    for name in BAD
    for how in (
        "encode",
        "fit",
        "fit dataset",
        "fit generator",
        "evaluate",
        "predict",
    )
    if how == "encode" or name != "empty"  # which Keras itself refuses
]


@pytest.fixture(scope="module")
def model():
    """One for all data that are refused, which change nothing."""
    made = make(event_shape=(None, None, 3))
    made.compile("sgd")
    return made


@pytest.mark.parametrize("name, how", CASES)
def test_data_that_cannot_be_meant(name, how, model):
    x, message = BAD[name]
    before = [v.numpy() for v in model.trainable_variables]
    with pytest.raises(ValueError, match=message):
        if how == "encode":
            model.encode(x)
        elif how == "fit":
            model.fit(x, verbose=0)
        elif how == "fit dataset":
            model.fit(tf.data.Dataset.from_tensors(x), verbose=0)
        elif how == "fit generator":
            model.fit(((batch,) for batch in [x, x]), verbose=0)
        else:
            getattr(model, how)(x, verbose=0)
    for old, variable in zip(before, model.trainable_variables):
        np.testing.assert_array_equal(variable, old)


def test_a_generator_loses_no_batch():
    model = make()
    model.compile(keras.optimizers.SGD())
    batches = ((pictures(),) for _ in range(3))
    model.fit(batches, steps_per_epoch=3, verbose=0)
    assert int(model.optimizer.iterations) == 3


@pytest.mark.parametrize("size", [1, 10])
def test_sizes_that_a_graph_finds_out_late(size):
    """Sizes unknown while tracing must not broadcast, nor fail unclearly."""
    model = make(event_shape=(None, None, 3))
    spec = tf.TensorSpec([None, None, None, 3], tf.uint8)
    # The first batch is looked at before the first step.
    data = tf.data.Dataset.from_generator(
        lambda: iter([pictures(), pictures(size=size)]), output_signature=spec
    )
    model.compile("sgd", run_eagerly=False)
    with pytest.raises(tf.errors.InvalidArgumentError, match="stride product"):
        model.fit(data, verbose=0)


def test_codes_that_do_not_exist():
    with pytest.raises(ValueError, match=r"Codes must be in 0\.\.7"):
        make().decode(np.full([1, 2, 2], K))
