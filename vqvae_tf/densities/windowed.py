"""A density of grids larger than those a density was trained on."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from vqvae_tf.densities.base import DensityModel
from vqvae_tf.densities.conditioning import broadcast_batch, resolve_num_samples
from vqvae_tf.densities.sampling import Sampling, takes_sampling
from vqvae_tf.runtime import random
from vqvae_tf.runtime.roles import check_role
from vqvae_tf.utils.checks import check_positive


class Window(NamedTuple):
    """A part of a grid, and which of its positions no earlier part has.

    Attributes:
        top, left: its first row and column.
        height, width: its sizes.
        new: bool `[height, width]`.
    """

    top: int
    left: int
    height: int
    width: int
    new: np.ndarray

    def of(self, grid: tf.Tensor) -> tf.Tensor:
        """Returns its part of `[batch, *grid, ...]`."""
        rows = slice(self.top, self.top + self.height)
        return grid[:, rows, self.left : self.left + self.width]

    def placed(self, part: tf.Tensor, shape: Sequence[int]) -> tf.Tensor:
        """Returns `[batch, *shape, ...]` with a part, and 0 elsewhere."""
        rest = [[0, 0]] * (len(part.shape) - 3)
        rows = [self.top, shape[0] - self.top - self.height]
        columns = [self.left, shape[1] - self.left - self.width]
        return tf.pad(part, [[0, 0], rows, columns, *rest])


def windows(
    grid: Sequence[int], size: Sequence[int], stride: Sequence[int]
) -> Iterator[Window]:
    """Yields windows that cover a grid, row by row.

    Args:
        grid: (height, width) of the grid.
        size: of the windows, which are smaller where the grid is.
        stride: by how much each is moved; the last ones end with the grid.
    """
    height, width = (min(pair) for pair in zip(grid, size))
    seen = np.zeros(grid, bool)
    for top in _starts(grid[0], height, stride[0]):
        for left in _starts(grid[1], width, stride[1]):
            part = seen[top : top + height, left : left + width]
            new = ~part
            part[:] = True
            if new.any():
                yield Window(top, left, height, width, new)


def _starts(total, size, stride):
    return [*range(0, total - size, stride), total - size]


@keras.saving.register_keras_serializable("vqvae_tf")
class WindowedDensity(DensityModel):
    """Slides the window of an autoregressive density over a larger grid.

    Each window is a grid as the density was trained on. Its codes that earlier
    windows have are given, the others follow in their order:

        log p(x) = sum_windows sum_new log p(x_t | codes before t in its window)

    `sample` draws from just this. Far positions are independent given what is
    between them.

    Args:
        density: of codes on two-dimensional grids, such as a `CodeTransformer`,
            without a local context.
        event_shape: (height, width) of the grid that is drawn by default.
        window: (height, width); the density's own `event_shape` by default.
        stride: (rows, columns) by which the window moves; half of its sizes by
            default. Less gives each code more context, and takes longer.

    Call arguments, Returns:
        As for `PixelCNN`, but sizes must be known.

    Raises:
        ValueError: for a density with a local context, of other than two axes
            or of no order, and for grids of unknown sizes.

    Example: a picture twice as wide.

    >>> prior = CodeTransformer(8, (4, 4), hidden_channels=16, num_layers=1)
    >>> wide = WindowedDensity(prior, (4, 8))
    >>> wide.sample(2, seed=0).shape
    TensorShape([2, 4, 8])

    References:
        Esser et al. 2021, arXiv:2012.09841, section 3.2 (a window that moves by
        one position).
    """

    parts = ("density",)

    def __init__(
        self,
        density: keras.layers.Layer,
        event_shape: Sequence[int],
        window: Sequence[int] | None = None,
        stride: Sequence[int] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        check_role(self, "density", density, "density of codes")
        grid = getattr(density, "event_shape", ())
        if len(grid) != 2 or density.local_channels is not None:
            raise ValueError(
                "Windows are of two-dimensional grids without a local context. "
                f"Received: a {type(density).__name__} of event_shape={grid}, "
                f"local_channels={density.local_channels}."
            )
        if not density.exact_log_prob:
            raise ValueError(
                "Windows need a density that draws codes in order. Received: a "
                f"{type(density).__name__}, which draws them in any."
            )
        self.density = density
        window = grid if window is None else window
        if stride is None:
            stride = [max(n // 2, 1) for n in window]
        self.event_shape = _pair("event_shape", event_shape)
        self.window = _pair("window", window)
        self.stride = _pair("stride", stride)
        if any(s > w for s, w in zip(self.stride, self.window)):
            raise ValueError(
                "A window that moves by more than its sizes leaves codes out. "
                f"Received: stride={self.stride}, window={self.window}."
            )

    num_embeddings = property(lambda self: self.density.num_embeddings)
    num_codebooks = property(lambda self: self.density.num_codebooks)
    num_codes = property(lambda self: self.density.num_codes)
    global_channels = property(lambda self: self.density.global_channels)
    exact_log_prob = property(lambda self: self.density.exact_log_prob)

    def build(self, input_shape: tuple[int | None, ...] | None = None) -> None:
        if not self.density.built:
            self.density.build()
        self.built = True

    def compute_output_spec(
        self, value: keras.KerasTensor, *args: Any, **kwargs: Any
    ) -> keras.KerasTensor:
        return keras.KerasTensor((value.shape[0],), "float32")

    def call(
        self,
        value: tf.Tensor | np.ndarray,
        context: dict[str, tf.Tensor] | None = None,
        mask: tf.Tensor | None = None,
        training: bool = False,
    ) -> tf.Tensor:
        value = tf.convert_to_tensor(value)
        found = []
        for window in self._windows(value.shape[1:3]):
            new = tf.cast(window.new, tf.float32)[tf.newaxis]
            if mask is not None:
                new *= tf.cast(window.of(tf.convert_to_tensor(mask)), new.dtype)
            codes = window.of(value)
            found.append(self.density.log_prob(codes, context, new, training))
        return tf.add_n(found)

    def _windows(self, grid):
        if None in tuple(grid):
            raise ValueError(
                "Windows slide over grids of known sizes. Received: "
                f"(height, width) = {tuple(grid)}."
            )
        return windows(tuple(grid), self.window, self.stride)

    @takes_sampling
    def sample(
        self,
        num_samples: int | tf.Tensor | None = None,
        context: dict[str, tf.Tensor] | None = None,
        event_shape: Sequence[int] | None = None,
        sampling: Sampling | None = None,
    ) -> tf.Tensor:
        """Draws codes; arguments as for the density's own `sample`."""
        sampling = sampling.checked()
        given, keep = self.density.check_given(sampling)
        entries = (context or {}).values()
        count = resolve_num_samples(num_samples, [given, *entries])
        if given is not None:
            grid = tuple(given.shape[1:3])
        else:
            grid = tuple(event_shape or self.event_shape)
        codes = tf.zeros([count, *grid, self.num_codebooks], tf.int32)
        known = tf.zeros([count, *grid], tf.bool)
        if given is not None:
            codes = broadcast_batch("given", given, count)
            known = broadcast_batch("given_mask", keep, count)
        for number, window in enumerate(self._windows(grid)):
            options = sampling._replace(
                seed=random.fold_in(sampling.seed, number),
                given=self._flat(window.of(codes)),
                given_mask=window.of(known),
            )
            drawn = self.density.sample(count, context, sampling=options)
            drawn = tf.reshape(drawn, tf.shape(window.of(codes)))
            here = window.placed(tf.ones_like(window.of(known)), grid)
            codes = tf.where(
                here[..., tf.newaxis], window.placed(drawn, grid), codes
            )
            known |= here
        return self._flat(codes)

    def _flat(self, codes):
        """Returns codes without the axis of codebooks if there is one."""
        return codes[..., 0] if self.num_codebooks == 1 else codes

    def mode(self, context: dict[str, tf.Tensor] | None = None) -> tf.Tensor:
        """Returns a seeded sample, since the mode is intractable."""
        return self.sample(context=context, seed=0)

    def export_signature(self) -> list:
        value, *context = self.density.export_signature()
        books = value.shape[3:]
        shape = [None, *self.event_shape, *books]
        return [tf.TensorSpec(shape, value.dtype, value.name), *context]

    def check_input(self, x: tf.Tensor | np.ndarray) -> None:
        self.density.check_input(x)


def _pair(name, value):
    value = tuple(value)
    if len(value) != 2:
        raise ValueError(
            f"{name} must be (height, width). Received: {name}={value!r}."
        )
    return tuple(check_positive(f"Each of {name}", n) for n in value)
