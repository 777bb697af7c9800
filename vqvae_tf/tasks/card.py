"""From a trained recipe to a preset: figures, model card, sample sheets."""

import re
import shlex

import numpy as np

from vqvae_tf import data, recipes, tasks as systems
from vqvae_tf.data.decoding import RESIZE_FILTER
from vqvae_tf.evaluation.figures import table
from vqvae_tf.media import sheets
from vqvae_tf.models import Autoencoder
from vqvae_tf.samples.clips import ACTIONS
from vqvae_tf.tasks.pictures import (
    autoencoders as family_cards,
    sheets as previews,
)
from vqvae_tf.tasks.speech import card as speech_cards
from vqvae_tf.utils.checks import check_labels, check_positive

_PRIOR_FIGURES = {"prior_bits_per_code", "global_prior_bits"}

# What a preset's metadata say of the data that its figures are of.
DATA_KEYS = ("source", "train_split", "eval_split", "image_size", "num_classes")


def measure(
    model, description, data_dir=None, progress=True, rows=None
) -> dict:
    """Measures a model on the held-out split of `description`.

    Args:
        model: what `training.train` returned.
        description: from `describe`.
        data_dir: where the data lies.
        progress: show progress bars.
        rows: a dict that gets the bounds of each picture, in bits/dim, by
            the names of their means; what is not of pictures gives none.

    Returns:
        Some of `figure_table.FIGURES`, and `examples`.
    """
    kind = description.get("kind", "pictures")
    options = {"rows": rows} if kind == "pictures" else {}
    return systems.BY_KIND[kind].measure(
        model, description, data_dir, progress, **options
    )


def describe(config) -> dict:
    """Returns a recipe's kind and data section as plain JSON values."""
    description = config.data.to_dict()
    if description["resize_range"] is not None:
        description["resize_range"] = list(description["resize_range"])
    return {**description, "kind": recipes.kind(config)}


def resizing(description) -> str | None:
    """Returns how pictures get their size, in words; None for speech.

    Args:
        description: a preset's `data`, as from `describe`.
    """
    if description.get("kind") == "speech" or not description.get("image_size"):
        return None
    size = description["image_size"]
    return f"pictures of other sizes resized to {size} ({RESIZE_FILTER})"


def reconstruction_sheet(model, images):
    """Pictures, each above its reconstruction; see `previews.rows`."""
    rows = previews.rows(model, images)
    return _readable(sheets.stacked(rows, columns=6), images.shape[1])


