"""Nearest-neighbour search in a codebook, and sums of latents by code.

Both work on grouped rows: latents `[G, N, D]` against codebooks `[G, K, D]`,
one search per group g, in float32, and never build an [N, K] one-hot matrix.
"""

import tensorflow as tf

# Distances above this size are computed in chunks of rows.
MAX_DISTANCE_BYTES = 64 * 2**20


def nearest_codes(latents: tf.Tensor, codebooks: tf.Tensor) -> tf.Tensor:
    """Finds the nearest embedding of every latent (arXiv:1711.00937, eq. 1).

    argmin_k |z - e_k|^2 = argmax_k (z . e_k - |e_k|^2 / 2), one matrix product
    with the second term as an additional column.

    Args:
        latents: float32 `[G, N, D]`, N rows in each of G groups.
        codebooks: float32 `[G, K, D]`, K embeddings in each group.

    Returns:
        int32 `[G, N]`, each in 0..K-1. Of equally near ones the first.
    """
    groups, _, _ = latents.shape
    num_embeddings = codebooks.shape[1]
    half_norms = 0.5 * tf.reduce_sum(codebooks**2, axis=-1, keepdims=True)
    codebooks = tf.concat([codebooks, -half_norms], axis=-1)
    rows = MAX_DISTANCE_BYTES // (4 * groups * num_embeddings)
    rows = max(rows, 64)
    count = latents.shape[1]
    if count is not None and count <= rows:
        return _nearest(latents, codebooks)
    if count is not None:
        return _nearest_chunked(latents, codebooks, rows)
    return tf.cond(
        tf.shape(latents)[1] <= rows,
        lambda: _nearest(latents, codebooks),
        lambda: _nearest_chunked(latents, codebooks, rows),
    )


def _nearest(latents, codebooks):
    latents = tf.pad(latents, [[0, 0], [0, 0], [0, 1]], constant_values=1.0)
    scores = tf.matmul(latents, codebooks, transpose_b=True)
    return tf.argmax(scores, axis=-1, output_type=tf.int32)


def _nearest_chunked(latents, codebooks, rows):
    groups, count, depth = latents.shape
    if count is None:  # else all sizes are static, as TPUs need them
        count = tf.shape(latents)[1]
    chunks = (count + rows - 1) // rows
    latents = tf.pad(latents, [[0, 0], [0, chunks * rows - count], [0, 0]])

    def body(i, codes):
        # tf.slice, since XLA needs the size of the slice to be static.
        chunk = tf.slice(latents, [0, i * rows, 0], [groups, rows, depth])
        return i + 1, codes.write(i, _nearest(chunk, codebooks))

    codes = tf.TensorArray(tf.int32, chunks, element_shape=[groups, rows])
    _, codes = tf.while_loop(
        lambda i, _: i < chunks, body, (0, codes), parallel_iterations=1
    )
    codes = tf.transpose(codes.stack(), [1, 0, 2])
    return tf.reshape(codes, [groups, chunks * rows])[:, :count]


def flat_indices(codes: tf.Tensor, num_embeddings: int) -> tf.Tensor:
    """Turns codes `[G, N]` into rows of the `[G * K, D]` view of codebooks."""
    groups = codes.shape[0]
    offsets = tf.range(groups, dtype=codes.dtype)[:, tf.newaxis]
    return codes + offsets * num_embeddings


def code_counts(codes, num_embeddings, weights=None) -> tf.Tensor:
    """Counts how often each code occurs.

    Args:
        codes: int32 `[G, N]`.
        num_embeddings: K.
        weights: optional float32 `[N]`, what each row counts.

    Returns:
        float32 `[G, K]`.
    """
    groups = codes.shape[0]
    indices = flat_indices(codes, num_embeddings)
    if weights is None:
        weights = tf.ones_like(indices, dtype=tf.float32)
    else:
        weights = tf.broadcast_to(weights, tf.shape(indices))
    counts = tf.math.unsorted_segment_sum(
        weights, indices, groups * num_embeddings
    )
    return tf.reshape(counts, [groups, num_embeddings])


def code_sums(latents, codes, num_embeddings, weights=None) -> tf.Tensor:
    """Sums the latents of each code.

    Args:
        latents: float32 `[G, N, D]`.
        codes: int32 `[G, N]`.
        num_embeddings: K.
        weights: optional float32 `[N]`, what each row counts.

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
