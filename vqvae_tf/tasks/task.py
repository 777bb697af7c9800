"""What a modality is: the parts of a task, each a function of its folder."""

import dataclasses
from collections.abc import Callable, Generator

from vqvae_tf.recipes.registry import Kind
from vqvae_tf.training.stages import Plan


@dataclasses.dataclass(frozen=True)
class Task:
    """All that the package does for one kind of recipe.

    Attributes:
        kind: its recipes: keys, checks, and the models they build.
        plans: of its stages, the main one first.
        stages: `stages(config, data_dir, with_prior)`, a generator of steps
            for `training.stages.carry_out` that returns the trained model;
            without a prior it ends before that.
        measure: `measure(model, description, data_dir, progress, rows)`: the
            figures of a model on held-out data. `description` is the data
            section of a recipe, or of a preset's metadata; `rows`, a dict,
            gets values by example where there are any.
        summary: `summary(config, has_prior)`: what the model is, a sentence.
        shown: `shown(config, has_prior, built_in)`: the part of a card about
            its pictures and recordings.
        use_text: `use_text(name, config, has_prior)`: Python code.
        draw: `draw(model, config, data_dir)`: the card's files by name: uint8
            pictures `[height, width, channels]`, for .gif with a time axis
            first, for .wav (waveform, sample rate).
        data_keys: keys that a description must have to be measured.
        has_rows: whether `measure` gives values by example, which two presets
            can be compared by.
    """

    kind: Kind
    plans: tuple[Plan, ...]
    stages: Callable[..., Generator]
    measure: Callable[..., dict]
    summary: Callable[..., str]
    shown: Callable[..., str]
    use_text: Callable[..., str]
    draw: Callable[..., dict]
    data_keys: tuple[str, ...] = ("source", "train_split", "eval_split")
    has_rows: bool = False
