"""How samplers draw: temperature, filters, seed, and what is given."""

import functools
import inspect
import typing

import tensorflow as tf

from vqvae_tf.densities.filtering import filter_logits
from vqvae_tf.runtime import random
from vqvae_tf.utils import tensor_checks


class Sampling(typing.NamedTuple):
    """The options of a sampler, as one immutable value.

    Every `sample` takes them one by one, or together as `sampling=`.

    Attributes:
        temperature: divides logits and scales spreads: a finite number of at
            least 0, or a float32 scalar tensor; 0 draws the most probable.
        top_k: None, or the number of most probable codes to draw from, an
            integer of at least 1.
        top_p: None, or the probability in (0, 1] that the codes to draw from
            have together (the fewest that do).
        seed: an integer, int32 scalar or int32 [2]; None for a new one.
        given: data to complete, as the density's values; or None.
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
    given: typing.Any = None
    given_mask: typing.Any = None

    def checked(self) -> "Sampling":
        """Returns the options, checked, with a seed int32 [2].

        Numbers that are known stay Python numbers; tensors of a graph depend
        on assertions. What is given is for the density to check.

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
        """Returns checked options as tensors: one graph serves all of them.

        Args:
            size: K, which as `top_k` keeps all codes. Without any filter both
                stay None, so that the graph has no sort.
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

    def choose(self, logits, *place) -> tf.Tensor:
        """Draws codes from logits.

        Args:
            logits: float32 `[batch, K]`.
            place: int32 scalars that say which draw of the seed this is.

        Returns:
            int32 `[batch]`.
        """
        logits = filter_logits(logits, self.temperature, self.top_k, self.top_p)
        seed = functools.reduce(random.fold_in, place, self.seed)
        return random.categorical(logits, seed, self.temperature)


def takes_sampling(method):
    """Lets callers give the options of a method's `sampling` one by one.

    The method has an argument `sampling`. In its place callers see those of
    `Sampling` in their order, and `sampling` itself, by keyword.

    Raises:
        ValueError: of the method, for `sampling` and single options at once.
    """
    signature = inspect.signature(method)
    shown = []
    for name, parameter in signature.parameters.items():
        if name != "sampling":
            shown.append(parameter)
            continue
        shown += [
            parameter.replace(name=option, default=default)
            for option, default in Sampling._field_defaults.items()
        ]
    whole = inspect.Parameter("sampling", inspect.Parameter.KEYWORD_ONLY)
    shown.append(whole.replace(default=None))
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
                "Options of a sampler are given one by one, or together as "
                f"sampling. Received: sampling and {', '.join(options)}."
            )
        if sampling is None:
            sampling = Sampling(**options)
        return method(**arguments, sampling=sampling)

    call.__signature__ = shown
    return call
