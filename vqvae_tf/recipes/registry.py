"""The kinds of recipes, which tasks register."""

import dataclasses
import types
from collections.abc import Callable, Mapping

import keras
from ml_collections import ConfigDict


@dataclasses.dataclass(frozen=True)
class Kind:
    """What `recipes` knows about one kind of recipe.

    Attributes:
        name: as in `config.kind` and in a preset's metadata.
        defaults: returns a recipe of this kind with every key at its default.
        check: raises ValueError for errors that involve several keys.
        make_autoencoder: makes the first stage's model, without building its
            variables; None if a preset's is used.
        make_prior: makes the prior of a recipe whose `prior` has a name.
        is_of: whether an older recipe, which has no `kind`, is of this one.
        parts: its own sections that name a class, with the modules to look it
            up in.
        rules: a `recipes.rules.Rule` for each of its own keys, such as
            "data.window".
    """

    name: str
    defaults: Callable[[], ConfigDict]
    check: Callable[[ConfigDict], None]
    make_prior: Callable[[ConfigDict], keras.Model | None]
    make_autoencoder: Callable[[ConfigDict], keras.Model] | None = None
    is_of: Callable[[ConfigDict], bool] = lambda config: False
    parts: Mapping[str, tuple[types.ModuleType, ...]] = dataclasses.field(
        default_factory=dict
    )
    rules: Mapping[str, object] = dataclasses.field(default_factory=dict)


_KINDS: dict[str, Kind] = {}


def register(kind: Kind) -> Kind:
    """Adds a kind; for older recipes, `of` tries the latest kinds first."""
    _KINDS[kind.name] = kind
    return kind


def kinds() -> tuple[Kind, ...]:
    """Returns all kinds in the order of their registration."""
    return tuple(_KINDS.values())


def find(name: str) -> Kind:
    """Returns the kind with a name; raises ValueError if there is none."""
    if name not in _KINDS:
        raise ValueError(
            f"The recipe's kind must be one of {', '.join(_KINDS)}. Received: "
            f"{name!r}."
        )
    return _KINDS[name]


def of(config: ConfigDict) -> Kind:
    """Returns a recipe's kind; an older recipe's follows from its keys."""
    if (name := config.get("kind")) is not None:
        return find(name)
    return next(kind for kind in reversed(kinds()) if kind.is_of(config))


def rules() -> dict:
    """Returns the rules for the kinds' own keys."""
    return {key: rule for kind in kinds() for key, rule in kind.rules.items()}


def parts() -> dict[str, tuple[types.ModuleType, ...]]:
    """Returns the modules of the classes in the kinds' own sections."""
    return {key: found for k in kinds() for key, found in k.parts.items()}
