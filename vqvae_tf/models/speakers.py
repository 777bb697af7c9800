"""Speakers by name or number, and their one-hot contexts."""

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from vqvae_tf.utils import checks, tensor_checks

Speaker = str | int | Sequence | np.ndarray | tf.Tensor


def one_hot(
    speaker: Speaker,
    names: tuple[str, ...],
    batch: int | tf.Tensor = 1,
) -> tf.Tensor:
    """Returns speakers as float32 `[batch, len(names)]`.

    Args:
        speaker: a name, a number, or a list, integer array or tensor of one
            for each row.
        names: of all speakers.
        batch: the number of rows for a single speaker.

    Raises:
        ValueError: for an unknown speaker (`InvalidArgumentError` for a tensor
            in a graph).
    """
    count = len(names)
    if not tensor_checks.known(speaker):
        chosen = tensor_checks.whole_numbers(speaker, count, "speakers")
        return tf.one_hot(chosen, count)
    if tf.is_tensor(speaker):
        speaker = speaker.numpy()
    if isinstance(speaker, (list, tuple, np.ndarray)) and np.ndim(speaker):
        chosen = [_number(one, names) for one in speaker]
    else:
        chosen = tf.fill([batch], _number(speaker, names))
    return tf.one_hot(chosen, count)


def _number(speaker, names):
    if isinstance(speaker, str) and speaker in names:
        return names.index(speaker)
    number = checks.number(speaker)
    if isinstance(number, int) and 0 <= number < len(names):
        return number
    raise ValueError(
        f"The speaker must be one of {', '.join(names)}, or a number in "
        f"0..{len(names) - 1}. Received: {speaker!r}."
    )


def context_of(
    context: dict[str, tf.Tensor] | None,
    speaker: Speaker | None,
    names: tuple[str, ...],
    batch: int | tf.Tensor,
) -> dict:
    """Returns a decoder's context with the speaker of one of two arguments.

    Args:
        context: None, or a dict, perhaps with speakers as `"global"`.
        speaker: as for `one_hot`, or None.
        names, batch: as for `one_hot`.

    Raises:
        ValueError: unless exactly one of them has the speaker, if there are
            speakers; also as `one_hot`.
    """
    context = dict(context or {})
    known = context.get("global") is not None
    if known == (speaker is not None) and names:
        raise ValueError(
            "Name the speaker once: pass speaker=NAME (one of "
            f"{', '.join(names)}), or a context with "
            f'"global". Received: {"both" if known else "neither"}.'
        )
    if speaker is not None:
        context["global"] = one_hot(speaker, names, batch)
    return context
