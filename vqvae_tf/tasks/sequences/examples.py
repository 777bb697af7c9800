"""Held-out sequences for figures and pictures."""

import numpy as np

from vqvae_tf.data.sequences.batches import sequences_at
from vqvae_tf.data.sequences.source import SequenceSource


def spread(
    source: SequenceSource, most: int | None = None
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Returns whole sequences, spread evenly over a source.

    Args:
        source: of sequences.
        most: how many at most; None for all.

    Returns:
        Frames `[n, length, *shape]`, and what is known of them.
    """
    count = min(source.num_examples, most or source.num_examples)
    index = np.linspace(0, source.num_examples - 1, count).astype(np.int64)
    frames, mask, known = sequences_at(source, np.unique(index))
    if mask is None:
        return frames, known
    whole = mask[:, -1] > 0
    if not whole.any():
        raise ValueError(
            f"No sequence of {source.name} has the {source.length} frames that "
            "figures need. Use shorter ones."
        )
    return frames[whole], {k: v[whole] for k, v in known.items()}
