"""The stages of a run: what is fitted, one after the other, and when."""

import dataclasses
import pathlib
from collections.abc import Callable, Generator

import keras
import tensorflow as tf
from ml_collections import ConfigDict

from vqvae_tf.training import fitting
from vqvae_tf.training.cache import once


@dataclasses.dataclass(frozen=True)
class Stage:
    """A model to fit, from its last checkpoint on.

    Attributes:
        name: of the directories of its checkpoints and its logs.
        model: the model, built.
        training: the recipe's section: steps, learning rate and so on.
        batches: as of `fitting.fit`.
        logged: a function that returns pictures and numbers, called at each
            epoch's end.
    """

    name: str
    model: keras.Model
    training: ConfigDict
    batches: Callable[..., tf.data.Dataset]
    logged: Callable[[], dict]

    def carry_out(self, workdir: pathlib.Path) -> None:
        """Fits the model; see `fitting.fit`."""
        fitting.fit(
            self.model,
            self.training,
            self.batches,
            workdir / self.name,
            self.logged,
        )


@dataclasses.dataclass(frozen=True)
class Encoding:
    """Data to encode by a trained model, once; the arrays are kept in a file.

    Attributes:
        file: its name, in the run's directory.
        model: an autoencoder.
        encode: a function of a float32 copy of it that returns the arrays.
    """

    file: str
    model: keras.Model
    encode: Callable[[keras.Model], dict]

    def carry_out(self, workdir: pathlib.Path) -> dict:
        """Returns the arrays."""
        return once(workdir / self.file, self.model, self.encode)


# What a task's `stages` is: it yields steps, is sent what each gives, and
# returns the trained model.
Steps = Generator[Stage | Encoding, dict | None, keras.Model]


def carry_out(
    steps: Steps, workdir: pathlib.Path, start: Callable[[], None]
) -> keras.Model:
    """Carries out a run step by step.

    Args:
        steps: a generator that yields a `Stage` or an `Encoding`, is sent
            what that gives, and returns the trained model.
        workdir: the run's directory.
        start: called once the first step is there: data are open, and models
            are made. A run that cannot start leaves its directory as it is.

    Returns:
        What the generator returns.
    """
    try:
        step = next(steps)
        start()
        while True:
            step = steps.send(step.carry_out(workdir))
    except StopIteration as end:
        return end.value


@dataclasses.dataclass(frozen=True)
class Plan:
    """What is known of a stage before it is made.

    Attributes:
        name: the stage's name.
        section: the recipe's section of its training.
        text: how a card tells what it took, of the keys of that section.
        keys: beginnings of the other keys that matter to no stage before.
        bound_by: stages whose checkpoints bind these keys, and the section:
            by default its own.
        is_used: whether a recipe has this stage.
    """

    name: str
    section: str
    text: str = "{steps} steps of {batch_size}"
    keys: tuple[str, ...] = ()
    bound_by: tuple[str, ...] = ()
    is_used: Callable[[ConfigDict], bool] = lambda config: True

    def has_key(self, key: str) -> bool:
        """Returns whether a recipe's key is of this stage."""
        return key.startswith((f"{self.section}.", *self.keys))

    def has_begun(self, workdir: pathlib.Path) -> bool:
        """Returns whether there are checkpoints that depend on its keys."""
        return any(
            any((workdir / name).glob("ckpt-*.index"))
            for name in self.bound_by or (self.name,)
        )


# The last stage of tasks that have a prior over codes.
PRIOR = Plan(
    "prior",
    "prior_training",
    ", the prior {steps} of {batch_size}",
    keys=("prior.", "marginals"),
)


def steps_text(config: ConfigDict, plans: tuple[Plan, ...]) -> str:
    """Returns what the stages of a recipe took, as text for its card."""
    return "".join(
        plan.text.format(**config[plan.section].to_dict())
        for plan in plans
        if plan.is_used(config)
    )
