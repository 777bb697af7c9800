"""From a trained recipe to a preset: figures, model card, sample sheets."""

import math

import numpy as np

from vqvae_tf import data, evaluation, sheets
from vqvae_tf.models import LatentGenerator
from vqvae_tf.samples import sample_pictures

# The figures of a card: title, format, and what agrees with them on another
# machine (sums in another order move a code now and then).
FIGURES = {
    "psnr": ("PSNR, pooled over pixels (dB)", "{:.2f}", 0.02),
    "nmse": ("mean squared error / variance of the data", "{:.4f}", 1e-4),
    "ssim": ("SSIM, mean of pictures", "{:.4f}", 1e-3),
    "perplexity": ("perplexity over all codes", "{:.1f}", 1.0),
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
    "prior_bits_per_dim": ("the prior, bits/dim", "{:.4f}", 1e-3),
    "bits_per_dim": ("bound with the prior, bits/dim", "{:.4f}", 2e-3),
}


def open_split(description, split, data_dir=None):
    """Opens the data that a preset's metadata describes."""
    return data.open_images(
        description["source"],
        split,
        data_dir=data_dir,
        on_corrupt=description.get("on_corrupt", "error"),
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
    """Lists the figures that do not agree within their tolerance."""
    differences = []
    for name, (title, form, tolerance) in FIGURES.items():
        if name in expected and name in measured:
            a, b = measured[name], expected[name]
            if not math.isclose(a, b, rel_tol=1e-3, abs_tol=tolerance):
                differences.append(
                    f"{title}: measured {form.format(a)}, "
                    f"the card says {form.format(b)}"
                )
    return differences


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
    return sheets.pairs(images, model.reconstruct(images), columns=6)


def sample_sheet(generator, num_classes=None, count=None, seed=0, **options):
    """A sheet of samples; with classes one column for each class."""
    if num_classes is None:
        count = count or 16
        return sheets.grid(generator.sample(count, seed=seed, **options))
    columns = min(num_classes, 10)
    count = count or 4 * columns
    context = {
        "global": data.one_hot(np.arange(count) % num_classes, num_classes)
    }
    draws = generator.sample(count, context=context, seed=seed, **options)
    return sheets.grid(draws, columns)


def card(config, figures, steps) -> str:
    """Writes the README.md of a preset.

    Args:
        config: the recipe.
        figures: from `measure`.
        steps: what training took, as text.
    """
    options, name = config.data, config.name
    rows = "\n".join(f"| {a} | {b} |" for a, b in table(figures))
    notes = config.card
    columns = " A column for each class." if options.num_classes else ""
    return f"""# {name}

{notes.summary}

![originals above reconstructions](reconstructions.png)

Photos under free licences (`vqvae_tf/samples/LICENCES.md`), each above its
reconstruction. They are not from the data below.

![samples](samples.png)

Samples: codes from the prior, decoded.{columns}

## Use

```python
from vqvae_tf import LatentGenerator
generator = LatentGenerator.from_preset("{name}")
codes = generator.encode(images)          # uint8 in, int32 codes out
pictures = generator.decode(codes)
```

## Data

{options.source}, split `{options.train_split}`; figures on
`{options.eval_split}` ({figures["examples"]} examples). {notes.data}

## Figures

`vqvae-tf evaluate {name} --data_dir=DIR` measures them again:

| figure on `{options.eval_split}` | value |
| --- | --- |
{rows}

## Training

`vqvae-tf train --config=zoo/recipes/{name}.py --workdir=DIR`, seed \
{config.seed}, {steps}. {notes.training}

## Limits

{notes.limits}
"""
