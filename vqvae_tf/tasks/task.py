"""A task: what a modality consists of."""

import dataclasses
import types
from collections.abc import Callable

from vqvae_tf.recipes.registry import Kind
from vqvae_tf.training.stages import Plan, Steps


@dataclasses.dataclass(frozen=True)
class Task:
    """Everything the package does with one kind of recipe.

    Attributes:
        kind: its recipes: keys, checks, and the models they build.
        plans: of its stages, the main one first.
        stages: `stages(config, data_dir, with_prior)`: the steps of a run, for
            `training.stages.carry_out`; without the prior, those before it.
        measure: `measure(model, description, data_dir, progress, rows)`: the
            figures of a model on held-out data; see `tasks.measure`.
        summary: `summary(config, has_prior)`: what the model is, a sentence.
        shown: `shown(config, has_prior, built_in)`: the part of a card about
            its pictures and recordings.
        use_text: `use_text(name, config, has_prior)`: example code, in Python.
        draw: `draw(model, config, data_dir)`: the card's files by name: uint8
            pictures `[height, width, channels]`, for .gif with a time axis
            first, for .wav (waveform, sample rate).
        data_keys: keys that a description needs to be measured on.
        has_rows: whether `measure` fills `rows`, so that two presets can be
            compared example by example.
    """

    kind: Kind
    plans: tuple[Plan, ...]
    stages: Callable[..., Steps]
    measure: Callable[..., dict]
    summary: Callable[..., str]
    shown: Callable[..., str]
    use_text: Callable[..., str]
    draw: Callable[..., dict]
    data_keys: tuple[str, ...] = ("source", "train_split", "eval_split")
    has_rows: bool = False

    @classmethod
    def from_modules(
        cls,
        recipe: types.ModuleType,
        training: types.ModuleType,
        figures: types.ModuleType,
        card: types.ModuleType,
        **options: object,
    ) -> "Task":
        """Returns the task of a folder's modules.

        Args:
            recipe, training, figures, card: the modules.
            options: `data_keys` and `has_rows`.
        """
        return cls(
            recipe.KIND,
            training.PLANS,
            training.stages,
            figures.measure,
            card.summary,
            card.shown,
            card.use_text,
            card.draw,
            **options,
        )
