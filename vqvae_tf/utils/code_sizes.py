"""How many codes each of several codebooks has.

Arguments called `num_embeddings` are one number for all codebooks, or a
sequence with one for each. Parts keep them as `num_codes`, a tuple of G ints.
"""

from collections.abc import Sequence

import numpy as np

from vqvae_tf.utils.checks import check_positive


def check_code_sizes(
    num_embeddings: int | Sequence[int], num_codebooks: int = 1
) -> tuple[int, ...]:
    """Returns how many codes each codebook has.

    Args:
        num_embeddings: one number for all codebooks, or one for each.
        num_codebooks: G (default 1).

    Raises:
        ValueError: for numbers that are not positive integers, and for a
            sequence of another length than G.

    Example:

    >>> check_code_sizes(8, 2), check_code_sizes([8, 4], 2)
    ((8, 8), (8, 4))
    """
    num_codebooks = check_positive("num_codebooks", num_codebooks)
    several = np.iterable(num_embeddings)
    if not several or isinstance(num_embeddings, str):
        size = check_positive("num_embeddings", num_embeddings)
        return (size,) * num_codebooks
    sizes = tuple(
        check_positive("Each of num_embeddings", size)
        for size in num_embeddings
    )
    if len(sizes) != num_codebooks:
        raise ValueError(
            "num_embeddings must be one number for all codebooks, or one for "
            f"each of num_codebooks={num_codebooks}. Received: num_embeddings="
            f"{list(sizes)}."
        )
    return sizes


def as_argument(num_codes: Sequence[int]) -> int | list[int]:
    """Returns `num_codes` as `num_embeddings`, one number if all are equal.

    Example:

    >>> as_argument((8, 8)), as_argument((8, 4))
    (8, [8, 4])
    """
    sizes = list(num_codes)
    return sizes[0] if len(set(sizes)) == 1 else sizes


def first_rows(num_codes: Sequence[int]) -> np.ndarray:
    """Returns where each codebook's codes begin in one table of all, int32.

    Example:

    >>> first_rows((8, 4, 16))
    array([ 0,  8, 12], dtype=int32)
    """
    return np.cumsum([0, *num_codes[:-1]], dtype=np.int32)


def in_words(num_codes: Sequence[int]) -> str:
    """Returns `num_codes` as in a sentence, one number if all are equal.

    Example:

    >>> in_words((8, 8)), in_words((8, 4, 16))
    ('8', '8, 4 and 16')
    """
    sizes = as_argument(num_codes)
    if isinstance(sizes, int):
        return str(sizes)
    return f"{', '.join(map(str, sizes[:-1]))} and {sizes[-1]}"
