"""Loops over positions, for the samplers of autoregressive densities.

Weights are read and cast once, before the loop.
"""

from collections.abc import Callable, Iterable

import keras
import tensorflow as tf

from vqvae_tf.densities.autoregressive.code_head import CodeHead
from vqvae_tf.utils.code_sizes import first_rows


class LoopHead:
    """A `CodeHead` whose weights are tensors.

    Args:
        head: a built `CodeHead`.
        dtype: to compute in.
    """

    of_features = CodeHead.of_features
    of_codebook = CodeHead.of_codebook

    def __init__(self, head: CodeHead, dtype: str) -> None:
        self.num_codebooks = head.num_codebooks
        self.first_rows = first_rows(head.num_codes).tolist()
        self.hidden = linear(head.hidden, dtype)
        self.earlier = [linear(layer, dtype) for layer in head.earlier]
        self.outputs = [linear(layer, dtype) for layer in head.outputs]
        self.to_logits = head.to_logits

    def choose(
        self,
        features: tf.Tensor,
        table: tf.Tensor,
        choose: Callable[..., tf.Tensor],
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Chooses the codes of one position, one codebook after another.

        Args:
            features: `[batch, channels]`.
            table: the embeddings of all codebooks, one below the other,
                `[n, channels]`.
            choose: `choose(logits, g)` returns int32 `[batch]`.

        Returns:
            Codes int32 `[batch, G]`, logits float32 `[batch, G, K]`, and the
            sum of the codes' embeddings, `[batch, channels]`.
        """
        hidden = self.of_features(features)
        codes, logits, embedded = [], [], []
        for g, first in enumerate(self.first_rows):
            logits.append(self.of_codebook(g, hidden[g], embedded))
            codes.append(choose(logits[g], g))
            embedded.append(tf.gather(table, codes[g] + first))
        return tf.stack(codes, 1), tf.stack(logits, 1), tf.add_n(embedded)


def linear(
    layer: keras.layers.Layer, dtype: str
) -> Callable[[tf.Tensor], tf.Tensor]:
    """Returns a dense layer or flat convolution as a function of vectors."""
    kernel = tf.cast(layer.kernel, dtype)
    kernel = tf.reshape(kernel, [-1, kernel.shape[-1]])
    if layer.bias is None:
        return lambda x: tf.matmul(x, kernel)
    bias = tf.cast(layer.bias, dtype)
    return lambda x: tf.nn.bias_add(tf.matmul(x, kernel), bias)


def normalization(
    layer: keras.layers.LayerNormalization, dtype: str
) -> Callable[[tf.Tensor], tf.Tensor]:
    """Returns a layer normalization as a function of vectors."""
    scale, shift = tf.cast(layer.gamma, dtype), tf.cast(layer.beta, dtype)

    def normalized(x):
        exact = tf.cast(x, tf.float32)
        mean, variance = tf.nn.moments(exact, [-1], keepdims=True)
        exact = (exact - mean) * tf.math.rsqrt(variance + layer.epsilon)
        return tf.cast(exact, dtype) * scale + shift

    return normalized


def put(
    array: tf.Tensor, index: int | tf.Tensor, value: tf.Tensor
) -> tf.Tensor:
    """Returns array with `array[index] = value`."""
    return tf.tensor_scatter_nd_update(
        array, [[index]], tf.expand_dims(value, 0)
    )


def loop(
    count: int | tf.Tensor,
    body: Callable[..., Iterable],
    variables: list,
    shapes: list | None = None,
) -> list:
    """Runs `body` while the first variable is less than count.

    Args:
        count: int32 scalar.
        body: a function of the variables that returns their next values.
        variables: nests of tensors.
        shapes: nests of their static shapes, by default those they begin
            with, which they then keep.
    """
    if shapes is None:
        shapes = tf.nest.map_structure(lambda v: v.shape, variables)

    def checked_body(*variables):
        results = list(body(*variables))
        return tf.nest.map_structure(tf.ensure_shape, results, shapes)

    return tf.while_loop(
        lambda index, *_: index < count,
        checked_body,
        variables,
        shape_invariants=shapes,
        maximum_iterations=count,
    )
