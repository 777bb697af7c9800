"""Small classifiers of sequences of varying length, for judges and probes.

Padding is masked everywhere, so that the prediction for a sequence does not
depend on the rest of its batch.
"""

import itertools
from collections.abc import Callable, Sequence

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import ArrayLike

from vqvae_tf.utils import checks
from vqvae_tf.utils.padding import pad

# Sequences are sorted by length within pools of this many batches.
_POOL = 8


def check_labels(
    sequences: Sequence, labels: ArrayLike, num_classes: int
) -> np.ndarray:
    """Returns int32 labels; raises ValueError unless each sequence has one."""
    labels = np.asarray(labels)
    if not len(sequences) or labels.shape != (len(sequences),):
        raise ValueError(
            "There must be one label for each sequence. Received: "
            f"{len(sequences)} sequences, labels of shape {labels.shape}."
        )
    empty = sum(not len(sequence) for sequence in sequences)
    if empty:
        raise ValueError(
            "Sequences must have at least one element; leave out empty ones. "
            f"Received: {empty} empty sequences."
        )
    return checks.check_labels("Labels", labels, num_classes).astype(np.int32)


def training_batches(
    sequences: Sequence,
    labels: np.ndarray,
    batch_size: int,
    seed: int,
    change: Callable[[np.ndarray, np.random.Generator], np.ndarray]
    | None = None,
) -> tuple[tf.data.Dataset, int]:
    """Returns endless shuffled batches of sequences of similar lengths.

    Args:
        sequences: n arrays `[time, ...]` that differ only in `time`.
        labels: int32 `[n]`.
        batch_size: B, at most n.
        seed: of order and augmentation.
        change: augmentation, a function of a sequence and a NumPy generator
            that returns a sequence; or None.

    Returns:
        The dataset of ({"values": `[B, T, ...]`, "mask": `[B, T]`}, int32
        `[B]`), and the number of batches in an epoch.
    """
    size = min(batch_size, len(sequences))
    example = np.asarray(sequences[0])

    def batches():
        rng = np.random.default_rng(seed)
        while True:
            for rows in _epoch(sequences, size, rng):
                chosen = [sequences[row] for row in rows]
                if change is not None:
                    chosen = [change(sequence, rng) for sequence in chosen]
                values, mask = pad(chosen)
                yield {"values": values, "mask": mask}, labels[rows]

    shape = [size, None, *example.shape[1:]]
    spec = (
        {
            "values": tf.TensorSpec(shape, example.dtype),
            "mask": tf.TensorSpec([size, None]),
        },
        tf.TensorSpec([size], tf.int32),
    )
    dataset = tf.data.Dataset.from_generator(batches, output_signature=spec)
    return dataset.prefetch(2), len(sequences) // size


def _epoch(sequences, size, rng):
    """Returns the rows of each full batch, in random order."""
    order = rng.permutation(len(sequences))
    batches = []
    for first in range(0, len(order), size * _POOL):
        pool = sorted(
            order[first : first + size * _POOL],
            key=lambda row: len(sequences[row]),
        )
        count = len(pool) // size
        batches += [pool[i * size : (i + 1) * size] for i in range(count)]
    return [batches[i] for i in rng.permutation(len(batches))]


def predictions(
    model: keras.Model, sequences: Sequence, batch_size: int = 64
) -> np.ndarray:
    """Returns a classifier's probabilities, float32 `[n, classes]`."""
    order = np.argsort([len(sequence) for sequence in sequences], kind="stable")
    results = [None] * len(order)
    call = _any_size(model, np.asarray(sequences[0]))
    for first in range(0, len(order), batch_size):
        rows = order[first : first + batch_size]
        values, mask = pad([sequences[row] for row in rows])
        found = call(values, mask)
        for row, result in zip(rows, found.numpy()):
            results[row] = result
    return np.stack(results)


def _any_size(model, example):
    """Returns the model as one graph, a function of values and mask."""
    function = tf.function(
        lambda values, mask: model({"values": values, "mask": mask}),
        input_signature=[
            tf.TensorSpec([None, None, *example.shape[1:]], example.dtype),
            tf.TensorSpec([None, None]),
        ],
        autograph=False,
    )
    # TensorFlow mistakes functions of the same name for one that is retraced
    # and warns, except for concrete functions.
    return function.get_concrete_function()


def classify(
    frames: keras.KerasTensor,
    mask: keras.KerasTensor,
    num_classes: int,
    channels: int,
    dilations: Sequence[int],
    dropout: float,
    seed: int,
) -> keras.KerasTensor:
    """Builds a convolutional classifier with masked mean pooling.

    A projection, residual blocks of two convolutions of size 3 each, the mean
    over unmasked frames, and a softmax.

    Args:
        frames: symbolic `[batch, frames, features]`.
        mask: symbolic float `[batch, frames]`, 0 for padding.
        num_classes: of the softmax.
        channels: of the convolutions.
        dilations: one for each block.
        dropout: the rate before each block and before the softmax.
        seed: of weights and dropout.

    Returns:
        The probabilities, symbolic `[batch, num_classes]`.
    """
    seeds = (seed * 1000 + i for i in itertools.count())
    kept = keras.layers.Reshape([-1, 1])(mask)

    def conv(x, size, dilation=1):
        init = keras.initializers.HeNormal(next(seeds))
        # Normalization makes padding nonzero.
        x = keras.layers.Multiply()([x, kept])
        return keras.layers.Conv1D(
            channels,
            size,
            padding="same",
            dilation_rate=dilation,
            kernel_initializer=init,
        )(x)

    x = conv(frames, 1)
    for dilation in dilations:
        y = keras.layers.Dropout(dropout, seed=next(seeds))(x)
        # Not batch normalization, whose means would include padding.
        y = keras.layers.LayerNormalization()(y)
        y = conv(keras.ops.relu(y), 3, dilation)
        y = conv(keras.ops.relu(y), 3, dilation)
        x = keras.layers.Add()([x, y])
    x = keras.ops.relu(keras.layers.LayerNormalization()(x))
    x = keras.layers.GlobalAveragePooling1D()(x, mask=mask)
    x = keras.layers.Dropout(dropout, seed=next(seeds))(x)
    init = keras.initializers.GlorotUniform(next(seeds))
    dense = keras.layers.Dense(
        num_classes, "softmax", kernel_initializer=init, dtype="float32"
    )
    return dense(x)
