"""From a trained recipe to a preset: figures, model card, sample sheets."""

import math
import re
import shlex
import sys

import numpy as np

from vqvae_tf import data, evaluation, recipes, sheets
from vqvae_tf.models import LatentGenerator
from vqvae_tf.samples import sample_pictures

# The figures of a card: title, format, and the absolute difference that still
# agrees. On another machine sums in another order move a code now and then; one
# in 300 moved changes vqvae_photo128's figures by less than half of these.
FIGURES = {
    "psnr": ("PSNR, pooled over pixels (dB)", "{:.2f}", 0.02),
    "nmse": ("mean squared error / variance of the data", "{:.4f}", 1e-4),
    "ssim": ("SSIM, mean of pictures", "{:.4f}", 1e-3),
    "perplexity": ("perplexity over all codes", "{:.1f}", 0.5),
    "usage": ("usage (share of codes used)", "{:.3f}", 2e-3),
    "reconstruction_bits_per_dim": (
        "-log2 p(x given codes), bits/dim",
        "{:.4f}",
        2e-3,
    ),
    "bits_per_dim_uniform": (
        "bound with a uniform prior, bits/dim",
        "{:.4f}",
        2e-3,
    ),
    "unigram_bits_per_code": (
        "unigram of the training codes, bits/code",
        "{:.3f}",
        3e-3,
    ),
    "prior_bits_per_code": ("the prior, bits/code", "{:.3f}", 3e-3),
    "prior_bits_per_dim": ("the prior, bits/dim", "{:.4f}", 2e-4),
    "bits_per_dim": ("bound with the prior, bits/dim", "{:.4f}", 2e-3),
}


# What a preset's metadata say of the data that its figures are of.
DATA_KEYS = ("source", "train_split", "eval_split", "image_size", "num_classes")


def open_split(description, split, data_dir=None):
    """Opens the data that a preset's metadata describes."""
    return data.open_images(
        description["source"],
        split,
        data_dir=data_dir,
        on_corrupt=description.get("on_corrupt", "error"),
        progress=sys.stderr.isatty(),
    )


def eval_batches(description, split, data_dir=None, batch_size=20):
    """Returns the evaluation batches that a preset's metadata describes."""
    return data.evaluation_batches(
        open_split(description, split, data_dir),
        batch_size,
        image_size=description["image_size"],
        num_classes=description["num_classes"],
    )


def measure(model, description, data_dir=None, progress=True) -> dict:
    """Measures a model on the held-out split of `description`.

    Args:
        model: a `VQVAE` or a `LatentGenerator`.
        description: a dict like a recipe's `data` section.
        data_dir: where the data lies.
        progress: show progress bars.

    Returns:
        The figures of `evaluation.evaluate`.
    """
    autoencoder = getattr(model, "autoencoder", model)
    counts = None
    if isinstance(model, LatentGenerator):
        training = eval_batches(
            description, description["train_split"], data_dir
        )
        counts = evaluation.count_codes(autoencoder, training, progress)
    batches = eval_batches(description, description["eval_split"], data_dir)
    return evaluation.evaluate(model, batches, counts, progress)


def compare(measured: dict, expected: dict) -> list[str]:
    """Lists the figures that do not agree within their tolerance.

    Args:
        measured, expected: figures of `measure`. One that only one of them
            has is a difference; without a prior its figures are in neither.

    Returns:
        A line of text for each difference.
    """
    differences = []
    for name, (title, form, tolerance) in FIGURES.items():
        a, b = measured.get(name), expected.get(name)
        if not _agree(a, b, tolerance):
            a, b = (_text(form, value) for value in (a, b))
            differences.append(f"{title}: measured {a}, the card says {b}")
    return differences


def _agree(a, b, tolerance):
    if a is None or b is None:
        return a is b
    # Not abs(a - b): the PSNR of a perfect reconstruction is infinite.
    return math.isclose(a, b, rel_tol=0.0, abs_tol=tolerance)


def _text(form, value):
    return "nothing" if value is None else form.format(value)


def table(figures: dict) -> list[tuple[str, str]]:
    """Returns (title, value) rows of the known figures."""
    return [
        (title, form.format(figures[name]))
        for name, (title, form, _) in FIGURES.items()
        if name in figures
    ]


def describe(config) -> dict:
    """Returns a recipe's data section as plain JSON values."""
    description = config.data.to_dict()
    if description["resize_range"] is not None:
        description["resize_range"] = list(description["resize_range"])
    return description


