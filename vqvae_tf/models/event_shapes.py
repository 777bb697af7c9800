"""Checks of the shape of data, with advice on how to correct it."""

import math


def check_event(
    shape: tuple[int | None, ...],
    event_shape: tuple[int | None, ...],
    rank: int,
    factor: int,
) -> None:
    """Raises ValueError for data whose shape does not fit the model.

    Args:
        shape: of the data, None for unknown sizes.
        event_shape: of one example, None for sizes that may vary.
        rank: the number of its axes, without that of the channels.
        factor: every size must be a multiple of it.
    """
    names = f"[batch, {', '.join(map(str, event_shape))}]"
    channels = event_shape[rank:]
    if len(shape) != len(event_shape) + 1:
        advice = _advice_on_axes(shape, event_shape, channels)
        raise ValueError(
            f"Expected data of shape {names} (None: any size). Received: shape "
            f"{shape}.{advice and ' '}{advice}"
        )
    sizes, last = shape[1 : 1 + rank], shape[1 + rank :]
    # Codes have no channel axis until `preprocess` embeds them.
    if last and None not in (*last, *channels) and last != channels:
        advice = _advice_on_channels(shape, event_shape, *channels, *last)
        raise ValueError(
            f"The model was made for {channels[0]} channels, data of shape "
            f"{names}. Received: shape {shape}, {last[0]} channels."
            f"{advice and ' '}{advice}"
        )
    if any(size is not None and size % factor for size in sizes):
        raise ValueError(
            f"Sizes must be multiples of the encoder's stride product, "
            f"{factor}. Received: shape {shape}. Crop or pad the data "
            f"(for instance to {[_next(s, factor) for s in sizes]})"
        )


def _next(size, factor):
    return None if size is None else -(-size // factor) * factor


def _advice_on_axes(shape, event_shape, channels):
    missing = len(event_shape) + 1 - len(shape)
    count = channels[0] if channels else None
    flat = None not in event_shape and shape[1:] == (math.prod(event_shape),)
    if flat:
        return f"Give them their axes back: x.reshape({(-1, *event_shape)})."
    if missing == 1 and (count is None or shape[-1] in (count, None)):
        return "Add a batch axis: x[None], or dataset.batch(64)."
    if missing == 1 and shape[0] == count:
        return (
            "Channels come last, after a batch axis: np.moveaxis(x, 0, -1)"
            "[None]."
        )
    if missing == 1:
        return _axis_of_channels("x[..., None]", count)
    if missing == 2 and count is not None:
        return _axis_of_channels("x[None, ..., None]", count)
    if missing == -1 and count is None and shape[-1] == 1:
        return "Drop the axis of channels: x[..., 0]."
    if missing == -1 and count is not None:
        return (
            "Frames of clips are pictures of a larger batch: "
            "x.reshape(-1, *x.shape[2:])."
        )
    return ""


def _axis_of_channels(indexed, count):
    if count == 1:
        return f"Add an axis of channels: {indexed}."
    return (
        "Add an axis of channels, and repeat grey pictures: "
        f"np.repeat({indexed}, {count}, axis=-1)."
    )


def _advice_on_channels(shape, event_shape, expected, received):
    if shape[1] == expected and len(shape) > 2:
        order = [0, *range(2, len(shape)), 1]
        return (
            "Channels come last: np.moveaxis(x, 1, -1), or tf.transpose(x, "
            f"{order})."
        )
    if expected == 1 and received == 3:
        return "Make them grey: tf.image.rgb_to_grayscale(x)."
    if received == 1:
        return f"Repeat grey pictures: np.repeat(x, {expected}, axis=-1)."
    if (received, expected) == (4, 3):
        return "Leave the transparency out: x[..., :3]."
    if shape[-2:] == event_shape[:-1] or received == shape[-2]:
        rows = "x[0]" if shape[0] == 1 else "x"
        return (
            "Pictures without an axis of channels get one at the end: "
            f"{rows}[..., None]."
        )
    return ""
