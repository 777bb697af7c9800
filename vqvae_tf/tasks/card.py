"""The model card of a trained recipe."""

import pathlib
import re
import shlex

from ml_collections import ConfigDict

from vqvae_tf import recipes, tasks
from vqvae_tf.data.decoding import RESIZE_FILTER
from vqvae_tf.evaluation.figures import table

_PRIOR_FIGURES = {
    "prior_bits_per_code",
    "prior_bound_bits_per_code",
    "global_prior_bits",
}


def describe(config: ConfigDict) -> dict:
    """Returns a recipe's kind and data section as plain JSON values."""
    description = {
        key: list(value) if isinstance(value, tuple) else value
        for key, value in config.data.items()
    }
    return {**description, "kind": recipes.kind(config)}


def resizing(description: dict) -> str | None:
    """Returns how pictures are resized, in words; None for speech.

    Args:
        description: a preset's `data`, as from `describe`.
    """
    if not (size := description.get("image_size")):
        return None
    return f"pictures of other sizes resized to {size} ({RESIZE_FILTER})"


def summary(config: ConfigDict, has_prior: bool) -> str:
    """Returns what the model is, in a sentence: the recipe's, if it has one."""
    own = _own_words(config).summary
    return own or tasks.of(config).summary(config, has_prior)


def _own_words(config):
    """Returns the recipe's `card` without words that describe another run.

    A recipe made from one of the zoo's may still contain that one's words.
    """
    notes = config.card.copy_and_resolve_references()
    if not recipes.is_built_in(config):
        zoo = [recipes.load_recipe(p).card for p in recipes.built_in().values()]
        for key, words in notes.items():
            if any(words == other[key] for other in zoo):
                notes[key] = ""
    return notes


def card(
    config: ConfigDict,
    figures: dict,
    steps: str,
    path: str | pathlib.Path | None = None,
    command: str | None = None,
    policy: str | None = None,
) -> str:
    """Writes the README.md of a preset.

    Args:
        config: the recipe. One of the zoo's, unchanged, gives the card of the
            built-in preset.
        figures: from `Task.measure`; a prior's figures tell that there is one.
        steps: the training steps of all stages, as text.
        path: the preset's folder, to load it from; by default the recipe's
            name.
        command: the command that trained it, without --workdir.
        policy: the dtype policy it was trained with; by default the recipe's,
            which the zoo's cards leave out.
    """
    options, built_in = config.data, recipes.is_built_in(config)
    name = config.name if built_in else str(path or config.name)
    rows = "\n".join(f"| {a} | {b} |" for a, b in table(figures))
    notes = _own_words(config)
    has_prior = not _PRIOR_FIGURES.isdisjoint(figures)
    task = tasks.of(config)
    words = notes.data
    # The zoo's recipes say so themselves where needed.
    if not built_in and (resized := resizing(describe(config))):
        words = f"{words} {resized[0].upper()}{resized[1:]}.".lstrip()
    text = f"""# {_title(config, built_in)}

{summary(config, has_prior)}

{task.shown(config, has_prior, built_in)}
## Use

```python
{task.use_text(name, config, has_prior)}
```

## Data

Trained on split `{options.train_split}` of {options.source}; figures are for
`{options.eval_split}` ({figures["examples"]} examples). {words}

## Figures

To measure them again: `vqvae-tf evaluate {shlex.quote(name)} --data_dir=DIR`

| figure on `{options.eval_split}` | value |
| --- | --- |
{rows}

## Training

{_training_text(config, steps, command, built_in, policy)} \
{notes.training}
"""
    if notes.limits:
        text += f"\n## Limits\n\n{notes.limits}\n"
    # Missing words leave spaces at line ends.
    return re.sub(" +$", "", text, flags=re.MULTILINE)


def _title(config, built_in):
    changed = not built_in and config.name in recipes.built_in()
    return f"{config.name}, changed" if changed else config.name


def _training_text(config, steps, command, built_in, policy):
    facts = f"seed {config.seed}, {steps}"
    if built_in:
        command = f"vqvae-tf train --config=zoo/recipes/{config.name}.py"
    elif policy is None:
        policy = config.dtype_policy
    if policy is not None:
        facts += f", dtype policy {policy}"
    if config.start is not None:
        facts += f", from the weights of {config.start}"
    if command is None:
        return f"S{facts.removeprefix('s')}."
    return f"`{command} --workdir=DIR`: {facts}."
