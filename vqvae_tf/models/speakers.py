"""Who speaks: names, numbers and one-hot contexts of speakers."""

import numpy as np
import tensorflow as tf

from vqvae_tf.utils import checks, tensor_checks


def one_hot(speaker, names: tuple[str, ...], batch=1) -> tf.Tensor:
    """Returns speakers as float32 `[batch, len(names)]`.

    Args:
        speaker: a name, a number, or a list, integer array or tensor of one
            for each row.
        names: of all speakers.
        batch: the number of rows of a single speaker.

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


def context_of(context, speaker, names: tuple[str, ...], batch) -> dict:
    """Returns a decoder's context, in which a speaker is told once.

    Args:
        context: a dict, with `"global"` where it tells the speakers; or None.
        speaker, names, batch: as for `one_hot`; or None as the speaker.

    Raises:
        ValueError: unless exactly one of them tells who speaks, where there
            are speakers; and as `one_hot`.
    """
    context = dict(context or {})
    told = context.get("global") is not None
    if told == (speaker is not None) and names:
        raise ValueError(
            "Say who speaks, once: speaker=NAME (one of "
            f"{', '.join(names)}), or a context with "
            f'"global". Received: {"both" if told else "neither"}.'
        )
    if speaker is not None:
        context["global"] = one_hot(speaker, names, batch)
    return context
