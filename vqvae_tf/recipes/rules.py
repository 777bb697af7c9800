"""Which values the keys of a recipe may have.

Classes check their arguments when they are made. These rules check what each
key alone can tell, before any data are opened or models built.
"""

import dataclasses
import math
import numbers
from collections.abc import Callable

import numpy as np
from ml_collections import ConfigDict

from vqvae_tf.recipes import registry
from vqvae_tf.recipes.files import RecipeError
from vqvae_tf.recipes.schema import CARD_SAMPLES


@dataclasses.dataclass(frozen=True)
class Rule:
    """What a value must be.

    Attributes:
        text: in words that follow "must be".
        holds: whether a value is valid.
    """

    text: str
    holds: Callable[[object], bool]

    def or_none(self) -> "Rule":
        """Returns a rule that also accepts None."""
        return Rule(
            f"{self.text}, or None", lambda v: v is None or self.holds(v)
        )

    def each(self) -> "Rule":
        """Returns a rule for lists of valid items."""
        return Rule(
            f"a list, each item {self.text}",
            lambda v: isinstance(v, list | tuple) and all(map(self.holds, v)),
        )

    def or_each(self) -> "Rule":
        """Returns a rule that also accepts lists of valid items."""
        each = self.each()
        return Rule(
            f"{self.text}, or {each.text}",
            lambda v: self.holds(v) or each.holds(v),
        )


def whole(low: int, high: int = 2**31 - 1) -> Rule:
    """Returns a rule for integers in [low, high], by default up to int32's."""

    def holds(value: object):
        is_whole = isinstance(value, numbers.Integral)
        return is_whole and not isinstance(value, bool) and low <= value <= high

    return Rule(f"an integer of at least {low} and at most {high}", holds)


def real(
    low: float | None = None,
    high: float | None = None,
    above: float | None = None,
    below: float | None = None,
) -> Rule:
    """Returns a rule for finite numbers within bounds.

    Since they are computed with in float32, numbers beyond its range are
    refused, as are subnormal ones, which become 0.
    """
    words = {"at least": low, "above": above, "at most": high, "below": below}
    said = [f"{k} {v}" for k, v in words.items() if v is not None]

    def holds(value: object):
        return (
            isinstance(value, numbers.Real)
            and not isinstance(value, bool)
            and _in_float32(value)
            and (low is None or value >= low)
            and (high is None or value <= high)
            and (above is None or value > above)
            and (below is None or value < below)
        )

    bounds = f"{_TINY:.2g} to {_LARGEST:.2g}"
    return Rule(
        f"a finite number of float32 ({bounds}) {' and '.join(said)}".rstrip(),
        holds,
    )


_TINY = float(np.finfo(np.float32).tiny)
_LARGEST = float(np.finfo(np.float32).max)


def _in_float32(value):
    # Compared, not converted: large integers do not fit into a float.
    return value == 0 or _TINY <= abs(value) <= _LARGEST


def one_of(*values: str) -> Rule:
    """Returns a rule for a choice of strings."""
    return Rule(
        f"one of {', '.join(map(repr, values))}",
        lambda value: isinstance(value, str) and value in values,
    )


FLAG = Rule("True or False", lambda value: isinstance(value, bool))
TEXT = Rule("a non-empty string", lambda v: isinstance(v, str) and bool(v))
SIZE, COUNT, _SHARE = whole(1), whole(0), real(0, 1)

_TRAINING = {
    "steps": SIZE,
    "batch_size": SIZE,
    "crop_size": SIZE.or_none(),
    "learning_rate": real(above=0),
    "warmup_steps": COUNT,
    "final_learning_rate": real(0),
    "clip_norm": real(above=0).or_none(),
    "weight_decay": real(0).or_none(),
    "ema_momentum": real(above=0, below=1).or_none(),
    "steps_per_epoch": SIZE,
    "checkpoint_minutes": real(0),
    "encode_passes": SIZE,
}
_DATA = {
    "source": TEXT,
    "train_split": TEXT,
    "eval_split": TEXT,
    "on_corrupt": one_of("error", "skip"),
}
# Keys of recipes of all kinds, by their full names.
_KEYS = {
    "name": TEXT,
    "seed": whole(0, 2**31 - 1),
    "base": TEXT.or_none(),
    "start": TEXT.or_none(),
    "card.samples": one_of(*CARD_SAMPLES),
    **{f"data.{key}": rule for key, rule in _DATA.items()},
}


def of_training(section: str) -> dict[str, Rule]:
    """Returns the rules for a stage's section, by the keys' full names."""
    return {f"{section}.{key}": rule for key, rule in _TRAINING.items()}


