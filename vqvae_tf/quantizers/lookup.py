"""Nearest-neighbour search in a codebook, and sums of latents by code.

Latents are `[G, N, D]` and codebooks `[G, K, D]`, float32, with one search per
group g. No `[N, K]` one-hot matrix is built.
"""

import tensorflow as tf

# Larger distance matrices are computed in chunks of rows that fit the
# processor's cache; larger chunks are not faster.
MAX_DISTANCE_BYTES = 16 * 2**20
# From _MANY embeddings on, the maximum is found block by block.
_BLOCK, _MANY = 64, 1024


def nearest_codes(latents: tf.Tensor, codebooks: tf.Tensor) -> tf.Tensor:
    """Finds the nearest embedding of every latent (arXiv:1711.00937, eq. 1).

    argmin_k |z - e_k|^2 = argmax_k (z . e_k - |e_k|^2 / 2) is one matrix
    product, with the second term as an additional row.

    Args:
        latents: float32 `[G, N, D]`, N rows in each of G groups.
        codebooks: float32 `[G, K, D]`, K embeddings in each group.

    Returns:
        int32 `[G, N]`, each in 0..K-1; ties go to the first.
    """
    groups, count, _ = latents.shape
    num_embeddings = codebooks.shape[1]
    half_norms = 0.5 * tf.reduce_sum(codebooks**2, axis=-1, keepdims=True)
    # Transposed once, not in every product.
    table = tf.transpose(tf.concat([codebooks, -half_norms], -1), [0, 2, 1])
    rows = MAX_DISTANCE_BYTES // (4 * groups * num_embeddings)
    rows = max(rows, 64)
    if count is not None and count <= rows:
        return _nearest(latents, table)
    if count is not None:
        return _nearest_chunked(latents, table, rows)
    return tf.cond(
        tf.shape(latents)[1] <= rows,
        lambda: _nearest(latents, table),
        lambda: _nearest_chunked(latents, table, rows),
    )


def _nearest(latents, table):
    """Codes `[G, N]` of latents `[G, N, D]`, given a table `[G, D + 1, K]`."""
    latents = tf.pad(latents, [[0, 0], [0, 0], [0, 1]], constant_values=1.0)
    if table.shape[0] == 1:
        # A plain matrix product is faster than a batched one of size 1.
        scores = tf.matmul(tf.squeeze(latents, 0), tf.squeeze(table, 0))
        return _argmax(scores)[tf.newaxis]
    return _argmax(tf.matmul(latents, table))


def _argmax(scores):
    """`tf.argmax` over the last axis, faster if that is long.

    TensorFlow vectorizes `reduce_max` but not `argmax`, so block maxima select
    the best block, and `argmax` searches only that one. Ties go to the first
    entry, as in `argmax`.
    """
    size = scores.shape[-1]
    if size < _MANY or size % _BLOCK:
        return tf.argmax(scores, axis=-1, output_type=tf.int32)
    shape = tf.shape(scores)[:-1]
    blocks = size // _BLOCK
    scores = tf.reshape(scores, [-1, blocks, _BLOCK])
    best = tf.argmax(
        tf.reduce_max(scores, axis=-1), axis=-1, output_type=tf.int32
    )
    rows = best + blocks * tf.range(tf.size(best))
    block = tf.gather(tf.reshape(scores, [-1, _BLOCK]), rows)
    place = tf.argmax(block, axis=-1, output_type=tf.int32)
    return tf.reshape(_BLOCK * best + place, shape)


def _nearest_chunked(latents, table, rows):
    groups, count, depth = latents.shape
    whole = latents
    if count is None:
        count = tf.shape(latents)[1]
        # XLA compiles this branch even for fewer latents than a chunk, when it
        # never runs, and requires them to fill one.
        short = tf.maximum(rows - count, 0)
        whole = tf.pad(latents, [[0, 0], [0, short], [0, 0]])
    chunks = count // rows

    def body(i, codes):
        # tf.slice has the static size that XLA requires.
        chunk = tf.slice(whole, [0, i * rows, 0], [groups, rows, depth])
        return i + 1, codes.write(i, _nearest(chunk, table))

    codes = tf.TensorArray(tf.int32, chunks, element_shape=[groups, rows])
    _, codes = tf.while_loop(
        lambda i, _: i < chunks, body, (0, codes), parallel_iterations=1
    )
    codes = tf.transpose(codes.stack(), [1, 0, 2])
    codes = tf.reshape(codes, [groups, chunks * rows])
    if isinstance(count, int) and count == chunks * rows:
        return codes
    last = tf.slice(latents, [0, chunks * rows, 0], [groups, -1, depth])
    return tf.concat([codes, _nearest(last, table)], axis=1)


def flat_indices(codes: tf.Tensor, num_embeddings: int) -> tf.Tensor:
    """Returns the rows of codes `[G, N]` in codebooks seen as `[G * K, D]`."""
    groups = codes.shape[0]
    if groups == 1:
        return codes
    offsets = tf.range(groups, dtype=codes.dtype)[:, tf.newaxis]
    return codes + offsets * num_embeddings


def code_counts(
    codes: tf.Tensor, num_embeddings: int, weights: tf.Tensor | None = None
) -> tf.Tensor:
    """Counts how often each code occurs.

    Args:
        codes: int32 `[G, N]`.
        num_embeddings: K.
        weights: optional float32 `[N]`, the weight of each row.

    Returns:
        float32 `[G, K]`.
    """
    groups = codes.shape[0]
    indices = flat_indices(codes, num_embeddings)
    size = groups * num_embeddings
    if weights is None:
        # tf.math.bincount would first search for the largest code.
        counts = tf.raw_ops.DenseBincount(
            input=tf.reshape(indices, [-1]), size=size, weights=tf.zeros([0])
        )
    else:
        # Summed in a fixed order, since sums of fractions depend on it.
        weights = tf.broadcast_to(weights, tf.shape(indices))
        counts = tf.math.unsorted_segment_sum(weights, indices, size)
    return tf.reshape(counts, [groups, num_embeddings])


def code_sums(
    latents: tf.Tensor,
    codes: tf.Tensor,
    num_embeddings: int,
    weights: tf.Tensor | None = None,
) -> tf.Tensor:
    """Sums the latents of each code.

    Args:
        latents: float32 `[G, N, D]`.
        codes: int32 `[G, N]`.
        num_embeddings: K.
        weights: optional float32 `[N]`, the weight of each row.

    Returns:
        float32 `[G, K, D]`.
    """
    groups, _, depth = latents.shape
    if weights is not None:
        latents = latents * weights[:, tf.newaxis]
    indices = tf.reshape(flat_indices(codes, num_embeddings), [-1, 1])
    sums = tf.scatter_nd(
        indices,
        tf.reshape(latents, [-1, depth]),
        [groups * num_embeddings, depth],
    )
    return tf.reshape(sums, [groups, num_embeddings, depth])
