"""Beam search for codes whose vectors are added up, stage by stage."""

import tensorflow as tf

from vqvae_tf.quantizers import lookup
from vqvae_tf.quantizers.positions import of_shape


class Beams:
    """The best partial sums of each latent so far.

    Args:
        z: float32 `[N, D]`, the latents.
        size: int, how many sums are kept for each.

    Attributes:
        rests: float32 `[N, B, D]`, what each sum leaves of its latent, from
            the smallest to the largest; B grows up to `size`.
        codes: int32 `[N, B, n]`, of the n stages so far.
    """

    def __init__(self, z: tf.Tensor, size: int) -> None:
        self.size = size
        self.rests = z[:, tf.newaxis]
        self.codes = tf.zeros([tf.shape(z)[0], 1, 0], tf.int32)

    def extend(self, table: tf.Tensor, kept: tf.Tensor | None = None) -> None:
        """Adds one of K vectors to each sum, and keeps the best results.

        Args:
            table: float32 `[K, D]`, the vectors of the next stage.
            kept: float32 `[N]`, 0 for latents that leave out this stage and so
                keep the sum that is best now; None for 1.
        """
        found = _best(self.rests, table, self.size)
        parents, codes = found // table.shape[0], found % table.shape[0]
        added = tf.gather(table, codes)
        if kept is not None:
            parents = tf.where(kept[:, tf.newaxis] > 0, parents, 0)
            added *= kept[:, tf.newaxis, tf.newaxis]
        before = tf.gather(self.rests, parents, batch_dims=1)
        self.rests = before - added
        before = tf.gather(self.codes, parents, batch_dims=1)
        self.codes = tf.concat([before, codes[..., tf.newaxis]], axis=-1)


def in_order(
    z: tf.Tensor,
    codes: tf.Tensor,
    table: tf.Tensor,
    kept: tf.Tensor | None = None,
) -> tf.Tensor:
    """Orders the codes of stages with one table, the nearest sum first.

    Such stages can be exchanged, and a beam has found them in an order that
    rounding decides. Here each code is the one that brings the sum of those
    before it nearest to the latent.

    Args:
        z: float32 `[N, D]`, the latents.
        codes: int32 `[N, n]`, of n stages.
        table: float32 `[K, D]`, the vectors of all stages.
        kept: float32 `[n, N]`, 0 for stages that a latent leaves out, which
            are its last ones; None for 1.

    Returns:
        int32 `[N, n]`; any code where a stage is left out.
    """
    vectors, rests, found = tf.gather(table, codes), z, []
    left = tf.ones_like(codes, tf.float32)
    if kept is not None:
        left = tf.transpose(kept)
    stages = codes.shape[1]
    for _ in range(stages):
        gaps = tf.reduce_sum((rests[:, tf.newaxis] - vectors) ** 2, axis=-1)
        gaps = tf.where(left > 0, gaps, gaps.dtype.max)
        best = tf.argmin(gaps, axis=1, output_type=tf.int32)
        found.append(tf.gather(codes, best, batch_dims=1))
        rests -= tf.gather(vectors, best, batch_dims=1)
        left *= tf.one_hot(best, stages, on_value=0.0, off_value=1.0)
    return tf.stack(found, axis=1)


def _best(rests, table, size):
    """The pairs of a rest and a vector with the smallest differences.

    Returns:
        int32 `[N, min(size, B * K)]`, the rest's number times K plus the
        vector's, the best first.
    """
    count, beams = rests.shape[:2]
    size = min(size, beams * table.shape[0])
    # As in `lookup`: what fits the processor's cache.
    rows = lookup.MAX_DISTANCE_BYTES // (4 * beams * table.shape[0])
    rows = max(rows, 64)
    if count is not None and count <= rows:
        return _best_of_all(rests, table, size)
    if count is not None:
        return _best_in_chunks(rests, table, size, rows)
    return tf.cond(
        tf.shape(rests)[0] <= rows,
        lambda: _best_of_all(rests, table, size),
        lambda: _best_in_chunks(rests, table, size, rows),
    )


def _best_of_all(rests, table, size):
    beams, channels = rests.shape[1:]
    # |r - v|^2 with neither |r|^2 nor |v|^2 forgotten: rests differ in length.
    products = tf.matmul(
        tf.reshape(rests, [-1, channels]), table, transpose_b=True
    )
    products = tf.reshape(products, [-1, beams, table.shape[0]])
    lengths = tf.reduce_sum(rests**2, axis=-1, keepdims=True)
    scores = 2 * products - lengths - tf.reduce_sum(table**2, axis=-1)
    scores = tf.reshape(scores, [-1, beams * table.shape[0]])
    return tf.math.top_k(scores, size).indices


def _best_in_chunks(rests, table, size, rows):
    count = tf.shape(rests)[0]
    chunks = (count + rows - 1) // rows
    # Chunks of one static size, as XLA requires.
    ends = [[0, chunks * rows - count], [0, 0], [0, 0]]
    parts = tf.reshape(tf.pad(rests, ends), [-1, rows, *rests.shape[1:]])
    found = tf.map_fn(
        lambda part: _best_of_all(part, table, size),
        parts,
        parallel_iterations=1,
        fn_output_signature=tf.TensorSpec([rows, size], tf.int32),
    )
    found = tf.reshape(found, [-1, size])[:count]
    return of_shape(found, [rests.shape[0], size])
