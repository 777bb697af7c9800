"""Random inputs, most of them odd, and what may come of them.

A subject is a function of a `Draw` that makes up one input, gives it to the
package and returns what it got. Either that is sound (no NaN, codes in their
range), or the package refused the input with an explained error: one that says
what was received or expected.
"""

import collections
import os
import re
import traceback

import keras
import numpy as np
import tensorflow as tf

from vqvae_tf.presets import PresetError

# Another seed tries other inputs: VQVAE_TF_RANDOM_INPUTS=7 make test-slow
SEED = int(os.environ.get("VQVAE_TF_RANDOM_INPUTS", "0"))

_EXPLAINS = re.compile(
    r"received|expected|must|there is no|no such|not found|needs|unknown|"
    r"cannot|can not|is not|are not|has no|have no|not valid|damaged|refused",
    re.IGNORECASE,
)

ODD_NUMBERS = (
    0,
    -1,
    2.5,
    True,
    None,
    float("nan"),
    float("inf"),
    -float("inf"),
    10**6 + 1,
    2**31,
    2**32 + 3,
    2**63,
    -(2**40),
    1e300,
    1e-300,
    "3",
    "nonsense",
    "",
    b"3",
    (),
    [1, 2],
    {},
    object(),
)


class Draw:
    """Choices of one attempt, written down for the report.

    Args:
        kind: the subject's name.
        number: that of the attempt.
    """

    def __init__(self, kind, number):
        self.rng = np.random.default_rng([SEED, number, *kind.encode()])
        self.choices = []

    def one_of(self, *options):
        choice = options[self.rng.integers(len(options))]
        self.choices.append(choice)
        return choice

    def chance(self, share):
        return self.rng.random() < share

    def integer(self, low, high):
        number = int(self.rng.integers(low, high + 1))
        self.choices.append(number)
        return number

    def number(self, *good, odd=0.4, of=ODD_NUMBERS):
        """One of the good values, as some type of number, or an odd one."""
        if self.chance(odd):
            value = self.one_of(*of)
        else:
            value = self.one_of(*good)
        return self._as_some_type(value)

    def _as_some_type(self, value):
        if isinstance(value, bool) or not isinstance(value, int | float):
            return value
        types = [lambda x: x] * 3 + [np.float32, np.float64, np.array]
        if isinstance(value, int) and -(2**31) <= value < 2**31:
            types += [np.int32, np.int64, tf.constant]
        elif isinstance(value, float):
            types += [tf.constant]
        elif value < 2**63:
            types += [np.int64]
        else:
            types += [np.uint64]
        change = types[self.rng.integers(len(types))]
        try:
            with np.errstate(over="ignore"):
                changed = change(value)
        except (OverflowError, ValueError):
            return value
        self.choices.append(type(changed).__name__)
        return changed

    def array(self, shape, low=-2.0, high=2.0, odd=0.5, usual="float32"):
        """An array of about that shape: of odd rank, dtype or values."""
        shape = self._odd_shape(list(shape)) if self.chance(odd) else shape
        values = self.rng.uniform(low, high, shape)
        dtype = usual
        if self.chance(odd):
            dtype = self.one_of(
                "float16",
                "float32",
                "float64",
                "int32",
                "int64",
                "uint8",
                "bool",
            )
        with np.errstate(invalid="ignore", over="ignore"):
            values = np.asarray(values).astype(dtype)
        if self.chance(odd) and values.size and values.dtype.kind == "f":
            place = self.rng.integers(values.size)
            special = (np.nan, np.inf, -np.inf, 6e4, -6e4, 0, 1e-30, 1e30)
            with np.errstate(over="ignore"):
                values.flat[place] = self.one_of(*special)
        self.choices.append((values.dtype.name, values.shape))
        return values

    def _odd_shape(self, shape):
        change = self.one_of("cut", "more", "empty", "other", "scalar")
        place = int(self.rng.integers(len(shape))) if shape else 0
        if change == "cut":
            del shape[place : place + 1]
        elif change == "more":
            shape.insert(place, int(self.rng.integers(1, 4)))
        elif change == "empty" and shape:
            shape[place] = 0
        elif change == "other" and shape:
            shape[place] += int(self.rng.integers(1, 4))
        elif change == "scalar":
            shape = []
        return shape


def attempt(subject, draw):
    """Returns "answered" or "refused", or what went wrong, in one line."""
    try:
        result = subject(draw)
    except Exception as error:
        if _is_explained(error):
            return "refused"
        frame = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{os.path.basename(frame.filename)}:{frame.lineno}"
        line = " ".join(str(error).split())[:160]
        return f"{type(error).__name__} in {where}: {line}"
    return _unsound(result) or "answered"


def _is_explained(error):
    if isinstance(error, PresetError):
        return True
    kinds = (ValueError, OSError)
    return isinstance(error, kinds) and bool(_EXPLAINS.search(str(error)))


def _unsound(result):
    for value in keras.tree.flatten(result):
        values = np.asarray(value)
        if values.dtype.kind == "f" and np.isnan(values).any():
            return f"a silent NaN in {values.dtype} of shape {values.shape}"
    return None


def run(kind, subject, count):
    """Gives a subject so many inputs, prints how it went, asserts that well.

    Args:
        kind: its name.
        subject: a function of a `Draw`.
        count: how many inputs.
    """
    outcomes, faults = collections.Counter(), {}
    for number in range(count):
        draw = Draw(kind, number)
        outcome = attempt(subject, draw)
        outcomes[outcome] += 1
        if outcome not in ("answered", "refused"):
            faults.setdefault(outcome, (number, draw.choices))
    print(
        f"{kind}: {count} inputs, {outcomes['answered']} answered, "
        f"{outcomes['refused']} refused with a reason, "
        f"{count - outcomes['answered'] - outcomes['refused']} faults"
    )
    report = [
        f"{outcomes[text]} x {text}\n    first: number {number}, {choices}"
        for text, (number, choices) in faults.items()
    ]
    assert not faults, "\n".join([f"{kind}:", *report])
    # Neither all refused nor all taken: the inputs are worth trying.
    assert outcomes["answered"] > count // 50
    assert outcomes["refused"] > count // 50
