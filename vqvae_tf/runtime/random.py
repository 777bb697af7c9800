"""Stateless random numbers that are the same in eager, graph and XLA mode.

`tf.random.stateless_uniform` with a float dtype and `stateless_categorical`
draw differently under XLA; the raw integer bits of the Philox generator do not
(Salmon et al. 2011). All noise in this package is made from those bits.
"""

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from vqvae_tf.utils import tensor_checks

Shape = Sequence[int] | tf.Tensor


def make_seed(
    seed: int | Sequence[int] | np.ndarray | tf.Tensor | None = None,
) -> tf.Tensor:
    """Returns an int32 seed of shape [2].

    Args:
        seed: None (default) for a fresh seed from TensorFlow's global
            generator, which `keras.utils.set_random_seed` fixes; else one or
            two integers of int32.

    Raises:
        ValueError: a seed of another shape, with fractions, or outside int32,
            where a cast would make it another seed.
    """
    if seed is None:
        return tf.random.uniform([2], maxval=2**31 - 1, dtype=tf.int32)
    seed = tensor_checks.seed(seed)
    if seed.shape.rank == 0:
        return tf.stack([seed, tf.zeros_like(seed)])
    return tf.ensure_shape(seed, [2])


def fold_in(seed: tf.Tensor, number: int | tf.Tensor) -> tf.Tensor:
    """Returns a seed for sub-stream `number` of `seed`, both int32."""
    number = tf.cast(number, tf.int32)
    mixed = seed[1] * 1000003 + number + 1
    return tf.stack([tf.bitwise.bitwise_xor(seed[0], mixed * 374761393), mixed])


def uniform(shape: Shape, seed: tf.Tensor) -> tf.Tensor:
    """Returns float32 uniforms in the open interval (0, 1).

    Args:
        shape: shape of the result, integers or an int32 tensor.
        seed: int32 [2], from `make_seed`.
    """
    # XLA does not extend the sign of a negative int32 seed, other modes do.
    seed = tf.cast(seed, tf.int64)
    bits = tf.random.stateless_uniform(
        shape, seed, minval=None, maxval=None, dtype=tf.int32, alg="philox"
    )
    return _to_unit(tf.bitcast(bits, tf.uint32))


def uniform_rows(
    shape: Shape, seed: tf.Tensor, first_row: int | tf.Tensor = 0
) -> tf.Tensor:
    """Returns rows of an endless table of uniforms, from `first_row` on.

    A row depends only on the seed and its number, so replicas that draw their
    own rows of a batch draw what one device would draw for all rows.

    Args:
        shape: shape of the result, `[rows, ...]`.
        seed: int32 [2], from `make_seed`.
        first_row: number of the first row (default 0).

    Returns:
        float32 of that shape in the open interval (0, 1).

    References:
        Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3": a
        block of four numbers is a function of a key and a counter.
    """
    shape = tf.convert_to_tensor(shape, tf.int32)
    rows, size = shape[0], tf.reduce_prod(shape[1:])
    blocks = (size + 3) // 4  # a row starts at a block of its own
    key, counter = _key_and_counter(seed)
    skipped = tf.cast(first_row, tf.uint64) * tf.cast(blocks, tf.uint64)
    bits = tf.raw_ops.StatelessRandomUniformFullIntV2(
        shape=tf.stack([rows * blocks * 4]),
        key=key,
        counter=tf.stack([skipped, counter]),
        alg=1,  # Philox
        dtype=tf.uint32,
    )
    bits = tf.reshape(bits, tf.stack([rows, blocks * 4]))[:, :size]
    return tf.reshape(_to_unit(bits), shape)


def uniform_of(
    values: tf.Tensor, count: int | tf.Tensor, number: int | tf.Tensor = 0
) -> tf.Tensor:
    """Returns uniforms that depend on nothing but a row's own values.

    So they are the same wherever in a batch the row is.

    Args:
        values: int32 `[rows, n]`.
        count: how many uniforms for each row.
        number: of the draw, int32; another one has other uniforms.

    Returns:
        float32 `[rows, count]` in the open interval (0, 1).

    References:
        Appleby 2011, MurmurHash3 (its final mix of 32 bits).
    """
    places = _mixed(tf.range(tf.shape(values)[1]) + 1)
    rows = _mixed(tf.reduce_sum(_mixed(values + places), axis=1))
    places = _mixed(tf.range(count) + _mixed(tf.cast(number, tf.int32) + 1))
    bits = _mixed(tf.bitwise.bitwise_xor(rows[:, tf.newaxis], places))
    return _to_unit(tf.bitcast(bits, tf.uint32))


def _mixed(x):
    """Scrambles the bits of int32 numbers."""
    for shift, factor in ((16, -2048144789), (13, -1028477379), (16, 1)):
        high = tf.bitwise.right_shift(
            tf.bitcast(x, tf.uint32), tf.constant(shift, tf.uint32)
        )
        x = tf.bitwise.bitwise_xor(x, tf.bitcast(high, tf.int32)) * factor
    return x


def _key_and_counter(seed):
    """Returns the key `[1]` and the counter's upper half, uint64, of a seed.

    They are those of `StatelessRandomGetKeyCounter`, which under XLA returns
    others for negative seeds.
    """
    mixed = tf.raw_ops.StatelessRandomUniformFullIntV2(
        shape=[2],
        key=tf.constant([0x02461E293EC8F720], tf.uint64),
        counter=tf.cast(tf.cast(seed, tf.int64), tf.uint64),
        alg=1,  # Philox
        dtype=tf.uint64,
    )
    return mixed[:1], mixed[1]


def _to_unit(bits):
    """Converts uint32 bits to float32 in the open interval (0, 1)."""
    high = tf.bitwise.right_shift(bits, tf.constant(9, tf.uint32))
    return (tf.cast(high, tf.float32) + 0.5) * (1 / 2**23)


def normal(shape: Shape, seed: tf.Tensor) -> tf.Tensor:
    """Returns float32 standard normals (inverse cumulative distribution)."""
    return tf.math.ndtri(uniform(shape, seed))


def logistic(shape: Shape, seed: tf.Tensor) -> tf.Tensor:
    """Returns float32 standard logistic noise."""
    u = uniform(shape, seed)
    return tf.math.log(u) - tf.math.log1p(-u)


def gumbel(shape: Shape, seed: tf.Tensor) -> tf.Tensor:
    """Returns float32 standard Gumbel noise."""
    return -tf.math.log(-tf.math.log(uniform(shape, seed)))


def categorical(
    logits: tf.Tensor, seed: tf.Tensor, temperature: float | tf.Tensor = 1.0
) -> tf.Tensor:
    """Draws indices from logits by the Gumbel-max trick.

    Args:
        logits: float [..., K], unnormalised log-probabilities.
        seed: int32 [2].
        temperature: divides the logits (default 1); 0 gives the argmax.

    Returns:
        int32 [...], each in 0..K-1.
    """
    noise = gumbel(tf.shape(logits), seed)
    # logits + T * noise has the argmax of logits / T + noise, also at T = 0.
    noisy = logits + tf.cast(temperature, logits.dtype) * noise
    return tf.argmax(noisy, axis=-1, output_type=tf.int32)
