"""Checks and sampling of autoregressive densities of codes."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from vqvae_tf.densities.base import DensityModel
from vqvae_tf.densities.conditioning import (
    broadcast_batch,
    check_batch,
    check_grid,
    check_same_batch,
    resolve_num_samples,
    size_of,
)
from vqvae_tf.densities.sampling import Sampling, takes_sampling
from vqvae_tf.utils import tensor_checks
from vqvae_tf.utils.graph_cache import Graphs, call


class CodeDensity(DensityModel):
    """An autoregressive density of codes on a grid.

    Codes are ordered by position, row by row, and at each position by
    codebook.

    Subclasses have the attributes `num_embeddings`, `num_codebooks`,
    `event_shape` and `local_upsampling`, and implement `build`, `call` and
    `visit`; where codebooks have different numbers of codes, also `num_codes`.
    Codes are integers `[batch, *grid]`, with a last axis G if `num_codebooks`
    is > 1; internally always `[batch, *grid, G]`.
    """

    grid_axes = ("height", "width")
    # Attributes that a sampler's graph depends on.
    graph_options = ()

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._graphs = Graphs()

    def visit(
        self,
        num_samples: int | tf.Tensor,
        grid: Sequence[int | tf.Tensor],
        context: dict[str, tf.Tensor] | None,
        choose: Callable[..., tf.Tensor],
        record: bool = False,
    ) -> tf.Tensor:
        """Visits all positions in order and chooses their codes.

        Args:
            num_samples: an integer or int32 scalar tensor.
            grid: the sizes, integers or int32 scalar tensors.
            context: of batch 1 or num_samples.
            choose: `choose(logits, t, g)` returns codes int32
                `[num_samples]` for float32 logits `[num_samples, K]` at
                position t (int32 scalar, row by row) and codebook g.
            record: whether to return the logits instead of the codes.

        Returns:
            int32 codes `[num_samples, *grid, G]`, or float32 logits
            `[num_samples, *grid, G, K]`.
        """
        raise NotImplementedError(
            f"{type(self).__name__} must implement visit."
        )

    # Samples ----------------------------------------------------------------

    @takes_sampling
    def sample(
        self,
        num_samples: int | tf.Tensor | None = None,
        context: dict[str, tf.Tensor] | None = None,
        event_shape: Sequence[int | tf.Tensor] | None = None,
        sampling: Sampling | None = None,
    ) -> tf.Tensor:
        """Draws codes, in one graph.

        Works eagerly (the graph is traced once per grid, and once more for
        top_k and top_p), in a `tf.function`, under XLA (with known num_samples
        and sizes) and in exported models (where num_samples, temperature,
        top_k, top_p and seed may be tensors). Equal arguments give equal codes
        in all of them, except for ties within rounding.

        Args:
            num_samples: an integer or int32 scalar tensor; by default the
                batch of context or given, else 1. Those may have a batch of 1,
                which is used for all samples.
            context: as for `log_prob`.
            event_shape: the grid; by default that of `given`, else that of
                the local context, else the constructor's.
            temperature: divides the logits, a finite number of at least 0;
                0 draws the most probable codes.
            top_k, top_p: None, or restrict the codes; see `Sampling`.
            seed: an integer, int32 scalar or int32 [2]; None for a new one.
            given: codes to complete, `[batch, *grid]` or with G.
            given_mask: bool `[batch, *grid]`, true where the code of `given`
                is kept; others are ignored.

        Returns:
            int32 `[num_samples, *grid]`, or `[..., G]`.

        Raises:
            ValueError: for options out of range, a context that is not
                finite, incompatible batches or grids, and one of given and
                given_mask alone. For tensors of a graph, an
                `InvalidArgumentError` when it runs.
        """
        sampling = sampling.checked()
        if not self.built:
            self.build()
        given, keep = self.check_given(sampling)
        context = _finite(context)
        self.check_entries(context)
        grid = self._sample_grid(event_shape, context, given)
        if given is not None:
            given = check_grid(given, 1, grid, "given")
        num_samples = resolve_num_samples(
            num_samples, [given, *context.values()]
        )
        arguments = {
            "num_samples": num_samples,
            "context": {
                name: check_batch(f'context["{name}"]', entry, num_samples)
                for name, entry in context.items()
            },
            "sampling": sampling._replace(
                temperature=tf.cast(sampling.temperature, tf.float32),
                given=check_batch("given", given, num_samples),
                given_mask=check_batch("given_mask", keep, num_samples),
            ),
        }
        if not tf.executing_eagerly():
            return self._draw(grid, arguments)
        arguments["num_samples"] = tf.convert_to_tensor(num_samples)
        options = arguments["sampling"].as_tensors(self.num_embeddings)
        return self._draw_eagerly(grid, {**arguments, "sampling": options})

    def check_entries(self, context: dict[str, tf.Tensor] | None) -> Any:
        """Raises ValueError unless a context has the expected entries."""

    def mode(
        self,
        context: dict[str, tf.Tensor] | None = None,
        seed: int | tf.Tensor = 0,
    ) -> tf.Tensor:
        """Returns a seeded sample, since the mode is intractable."""
        return self.sample(context=context, seed=seed)

    def _draw_eagerly(self, grid, arguments):
        # One graph for all options and batches, and another without the sort.
        kind = (arguments["sampling"].is_filtered, *self.graph_options)
        draw = self._graphs.get(self._draw, grid, kind=kind)
        return call(draw, arguments, context=[0], sampling=_batch_axis)

    def _draw(self, grid, arguments, **options):
        num_samples, sampling = arguments["num_samples"], arguments["sampling"]
        given = _flat(sampling.given, num_samples, len(grid))
        keep = _flat(sampling.given_mask, num_samples, len(grid))

        def choose(logits, t, g):
            codes = sampling.choose(logits, t, g)
            if given is None:
                return codes
            known = tf.gather(given, t, axis=1)[..., g]
            return tf.where(tf.gather(keep, t, axis=1), known, codes)

        codes = self.visit(
            num_samples, grid, arguments["context"], choose, **options
        )
        return codes if self.num_codebooks > 1 else codes[..., 0]

    def _cached_logits(self, value, context=None):
        """Logits of codes, as computed by the sampler; for tests."""
        codes = self._codes(value)
        axes = range(1, 1 + len(self.grid_axes))
        grid = [size_of(codes, axis) for axis in axes]
        batch = size_of(codes, 0)
        flat = _flat(codes, batch, len(grid))

        def choose(_, t, g):
            return tf.gather(flat, t, axis=1)[..., g]

        logits = self.visit(batch, grid, context, choose, record=True)
        return logits if self.num_codebooks > 1 else logits[..., 0, :]

    def export_signature(self) -> list:
        axes = [None] * len(self.grid_axes)
        books = [] if self.num_codebooks == 1 else [self.num_codebooks]
        sizes = {"global": [], "local": axes}
        context = {}
        for name, before in sizes.items():
            channels = getattr(self, f"{name}_channels")
            if channels is not None:
                shape = [None, *before, channels]
                context[name] = tf.TensorSpec(shape, tf.float32)
        codes = tf.TensorSpec([None, *axes, *books], tf.int32, "codes")
        return [codes, context] if context else [codes]

    # Checks -----------------------------------------------------------------

    def check_input(self, x: tf.Tensor | np.ndarray) -> None:
        """Raises ValueError for codes of the wrong shape, or out of range."""
        x = tensor_checks.as_tensor("Codes", x)
        self._check_shape(x)
        if tensor_checks.known(x):
            self._whole(x)

    def _codes(self, value):
        """Checks codes; returns them as int32 `[batch, *grid, G]`."""
        value = tensor_checks.as_tensor("Codes", value)
        self._check_shape(value)
        codes = self._whole(value)
        return codes if self.num_codebooks > 1 else codes[..., tf.newaxis]

    def _check_shape(self, value):
        axes = ["batch", *self.grid_axes]
        wrong = False
        if self.num_codebooks > 1:
            axes.append(str(self.num_codebooks))
            wrong = value.shape[-1:] != [self.num_codebooks]
        if len(value.shape) != len(axes) or wrong or 0 in value.shape:
            raise ValueError(
                f"Codes must have shape [{', '.join(axes)}]. Received: codes "
                f"of shape {tuple(value.shape)}."
            )

    def _whole(self, codes):
        return tensor_checks.whole_numbers(codes, self.num_codes, floats=True)

    def _check_mask(self, name, mask, dtype, codes=None):
        """Returns a mask `[batch, *grid]`, which fits the codes if given."""
        tensor_checks.check_finite(name, mask)
        mask = tf.cast(mask, dtype)
        if len(mask.shape) != 1 + len(self.grid_axes):
            axes = ", ".join(["batch", *self.grid_axes])
            raise ValueError(
                f"{name} must have shape [{axes}]. "
                f"Received: a mask of shape {tuple(mask.shape)}."
            )
        if codes is None:
            return mask
        axes = range(1, len(mask.shape))
        grid = [size_of(codes, axis) for axis in axes]
        mask = check_grid(mask, 1, grid, name)
        check_same_batch(name, mask, "the codes", codes)
        return broadcast_batch(name, mask, size_of(codes, 0))

    def check_given(
        self, sampling: Sampling
    ) -> tuple[tf.Tensor | None, tf.Tensor | None]:
        """Returns codes `[batch, *grid, G]` and the mask, or two Nones.

        Args:
            sampling: a checked `Sampling`.
        """
        if sampling.given is None:
            return None, None
        keep = self._check_mask("given_mask", sampling.given_mask, tf.bool)
        given = tensor_checks.as_tensor("given", sampling.given)
        if given.dtype == tf.bool:
            raise ValueError(
                "Codes must be integers. Received: given of dtype bool; pass "
                "the mask as given_mask."
            )
        self._check_shape(given)
        axes = range(1, len(keep.shape))
        grid = [size_of(given, axis) for axis in axes]
        keep = check_grid(keep, 1, grid, "given_mask")
        check_same_batch("given_mask", keep, "given", given)
        known = keep if self.num_codebooks == 1 else keep[..., tf.newaxis]
        return self._codes(tf.where(known, given, 0)), keep

    def _sample_grid(self, event_shape, context, given):
        axes = range(1, 1 + len(self.grid_axes))
        local = context.get("local")
        if event_shape is not None:
            return self._check_event_shape(event_shape)
        if given is not None:
            return tuple(size_of(given, axis) for axis in axes)
        if local is not None and len(local.shape) == len(axes) + 2:
            factor = self.local_upsampling
            return tuple(size_of(local, axis) * factor for axis in axes)
        return self.event_shape

    def _check_event_shape(self, event_shape):
        shape = tuple(event_shape) if np.iterable(event_shape) else ()
        if len(shape) != len(self.grid_axes):
            raise ValueError(
                f"event_shape is the grid, ({', '.join(self.grid_axes)}); "
                "the number of codebooks is num_codebooks. "
                f"Received: event_shape={event_shape!r}."
            )
        name = "Each size of event_shape"
        return tuple(tensor_checks.count(name, size) for size in shape)


def _batch_axis(option):
    return [0] if len(option.shape) > 1 else []  # given and given_mask only


def _finite(context):
    """Returns the entries of a context that are not None, checked."""
    return {
        name: tensor_checks.finite(f'context["{name}"]', entry)
        for name, entry in (context or {}).items()
        if entry is not None
    }


def _flat(values, num_samples, rank):
    """Returns `[batch, *grid, ...]` as `[num_samples, positions, ...]`."""
    if values is None:
        return None
    values = broadcast_batch("given", values, num_samples)
    rest = values.shape[1 + rank :]
    return tf.reshape(values, [num_samples, -1, *rest])