def reconstruction_sheet(model, image_size):
    """The package's free photos, each above its reconstruction."""
    images = [data.load_picture(p, image_size) for p in sample_pictures()]
    images = np.stack(images)
    return _readable(
        sheets.pairs(images, model.reconstruct(images), columns=6), image_size
    )


def _readable(sheet, image_size):
    """Enlarges a sheet of pictures below 64 pixels."""
    return sheets.enlarge(sheet, max(1, 64 // image_size))


def sample_sheet(generator, count=None, seed=0, label=None, **options):
    """A sheet of samples; with classes one column for each, or one class.

    Args:
        generator: a `LatentGenerator`.
        count: how many; by default 16, or 4 of each class.
        seed: as of `LatentGenerator.sample`, like `options`.
        label: the class to draw, or None for all.

    Returns:
        uint8 `[height, width, channels]`.
    """
    classes = generator.prior.global_channels
    columns, context = None, None
    if classes is None or label is not None:
        count = count or 16
    else:
        columns = min(classes, 10)
        count = count or 4 * columns
    if classes is not None:
        labels = np.arange(count) if label is None else np.full(count, label)
        context = {"global": data.one_hot(labels % classes, classes)}
    draws = generator.sample(count, context=context, seed=seed, **options)
    return _readable(sheets.grid(draws, columns), draws.shape[1])


def summary(config, has_prior) -> str:
    """Returns what the model is, in the recipe's words where they hold."""
    if words := _own_words(config).summary:
        return words
    size = config.data.image_size
    prior = f", with a {config.prior.name} prior" if has_prior else ""
    return (
        f"A VQ-VAE of {size}x{size} pictures with "
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


def card(config, figures, steps, path=None, command=None) -> str:
    """Writes the README.md of a preset.

    Args:
        config: the recipe. Where it is one of the zoo's, unchanged, the card
            is that of the built-in preset.
        figures: from `measure`; those of a prior say that there is one.
        steps: what training took, as text.
        path: the preset's folder, to load it by; by default the recipe's name.
        command: the command that trained it, without --workdir.
    """
    options, built_in = config.data, recipes.is_built_in(config)
    name = config.name if built_in else str(path or config.name)
    rows = "\n".join(f"| {a} | {b} |" for a, b in table(figures))
    notes = _own_words(config)
    has_prior = "prior_bits_per_code" in figures
    text = f"""# {_title(config, built_in)}

{summary(config, has_prior)}

![originals above reconstructions](reconstructions.png)

Photos under free licences (`vqvae_tf/samples/LICENCES.md`), each above its
reconstruction.{" They are not from the data below." if built_in else ""}
{_samples_text(options.num_classes) if has_prior else ""}
## Use

```python
{_use_text(name, has_prior)}
```

## Data

{options.source}, split `{options.train_split}`; figures on
`{options.eval_split}` ({figures["examples"]} examples). {notes.data}

## Figures

`vqvae-tf evaluate {shlex.quote(name)} --data_dir=DIR` measures them again:

| figure on `{options.eval_split}` | value |
| --- | --- |
{rows}

## Training

{_training_text(config, steps, command, built_in)} \
{notes.training}
"""
    if notes.limits:
        text += f"\n## Limits\n\n{notes.limits}\n"
    # Where there are no words of the recipe.
    return re.sub(" +$", "", text, flags=re.MULTILINE)


def _title(config, built_in):
    changed = not built_in and config.name in recipes.built_in()
    return f"{config.name}, changed" if changed else config.name


def _training_text(config, steps, command, built_in):
    facts = f"seed {config.seed}, {steps}"
    if built_in:
        command = f"vqvae-tf train --config=zoo/recipes/{config.name}.py"
    else:
        facts += f", dtype policy {config.dtype_policy}"
    if command is None:
        return f"S{facts.removeprefix('s')}."
    return f"`{command} --workdir=DIR`, {facts}."


def _samples_text(num_classes):
    columns = " A column for each class." if num_classes else ""
    return f"""
![samples](samples.png)

Samples: codes from the prior, decoded.{columns}
"""


def _use_text(name, has_prior):
    cls = "LatentGenerator" if has_prior else "VQVAE"
    return f"""from vqvae_tf import {cls}

model = {cls}.from_preset("{name}")
codes = model.encode(images)  # uint8 in, int32 codes out
pictures = model.decode(codes)"""
