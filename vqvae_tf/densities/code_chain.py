"""The prior of hierarchical codes: a density for each level."""

from collections.abc import Sequence
from typing import Any, NoReturn

import keras
import numpy as np
import tensorflow as tf

from vqvae_tf.densities.base import DensityModel
from vqvae_tf.densities.conditioning import resolve_num_samples
from vqvae_tf.densities.sampling import Sampling, takes_sampling
from vqvae_tf.runtime import random
from vqvae_tf.runtime.batches import unpack_batch
from vqvae_tf.runtime.roles import check_role
from vqvae_tf.utils import code_levels

Levels = dict[str, tf.Tensor]


@keras.saving.register_keras_serializable("vqvae_tf")
class CodeChain(DensityModel):
    """p(top) p(next | top) ... p(bottom | all above), of codes on L grids.

    The prior of a `HierarchicalVQVAE`. Values are dicts of codes by level, the
    top first. The levels are fitted one by one, each given the true codes
    above it: `density.fit(codes[level], context)` with the context of
    `context_of`; see the example.

    Args:
        densities: a density of codes for each level, the top first. All but
            the top's take the codes above them as context: a
            `ConditionalDensity(UpperCodes(...), density)`.

    Context: `{"global": one-hot classes [batch, C]}` for the densities that
    have `global_channels`, or None.

    Raises:
        ValueError: for fewer than two densities, and for values that are not
            dicts of all levels.

    Example:

    >>> chain = CodeChain([
    ...     PixelCNN(64, (4, 4), hidden_channels=16, num_layers=2),
    ...     ConditionalDensity(
    ...         UpperCodes(("top",), [64], [2], hidden_channels=16),
    ...         PixelCNN(
    ...             64, (8, 8), hidden_channels=16, num_layers=2,
    ...             local_channels=16,
    ...         ),
    ...     ),
    ... ])
    >>> codes = chain.sample(2, seed=0)
    >>> {name: tuple(grid.shape) for name, grid in codes.items()}
    {'top': (2, 4, 4), 'bottom': (2, 8, 8)}
    >>> chain.log_prob(codes).shape
    TensorShape([2])
    >>> bottom = chain.by_level()["bottom"]
    >>> bottom.compile("adam")
    >>> context = chain.context_of("bottom", codes)
    >>> history = bottom.fit(codes["bottom"], context, verbose=0)

    References:
        Razavi et al. 2019, arXiv:1906.00446, section 3.2 and algorithm 2.
    """

    parts = ("densities",)

    def __init__(
        self, densities: Sequence[DensityModel], **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        densities = list(densities) if isinstance(densities, Sequence) else []
        if len(densities) < 2:
            raise ValueError(
                "A CodeChain needs a list of two or more densities, the top "
                f"first. Received: {len(densities)}."
            )
        for density in densities:
            check_role(self, "densities", density, "density of codes")
        counts = {density.global_channels for density in densities} - {None}
        if len(counts) > 1:
            raise ValueError(
                "All densities of a CodeChain must have the same classes. "
                f"Received: global_channels of {sorted(counts)}."
            )
        self.densities = densities

    def by_level(self) -> dict[str, DensityModel]:
        """Returns the densities by level, the top first."""
        return code_levels.by_level(self.densities)

    @property
    def num_codes(self) -> dict[str, tuple[int, ...]]:
        """How many codes each codebook of a level has."""
        return {k: density.num_codes for k, density in self.by_level().items()}

    @property
    def event_shape(self) -> dict[str, tuple[int, ...]]:
        """The grid of each level."""
        found = self.by_level().items()
        return {name: density.event_shape for name, density in found}

    @property
    def global_channels(self) -> int | None:
        """Channels of the global context, None without one."""
        found = [density.global_channels for density in self.densities]
        return next((count for count in found if count is not None), None)

    @property
    def exact_log_prob(self) -> bool:
        """Whether `log_prob` is exact for every level."""
        return all(density.exact_log_prob for density in self.densities)

    def build(self, input_shape: Any = None) -> None:
        for density in self.densities:
            if not density.built:
                density.build()
        self.built = True

    def context_of(
        self, level: str, codes: Levels, context: dict | None = None
    ) -> dict | None:
        """Returns the context of a level's density.

        Args:
            level: its name.
            codes: of at least the levels above it.
            context: of the chain, or None.
        """
        densities = self.by_level()
        code_levels.check_levels("level", {level: None}, densities)
        names = list(densities)
        above = names[: names.index(level)]
        found = {name: codes[name] for name in above}
        known = densities[level].global_channels is not None
        if context and context.get("global") is not None and known:
            found["global"] = context["global"]
        return found or None

    def check_batch(self, batch: Any) -> None:
        levels, context, _ = unpack_batch(batch)
        densities = self.by_level()
        code_levels.check_all("Codes", levels, densities)
        for name, density in densities.items():
            own = self.context_of(name, levels, context)
            density.check_batch((levels[name], own))

    # The probability --------------------------------------------------------

    def call(
        self,
        value: Levels,
        context: dict[str, tf.Tensor] | None = None,
        mask: Levels | None = None,
        training: bool = False,
    ) -> tf.Tensor:
        return sum(self.log_probs(value, context, mask, training).values())

    def log_prob(
        self,
        value: Levels | dict[str, np.ndarray],
        context: dict[str, tf.Tensor] | None = None,
        mask: Levels | None = None,
        training: bool = False,
    ) -> tf.Tensor:
        """Returns the log-probability of all levels, float32 [batch] nats."""
        return super().log_prob(value, context, mask, training)

    def log_probs(
        self,
        value: Levels | dict[str, np.ndarray],
        context: dict[str, tf.Tensor] | None = None,
        mask: Levels | None = None,
        training: bool = False,
    ) -> Levels:
        """Returns the log-probability of each level given those above it.

        Args:
            value: codes of all levels.
            context: as in the class, or None.
            mask: masks of all levels, or None.
            training: whether to apply dropout.

        Returns:
            A dict of float32 [batch], in nats.
        """
        densities = self.by_level()
        code_levels.check_all("Codes", value, densities)
        return {
            name: density.log_prob(
                value[name],
                self.context_of(name, value, context),
                None if mask is None else mask[name],
                training,
            )
            for name, density in densities.items()
        }

    @takes_sampling
    def sample(
        self,
        num_samples: int | tf.Tensor | None = None,
        context: dict[str, tf.Tensor] | None = None,
        event_shape: dict[str, Sequence[int]] | None = None,
        sampling: Sampling | None = None,
    ) -> Levels:
        """Draws the codes of all levels, from the top down.

        Args:
            num_samples: by default the batch of context or given, else 1.
            context: as in the class, or None.
            event_shape: the grids by level; by default the densities' own.
            temperature, top_k, top_p: of every level.
            seed: an integer, or int32 [2].
            given: codes to complete, by level; levels may be missing.
            given_mask: bool by level, true where `given` is kept.

        Returns:
            A dict of int32 `[num_samples, *grid]`, or `[..., G]`.
        """
        sampling = sampling.checked()
        densities = self.by_level()
        given, masks = sampling.given or {}, sampling.given_mask or {}
        shapes = {} if event_shape is None else event_shape
        options = {"given": given, "given_mask": masks, "event_shape": shapes}
        for name, value in options.items():
            if not isinstance(value, dict) or value:
                code_levels.check_levels(name, value, densities)
        known = (context or {}).get("global")
        known = None if known is None else tf.convert_to_tensor(known)
        tensors = [known, *map(tf.convert_to_tensor, given.values())]
        count = resolve_num_samples(num_samples, tensors)
        codes = {}
        for i, (name, density) in enumerate(densities.items()):
            own = sampling._replace(
                seed=random.fold_in(sampling.seed, i),
                given=given.get(name),
                given_mask=masks.get(name),
            )
            codes[name] = density.sample(
                count,
                self.context_of(name, codes, context),
                shapes.get(name),
                **own._asdict(),
            )
        return codes

    def mode(self, context: dict[str, tf.Tensor] | None = None) -> Levels:
        """Returns a seeded sample, since the mode is intractable."""
        return self.sample(context=context, seed=0)

    def fit(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Raises RuntimeError: the levels are fitted one by one."""
        raise RuntimeError(
            "The levels of a CodeChain are fitted and evaluated one by one: "
            'density = chain.by_level()["bottom"]; density.fit(codes["bottom"],'
            ' chain.context_of("bottom", codes)). Received: a call of fit or '
            "evaluate."
        )

    evaluate = compute_losses = fit
