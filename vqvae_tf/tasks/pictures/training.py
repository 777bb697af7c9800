"""Pictures to codes, and a prior over the codes: the whole of section 4.1."""

import functools
import sys

import numpy as np

from vqvae_tf import data
from vqvae_tf.encoding import arrays as encoding
from vqvae_tf.evaluation import (
    autoencoder_properties as family_properties,
    autoencoders as family_evaluation,
    disentanglement,
    pictures as evaluation,
)
from vqvae_tf.evaluation.neighbour_bound import neighbour_bound
from vqvae_tf.media import sheets
from vqvae_tf.models import Autoencoder, LatentGenerator
from vqvae_tf.recipes import building
from vqvae_tf.tasks.pictures import sheets as previews
from vqvae_tf.training import fitting


def train(config, workdir, data_dir, stage, start):
    """Trains both stages; see `training.train`.

    Args:
        config, workdir, data_dir, stage: as there.
        start: called when the data are open and the model is made.
    """
    images = open_split(config.data, config.data.train_split, data_dir)
    held_out = open_split(config.data, config.data.eval_split, data_dir)
    autoencoder = building.make_autoencoder(config)
    examples = first_pictures(config, held_out)
    start()
    fitting.fit(
        autoencoder,
        config.training,
        lambda **place: _batches(config, images, config.training, **place),
        workdir / "autoencoder",
        lambda: _logged(autoencoder, examples),
    )
    prior = building.make_prior(config)
    if prior is None or stage == "autoencoder":
        return autoencoder
    arrays = encoding.once(
        workdir / "codes.npz",
        autoencoder,
        lambda model: encode(config, model, images),
    )
    generator = LatentGenerator(autoencoder, prior)
    fit_prior(
        config,
        prior,
        arrays["codes"],
        _class_context(config, arrays.get("labels")),
        workdir / "prior",
        lambda: sheets.grid(_samples(config, generator)),
    )
    return generator


def _logged(autoencoder, examples):
    """Returns what a stage 1 logs: pictures, and samples if it draws any."""
    rows = previews.rows(autoencoder, examples)
    logged = {"reconstructions": sheets.stacked(rows)}
    if previews.can_sample(autoencoder):
        logged["samples"] = sheets.grid(autoencoder.sample(16, seed=0))
    return logged


def fit_prior(config, prior, codes, context, directory, samples, weight=None):
    """Fits a prior on codes in memory.

    Args:
        config: a recipe.
        prior: a density.
        codes: integers `[n, *grid]`.
        context: None, or a dict of arrays `[n, ...]`.
        directory: of its checkpoints.
        samples: a function that returns a picture to log.
        weight: None, or a mask `[n, *grid]`, 0 at padding.
    """
    codes = codes.astype(np.int32)
    fitting.fit(
        prior,
        config.prior_training,
        lambda **place: data.array_batches(
            codes,
            config.prior_training.batch_size,
            seed=config.seed,
            context=context,
            weight=weight,
            **place,
        ),
        directory,
        lambda: {"samples": samples()},
    )


def _batches(config, images, training, **options):
    section = config.data
    resize_range = section.resize_range
    return data.training_batches(
        images,
        training.batch_size,
        image_size=training.crop_size or section.image_size,
        crop=section.crop,
        resize_range=None if resize_range is None else tuple(resize_range),
        flip=section.flip,
        seed=config.seed,
        **options,
    )


def first_pictures(config, images, count=8):
    """Returns the first pictures of a split, as evaluation sees them."""
    batches = data.evaluation_batches(images, count, config.data.image_size)
    return next(iter(batches))[0]