def _readable(sheet, image_size):
    """Enlarges a sheet of pictures below 64 pixels."""
    return sheets.enlarge(sheet, max(1, 64 // image_size))


def sample_sheet(generator, count=None, seed=0, label=None, **options):
    """A sheet of samples; with classes one column for each, or one class.

    Args:
        generator: a `LatentGenerator`, or an `Autoencoder` with a prior.
        count: how many; by default 16, or 4 of each class.
        seed: as of its `sample`, like `options`.
        label: the class to draw, or None for all.

    Returns:
        uint8 `[height, width, channels]`.
    """
    if count is not None:
        count = check_positive("count", count)
    if isinstance(generator, Autoencoder):
        draws = generator.sample(count or 16, seed=seed, **options)
        return _readable(sheets.grid(draws), draws.shape[1])
    classes = generator.prior.global_channels
    columns, context = None, None
    if classes is None or label is not None:
        count = count or 16
    else:
        columns = min(classes, 10)
        count = count or 4 * columns
    if classes is not None:
        labels = np.arange(count) % classes
        if label is not None:
            labels = np.full(count, check_labels("label", label, classes))
        context = {"global": data.one_hot(labels, classes)}
    draws = generator.sample(count, context=context, seed=seed, **options)
    return _readable(sheets.grid(draws, columns), draws.shape[1])


def summary(config, has_prior) -> str:
    """Returns what the model is, in the recipe's words where they hold."""
    if words := _own_words(config).summary:
        return words
    if recipes.kind(config) == "speech":
        return speech_cards.summary(config, has_prior)
    if config.bottleneck.name is not None:
        return family_cards.summary(config)
    size = config.data.image_size
    kind = recipes.kind(config)
    grey = "grey " if config.data.channels == 1 else ""
    if kind == "video":
        return (
            f"A prior of the next {size}x{size} frame's codes given those of "
            f"{config.context.num_past}, over the codes of {config.base}."
        )
    prior = f", with a {config.prior.name} prior" if has_prior else ""
    if kind == "codes":
        return (
            f"A VQ-VAE of the code maps of {config.base}: "
            f"{config.quantizer.get('num_codebooks', 1)} codes of "
            f"K={config.quantizer.num_embeddings} for a frame{prior}."
        )
    return (
        f"A VQ-VAE of {size}x{size} {grey}pictures with "
        f"K={config.quantizer.num_embeddings} codes{prior}."
    )


def _own_words(config):
    """Returns the recipe's `card` without words that tell of another run.

    A recipe that was made from one of the zoo may have its words still.
    """
    notes = config.card.copy_and_resolve_references()
    if not recipes.is_built_in(config):
        zoo = [recipes.load_recipe(p).card for p in recipes.built_in().values()]
        for key, words in notes.items():
            if any(words == other[key] for other in zoo):
                notes[key] = ""
    return notes


def card(config, figures, steps, path=None, command=None, policy=None) -> str:
    """Writes the README.md of a preset.

    Args:
        config: the recipe. Where it is one of the zoo's, unchanged, the card
            is that of the built-in preset.
        figures: from `measure`; those of a prior say that there is one.
        steps: what training took, as text.
        path: the preset's folder, to load it by; by default the recipe's name.
        command: the command that trained it, without --workdir.
        policy: the dtype policy that it was trained in; by default that of the
            recipe, which a card of the zoo does not repeat.
    """
    options, built_in = config.data, recipes.is_built_in(config)
    name = config.name if built_in else str(path or config.name)
    rows = "\n".join(f"| {a} | {b} |" for a, b in table(figures))
    notes = _own_words(config)
    has_prior = not _PRIOR_FIGURES.isdisjoint(figures)
    shown = _SHOWN[recipes.kind(config)]
    words = notes.data
    # Of those of the zoo that need it, the recipe's own words say it.
    if not built_in and (resized := resizing(describe(config))):
        words = f"{words} {resized[0].upper()}{resized[1:]}.".lstrip()
    text = f"""# {_title(config, built_in)}

{summary(config, has_prior)}

{shown(config, has_prior, built_in)}
## Use

```python
{_use_text(name, config, has_prior)}
```

## Data

{options.source}, split `{options.train_split}`; figures on
`{options.eval_split}` ({figures["examples"]} examples). {words}

## Figures

`vqvae-tf evaluate {shlex.quote(name)} --data_dir=DIR` measures them again:

| figure on `{options.eval_split}` | value |
| --- | --- |
{rows}

## Training

{_training_text(config, steps, command, built_in, policy)} \
{notes.training}
"""
    if notes.limits:
        text += f"\n## Limits\n\n{notes.limits}\n"
    # Where there are no words of the recipe.
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
    return f"`{command} --workdir=DIR`, {facts}."


_SOURCES = {
    "photos": "Photos under free licences "
    "(`vqvae_tf/samples/photos/LICENCES.md`)",
    "dmlab": "Held-out frames of DeepMind Lab (CC BY 4.0, "
    "`vqvae_tf/samples/clips/LICENCES.md`)",
    "digits": "Digits of MNIST's test split (CC BY-SA 3.0, "
    "`vqvae_tf/samples/digits/LICENCES.md`)",
    "shapes": "Generated shapes",
}


def _pictures_shown(config, has_prior, built_in):
    photos = config.card.samples == "photos"
    other = " They are not from the data below." if built_in and photos else ""
    if config.bottleneck.name is not None:
        source = _SOURCES[config.card.samples]
        return family_cards.shown(config, source, other)
    text = f"""![originals above reconstructions](reconstructions.png)

{_SOURCES[config.card.samples]}, each above its
reconstruction.{other}
"""
    if has_prior:
        text += _samples_text(config.data.num_classes)
    return text


def _samples_text(num_classes):
    columns = " A column for each class." if num_classes else ""
    return f"""
![samples](samples.png)

Samples: codes from the prior, decoded.{columns}
"""


def shows_dmlab(config) -> bool:
    """Returns whether a card shows the clips that the package carries.

    Those are of 84x84 pixels in colour, with nine actions.
    """
    actions = config.context.get("num_actions", len(ACTIONS))
    return (
        config.card.samples == "dmlab"
        and config.data.image_size == 84
        and config.data.channels == 3
        and actions == len(ACTIONS)
    )


def _codes_shown(config, has_prior, built_in):
    return f"""![frames and what their codes keep](reconstructions.png)

{_source_of_frames(config)}; below each all of its
codes, decoded; below that, twice, a code map drawn from its global codes.

![swapped codes](swaps.png)

In each row a frame; drawn from its own global codes; with one after the other
taken from the other frame; and with one after the other set to 0. The noise is
the same.
{_samples_text(None)}"""


def _source_of_frames(config):
    if shows_dmlab(config):
        return _SOURCES["dmlab"]
    return f"Frames of the split `{config.data.eval_split}`"


def _video_shown(config, has_prior, built_in):
    rows = "two rollouts with\nits actions"
    long = "Fifty frames without actions."
    if shows_dmlab(config):
        rows = "a rollout with the same\nactions; looking left; looking right"
        long += " Below, looking left while going forward."
    return f"""![rollouts](rollouts.gif)

{_source_of_frames(config)}, a column each. Rows: what came; {rows}.
The first {config.context.num_past} frames are given.

![futures](rollouts.png)

Every second frame of what came; below it a rollout at temperature 0, each code
the most probable one; below that, one that is drawn.

![long rollouts](long.gif)

{long}
"""


_SHOWN = {
    "pictures": _pictures_shown,
    "codes": _codes_shown,
    "speech": speech_cards.shown,
    "video": _video_shown,
}


def _use_text(name, config, has_prior):
    kind = recipes.kind(config)
    if config.bottleneck.name is not None:
        return family_cards.use_text(name, config)
    if kind == "speech":
        return speech_cards.use_text(name, config, has_prior)
    if kind == "video":
        return f"""from vqvae_tf import VideoGenerator

model = VideoGenerator.from_preset("{name}")
# uint8 [batch, time, height, width, 3] and integers [batch, steps] in
frames = model.rollout(context_frames, actions, seed=0)"""
    if kind == "codes":
        return f"""from vqvae_tf import LatentGenerator

model = LatentGenerator.from_preset("{name}")
codes = model.encode(frames)  # uint8 in, int32 code maps out
global_codes = model.prior.encode(codes)  # [batch, 1, 1, codebooks]
# a frame with these codes, always the same
frames = model.decode(model.prior.decode(global_codes))"""
    cls = "LatentGenerator" if has_prior else "VQVAE"
    return f"""from vqvae_tf import {cls}

model = {cls}.from_preset("{name}")
codes = model.encode(images)  # uint8 in, int32 codes out
pictures = model.decode(codes)"""