_MAY_BE_NONE = (
    "channels residual_channels global_channels local_channels num_actions "
    "action_size restart_after num_quantizers num_groups codebook_dim"
).split()
# Arguments of the parts' classes, by the last word of the key.
_ARGUMENTS = {
    **dict.fromkeys(
        "num_codebooks num_values num_components num_levels "
        "num_past num_mels num_probes num_samples num_stacks num_layers "
        "embedding_dim output_channels hidden_channels head_channels "
        "skip_channels picture_size grid_size kernel_size first_kernel_size "
        "layers_per_stack local_upsampling local_repeat window hop k rank "
        "capacity_steps projected_channels beam_size "
        "accumulation_steps".split(),
        SIZE,
    ),
    # A list has one number for each codebook.
    "num_embeddings": SIZE.or_each(),
    **dict.fromkeys(_MAY_BE_NONE, SIZE.or_none()),
    **dict.fromkeys(
        "num_downsamples num_upsamples num_residual_layers "
        "local_layers".split(),
        COUNT,
    ),
    **dict.fromkeys(
        "event_shape latent_sizes dilation_rates".split(), SIZE.each()
    ),
    "hidden_units": SIZE.or_each(),
    "stage_channels": SIZE.each().or_none(),
    **dict.fromkeys("decay dropout action_dropout rate".split(), _SHARE),
    **dict.fromkeys("commitment_cost weight beta stddev".split(), real(0)),
    "rho": real(above=0, below=1),
    "momentum": real(0, below=1),
    **dict.fromkeys(
        "initial_scale min_scale floor test_factor".split(), real(above=0)
    ),
    "capacity": real(0).or_none(),
    "restart_below": real(above=0).or_none(),
    **dict.fromkeys(
        "batch_norm initialize_from_data shared_codebook shared".split(), FLAG
    ),
}
_FINITE = Rule("finite", math.isfinite)


def _keys():
    return _KEYS | registry.rules()


def may_be_none(key: str) -> bool:
    """Returns whether a key, such as "data.num_classes", may be None."""
    rule = _keys().get(key, _ARGUMENTS.get(key.rpartition(".")[2]))
    return rule is not None and rule.holds(None)


def plain(value: object) -> object:
    """Returns a value with NumPy's numbers converted to Python's."""
    if isinstance(value, np.generic):
        return value.item()
    if type(value) in (list, tuple):
        return type(value)(map(plain, value))
    return value


def make_plain(section: ConfigDict) -> None:
    """Converts NumPy's numbers to Python's, in all sections."""
    for key in section.keys():
        value = section[key]
        if isinstance(value, ConfigDict):
            make_plain(value)
        elif _has_numpy(value):
            with section.unlocked(), section.ignore_type():
                section[key] = plain(value)


def _has_numpy(value):
    if isinstance(value, list | tuple):
        return any(map(_has_numpy, value))
    return isinstance(value, np.generic)


_ADVICE = "Start from recipes.defaults() and change its values."


def check_sections(config: ConfigDict, known: ConfigDict) -> None:
    """Raises RecipeError unless a recipe has all known sections and keys."""
    for name, expected in known.items():
        is_section = isinstance(expected, ConfigDict)
        found = config.get(name)
        if name not in config or (
            is_section and not isinstance(found, ConfigDict)
        ):
            what = "a section of keys" if is_section else "a key"
            raise RecipeError(
                f"The recipe's {name} must be {what}. Received: "
                f"{type(found).__name__}. {_ADVICE}"
            )
        if is_section and "name" in expected and "name" not in found:
            raise RecipeError(
                f"The recipe's {name} must have a `name`, a class or None. "
                f"Received: {', '.join(found.keys()) or 'no keys'}."
            )
        if is_section:
            _check_complete(name, found, expected)
        elif isinstance(found, ConfigDict):
            _refuse_section(name, found)


def _check_complete(section, found, expected):
    """Raises RecipeError if a section lacks keys or contains a section."""
    if missing := [key for key in expected if key not in found]:
        raise RecipeError(
            f"The recipe's {section} lacks {', '.join(missing)}. {_ADVICE}"
        )
    for key in expected:
        if isinstance(found[key], ConfigDict):
            _refuse_section(f"{section}.{key}", found[key])


def _refuse_section(key, found):
    raise RecipeError(
        f"The recipe's {key} must be a single value, not a section. Received: "
        f"{key}={found.to_dict()!r}."
    )


def check_values(config: ConfigDict, parts: list[str]) -> None:
    """Raises ValueError if a key has an invalid value.

    Args:
        config: a recipe.
        parts: the sections that hold arguments of classes. Those that name no
            class are unused, and not checked.
    """
    known = _keys()
    for key, value in _flat(config):
        section, _, last = key.rpartition(".")
        rule = known.get(key)
        if section in parts:
            if config[section].get("name") is None:
                continue
            rule = _ARGUMENTS.get(last)
        if rule is None and isinstance(value, float):
            rule = _FINITE
        if rule is not None and not rule.holds(value):
            if isinstance(value, ConfigDict):
                value = value.to_dict()
            raise ValueError(
                f"The recipe's {key} must be {rule.text}. Received: "
                f"{key}={value!r}."
            )


def _flat(section, prefix=""):
    """Yields the keys of all sections, joined by dots, and their values.

    A section within a section is yielded as a value, too.
    """
    for key in section.keys():
        value = section[key]
        if prefix or not isinstance(value, ConfigDict):
            yield f"{prefix}{key}", value
        if isinstance(value, ConfigDict):
            yield from _flat(value, f"{prefix}{key}.")