def encode(config, autoencoder, images) -> dict:
    """Encodes the training set, several times with other crops on request.

    Returns:
        A dict with `codes` [n, *grid] and, with classes, int64 `labels` [n].
    """
    classes = config.data.num_classes
    rows = config.prior_training.encode_passes * images.num_examples
    size = min(64, images.num_examples)
    training = config.training.copy_and_resolve_references()
    training.update(batch_size=size, crop_size=None)
    codes, contexts = encoding.encode_batches(
        autoencoder,
        _batches(config, images, training, num_classes=classes),
        -(-rows // size),
    )
    # Batches are whole permutations end to end: these rows are all pictures.
    arrays = {"codes": codes[:rows]}
    if classes:
        labels = [np.argmax(context["global"], axis=-1) for context in contexts]
        arrays["labels"] = np.concatenate(labels)[:rows].astype(np.int64)
    return arrays


def _class_context(config, labels):
    if labels is None:
        return None
    return {"global": data.one_hot(labels, config.data.num_classes)}


def _samples(config, generator, count=16):
    context = None
    if config.data.num_classes:
        labels = np.arange(count) % config.data.num_classes
        context = {"global": data.one_hot(labels, config.data.num_classes)}
    return generator.sample(count, context=context, seed=0)


def measure(
    model, description, data_dir=None, progress=True, rows=None
) -> dict:
    """Measures a model on the held-out split of `description`.

    Args:
        model: a `VQVAE`, a `LatentGenerator` or an `Autoencoder`.
        description: a dict like a recipe's `data` section.
        data_dir: where the data lies.
        progress: show progress bars.
        rows: a dict that gets the bounds of each picture, as of
            `evaluation.evaluate`.

    Returns:
        The figures of `evaluation.evaluate`, and where the description has
        `neighbour_pictures` what `neighbour_bound` adds to the bound of the
        first so many, in bits/dim as `neighbour_gain`, and with a prior to
        the bound without it as `neighbour_gain_uniform`. Of an `Autoencoder`
        those of `family_evaluation.evaluate` and `family_properties.evaluate`,
        and of the generated shapes `mig`, the mutual information gap.
    """
    autoencoder = model.autoencoder
    if isinstance(autoencoder, Autoencoder):
        return _measure_family(model, description, data_dir, progress, rows)
    counts = None
    if isinstance(model, LatentGenerator):
        training = eval_batches(
            description, description["train_split"], data_dir
        )
        counts = evaluation.count_codes(autoencoder, training, progress)
    held_out = description, description["eval_split"], data_dir
    figures = evaluation.evaluate(
        model, eval_batches(*held_out), counts, progress, rows
    )
    if count := description.get("neighbour_pictures", 0):
        figures |= _neighbour_gain(model, eval_batches(*held_out, count))
    return figures


def _neighbour_gain(model, batches):
    """Returns what codes next to the encoder's add to one batch's bound."""
    pictures, _, weight = next(iter(batches))
    pictures = pictures.numpy()[weight.numpy() > 0]

    def gain(model):
        found = neighbour_bound(model, pictures)
        nats = np.mean(found["neighbours"] - found["codes"])
        return float(nats / (pictures[0].size * np.log(2)))

    figures = {
        "neighbour_pictures": len(pictures),
        "neighbour_gain": gain(model),
    }
    if isinstance(model, LatentGenerator):
        figures["neighbour_gain_uniform"] = gain(model.autoencoder)
    return figures


def _measure_family(model, description, data_dir, progress, rows):
    batches = functools.partial(
        eval_batches, description, description["eval_split"], data_dir
    )
    samples = description.get("bound_samples", 1)
    figures = family_evaluation.evaluate(
        model, batches(), samples, progress=progress, rows=rows
    )
    figures |= family_properties.evaluate(model, batches(), progress=progress)
    if description["source"] == "shapes":
        factors = data.load_shapes(description["eval_split"]).factors
        figures |= _information_gap(model, batches(), factors)
    return figures


def _information_gap(model, batches, factors):
    """Returns how well single latents stand for single factors."""
    latents = np.concatenate([model.encode(x) for x, *_ in batches])
    # What follows the last picture is padding.
    latents = latents[: len(factors)].reshape(len(factors), -1)
    if latents.shape[1] < 2:
        return {}
    gap = disentanglement.mutual_information_gap(latents, factors)
    return {"mig": float(gap.score)}


def open_split(description, split, data_dir=None):
    """Opens the data that a preset's metadata, or a recipe, describes."""
    return data.open_images(
        description["source"],
        split,
        data_dir=data_dir,
        on_corrupt=description.get("on_corrupt", "error"),
        progress=sys.stderr.isatty(),
        # Presets of before there were grey ones do not say.
        channels=description.get("channels", 3),
    )


def eval_batches(description, split, data_dir=None, batch_size=20):
    """Returns the evaluation batches that a preset's metadata describes."""
    return data.evaluation_batches(
        open_split(description, split, data_dir),
        batch_size,
        image_size=description["image_size"],
        num_classes=description["num_classes"],
    )
