"""The kinds of recipes that there are: each task registers its own."""

import dataclasses
import types
from collections.abc import Callable, Mapping

from ml_collections import ConfigDict


@dataclasses.dataclass(frozen=True)
class Kind:
    """What `recipes` knows of the recipes of one task.

    Attributes:
        name: as it stands in `config.kind`, and in a preset's metadata.
        defaults: returns a recipe of this kind with every key at its default.
        check: raises ValueError for what single keys cannot tell.
        make_autoencoder: builds the model of the first stage, not yet its
            variables; None where a preset's is used.
        make_prior: builds the prior of a recipe whose `prior` has a name.
        is_of: whether a recipe that does not say its kind, as older ones, is
            of this one.
        parts: sections that name a class, with the modules to look it up in,
            beyond those in `recipes.classes`.
        rules: a `recipes.rules.Rule` for each key of its own, "data.window".
    """

    name: str
    defaults: Callable[[], ConfigDict]
    check: Callable[[ConfigDict], None]
    make_prior: Callable
    make_autoencoder: Callable | None = None
    is_of: Callable[[ConfigDict], bool] = lambda config: False
    parts: Mapping[str, tuple[types.ModuleType, ...]] = dataclasses.field(
        default_factory=dict
    )
    rules: Mapping[str, object] = dataclasses.field(default_factory=dict)


_KINDS: dict[str, Kind] = {}


def register(kind: Kind) -> Kind:
    """Adds a kind; those of later ones are asked first by `of`."""
    _KINDS[kind.name] = kind
    return kind


def kinds() -> tuple[Kind, ...]:
    """Returns all kinds, in the order in which they were registered."""
    return tuple(_KINDS.values())


def find(name: str) -> Kind:
    """Returns the kind of this name.

    Raises:
        ValueError: if there is none.
    """
    if name not in _KINDS:
        raise ValueError(
            f"The recipe's kind must be one of {', '.join(_KINDS)}. Received: "
            f"{name!r}."
        )
    return _KINDS[name]


def of(config: ConfigDict) -> Kind:
    """Returns the kind of a recipe: what it says, or what its keys tell."""
    name = config.get("kind")
    if name is not None:
        return find(name)
    return next(kind for kind in reversed(kinds()) if kind.is_of(config))


def rules() -> dict:
    """Returns the rules that all kinds have for keys of their own."""
    return {key: rule for kind in kinds() for key, rule in kind.rules.items()}


def parts() -> dict[str, tuple[types.ModuleType, ...]]:
    """Returns where the classes of the kinds' own sections are."""
    return {key: found for k in kinds() for key, found in k.parts.items()}
