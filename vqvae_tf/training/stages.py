"""The stages of a run, and the order in which they are carried out."""

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
    """A model to fit, starting from its last checkpoint.

    Attributes:
        name: of the directories of its checkpoints and logs.
        model: the model, built.
        training: the recipe's section: steps, learning rate and so on.
        batches: as for `fitting.fit`.
        logged: the `pictures` of `fitting.fit`.
        optimizers: those of `fitting.fit`.
    """

    name: str
    model: keras.Model
    training: ConfigDict
    batches: Callable[..., tf.data.Dataset]
    logged: Callable[[], dict]
    optimizers: Callable[[ConfigDict], dict] | None = None

    def carry_out(self, workdir: pathlib.Path) -> None:
        """Fits the model; see `fitting.fit`."""
        fitting.fit(
            self.model,
            self.training,
            self.batches,
            workdir / self.name,
            self.logged,
            self.optimizers,
        )


@dataclasses.dataclass(frozen=True)
class Encoding:
    """Data that a trained model encodes once; see `cache.once`.

    Attributes:
        file: the name of the file in the run's directory.
        model: an autoencoder.
        encode: a function of a float32 copy of it that returns the arrays.
    """

    file: str
    model: keras.Model
    encode: Callable[[keras.Model], dict]

    def carry_out(self, workdir: pathlib.Path) -> dict:
        """Returns the arrays, encoding the data if there is no file yet."""
        return once(workdir / self.file, self.model, self.encode)


# Yields the steps of a run, is sent what each returns, and returns the trained
# model.
Steps = Generator[Stage | Encoding, dict | None, keras.Model]


def carry_out(
    steps: Steps, workdir: pathlib.Path, start: Callable[[], None]
) -> keras.Model:
    """Carries out the steps of a run.

    Args:
        steps: from a task's `stages`.
        workdir: the run's directory.
        start: called before the first step, once the data are open and the
            models built. A run that fails earlier leaves its directory as it
            is.

    Returns:
        The trained model.
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
    """What is known about a stage before its model is built.

    Attributes:
        name: the stage's name.
        section: the recipe's section of its training.
        text: the card's text about its training, a template of that section.
        keys: prefixes of the other keys that no earlier stage depends on.
        bound_by: stages whose checkpoints depend on the section and `keys`; by
            default the stage itself.
        is_used: whether a recipe has this stage.
        of_prior: whether the stage is left out without a prior.
    """

    name: str
    section: str
    text: str = "{steps} steps of {batch_size}"
    keys: tuple[str, ...] = ()
    bound_by: tuple[str, ...] = ()
    is_used: Callable[[ConfigDict], bool] = lambda config: True
    of_prior: bool = False

    def has_key(self, key: str) -> bool:
        """Returns whether a recipe's key belongs to this stage."""
        return key.startswith((f"{self.section}.", *self.keys))

    def has_begun(self, workdir: pathlib.Path) -> bool:
        """Returns whether any checkpoint depends on its keys."""
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
    of_prior=True,
)


def steps_text(config: ConfigDict, plans: tuple[Plan, ...]) -> str:
    """Returns the training steps of a recipe's stages, as text."""
    return "".join(
        _text(plan, config[plan.section].to_dict())
        for plan in plans
        if plan.is_used(config)
    )


def _text(plan, section):
    text = plan.text.format(**section)
    momentum = section.get("ema_momentum")
    if momentum is None:
        return text
    return f"{text} with averaged weights (momentum {momentum})"
