"""Keras' convolutions by rank: 1 for waveforms, 2 for images, 3 for clips."""

import keras

_CONVOLUTIONS = {
    1: keras.layers.Conv1D,
    2: keras.layers.Conv2D,
    3: keras.layers.Conv3D,
}
_TRANSPOSED = {
    1: keras.layers.Conv1DTranspose,
    2: keras.layers.Conv2DTranspose,
    3: keras.layers.Conv3DTranspose,
}


def convolution(rank: int, filters: int, kernel_size: int, **kwargs):
    """Returns a `padding="same"` convolution layer over `rank` axes."""
    check_rank(rank)
    return _CONVOLUTIONS[rank](filters, kernel_size, padding="same", **kwargs)


def transposed_convolution(rank: int, filters: int, kernel_size: int, **kwargs):
    """Returns a `padding="same"` transposed convolution over `rank` axes."""
    check_rank(rank)
    return _TRANSPOSED[rank](filters, kernel_size, padding="same", **kwargs)


def check_rank(rank):
    """Raises ValueError unless rank is 1, 2 or 3."""
    if rank not in _CONVOLUTIONS:
        raise ValueError(
            "rank is the number of spatial axes: 1 (waveforms), 2 (images) or "
            f"3 (clips). Received: rank={rank!r}."
        )


def check_axes(rank, input_shape):
    """Raises ValueError unless the shape is that of data of this rank."""
    if len(input_shape) != rank + 2:
        raise ValueError(
            f"With rank={rank} inputs have {rank + 2} axes, [batch, *sizes, "
            f"channels]. Received: inputs of shape {tuple(input_shape)}."
        )
