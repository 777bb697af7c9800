"""The options of samplers: temperature, filters, seed and given values."""

import functools
import inspect
from collections.abc import Callable
from typing import Any, NamedTuple

import tensorflow as tf

from vqvae_tf.densities.filtering import filter_logits
from vqvae_tf.runtime import random
from vqvae_tf.utils import tensor_checks


class Sampling(NamedTuple):
    """The options of a sampler, as one immutable value.

    Every `sample` takes them one by one, or together as `sampling=`.

    Attributes:
        temperature: divides logits and scales spreads: a finite number of at
            least 0, or a float32 scalar tensor; 0 draws the most probable.
        top_k: None, or an integer of at least 1: only the k most probable
            codes are drawn.
        top_p: None, or a probability in (0, 1]: only the fewest codes with
            this total probability are drawn.
        seed: an integer, int32 scalar or int32 [2]; None for a new one.
        given: data to complete, like the density's values; or None.
        given_mask: bool `[batch, *grid]`, true where `given` is kept; or None.

    Example:

    >>> cool = Sampling(temperature=0.5, top_p=0.9)
    >>> prior = PixelCNN(8, (2, 2), hidden_channels=8, num_layers=1)
    >>> prior.sample(3, sampling=cool._replace(seed=1)).shape
    TensorShape([3, 2, 2])
    """

    temperature: float | tf.Tensor = 1.0
    top_k: int | tf.Tensor | None = None
    top_p: float | tf.Tensor | None = None
    seed: int | tf.Tensor | None = None
    given: Any = None
    given_mask: Any = None

    def checked(self) -> "Sampling":
        """Returns checked options, with a seed int32 [2].

        Known numbers stay Python numbers; tensors of a graph get assertions.
        The density checks `given` and `given_mask`.

        Raises:
            ValueError: for options out of range, and for one of `given` and
                `given_mask` without the other.
        """
        if (self.given is None) != (self.given_mask is None):
            raise ValueError(
                "given and given_mask go together. Received: "
                f"given={'None' if self.given is None else 'data'}, "
                "given_mask="
                f"{'None' if self.given_mask is None else 'a mask'}."
            )
        return self._replace(
            temperature=tensor_checks.temperature(self.temperature),
            top_k=tensor_checks.top_k(self.top_k),
            top_p=tensor_checks.top_p(self.top_p),
            seed=random.make_seed(self.seed),
        )

    @property
    def is_filtered(self) -> bool:
        """Whether some codes may not be drawn."""
        return self.top_k is not None or self.top_p is not None

    def as_tensors(self, size: int) -> "Sampling":
        """Returns checked options as tensors, so that one graph serves all.

        Without top_k and top_p both stay None, and the graph needs no sort;
        otherwise a missing one is set to keep all codes.

        Args:
            size: K, the number of values of a code.
        """
        top_k, top_p = self.top_k, self.top_p
        if self.is_filtered:
            top_k = tf.cast(size if top_k is None else top_k, tf.int32)
            top_p = tf.cast(1.0 if top_p is None else top_p, tf.float32)
        return self._replace(
            temperature=tf.cast(self.temperature, tf.float32),
            top_k=top_k,
            top_p=top_p,
        )

    def choose(self, logits: tf.Tensor, *place: int | tf.Tensor) -> tf.Tensor:
        """Draws codes from logits.

        Args:
            logits: float32 `[batch, K]`.
            place: int32 scalars that identify this draw of the seed.

        Returns:
            int32 `[batch]`.
        """
        logits = filter_logits(logits, self.temperature, self.top_k, self.top_p)
        seed = functools.reduce(random.fold_in, place, self.seed)
        return random.categorical(logits, seed, self.temperature)


def takes_sampling(method: Callable) -> Callable:
    """Lets callers pass the fields of a method's `sampling` one by one.

    The method's argument `sampling` is replaced by the fields of `Sampling`,
    in their order; `sampling` itself becomes keyword-only.

    Raises:
        ValueError: from the method, for both `sampling` and single options.
    """
    signature, hints = inspect.signature(method), Sampling.__annotations__
    shown = []
    for name, parameter in signature.parameters.items():
        if name != "sampling":
            shown.append(parameter)
            continue
        shown += [
            parameter.replace(
                name=option, default=default, annotation=hints[option]
            )
            for option, default in Sampling._field_defaults.items()
        ]
    whole = signature.parameters["sampling"]
    keyword = inspect.Parameter.KEYWORD_ONLY
    shown.append(whole.replace(kind=keyword, default=None))
    shown = signature.replace(parameters=shown)

    @functools.wraps(method)
    def call(*args, **kwargs):
        arguments = shown.bind(*args, **kwargs).arguments
        options = {
            name: arguments.pop(name)
            for name in Sampling._fields
            if name in arguments
        }
        sampling = arguments.pop("sampling", None)
        if sampling is not None and options:
            raise ValueError(
                "Pass sampling options one by one, or together as sampling. "
                f"Received: sampling and {', '.join(options)}."
            )
        if sampling is None:
            sampling = Sampling(**options)
        return method(**arguments, sampling=sampling)

    call.__signature__ = shown
    return call
