"""Compares the samples of priors that benchmarks/priors.py trained and kept.

    python benchmarks/prior_samples.py --data_dir=TFDS --preset=vqvae_cifar10 \
        --priors=FOLDER --network=classifier_cifar10 --samples=2000
    python benchmarks/prior_samples.py --table

Each prior draws codes that the preset's decoder decodes, and `evaluation
.samples` compares them with the held-out pictures in the features of a named
classifier. The preset's own prior is the row "own". A run writes
docs/prior_samples/PRESET-ROW-SEED.json; runs whose file exists are skipped.
--sheets=FOLDER also draws samples of each prior, and pictures whose lower half
or middle it has completed.
"""

import json
import statistics
import time

import command
import keras
import numpy as np
import tensorflow as tf

import vqvae_tf as vq
from vqvae_tf import data, recipes
from vqvae_tf.evaluation import samples
from vqvae_tf.media import sheets
from vqvae_tf.models.feature_networks import find_network
from vqvae_tf.tasks.pictures import recipe as pictures
from vqvae_tf.tasks.pictures.sheets import readable, sample_sheet
from vqvae_tf.utils.paths import expand

FOLDER = command.DOCS / "prior_samples"
BATCH, RUNS = 50, 3
COMPLETED = 8  # pictures of a sheet


def batches_of(config, split, arguments):
    """Batches of all pictures of a split, and of the classes."""
    images = pictures.open_split(config.data, split, arguments.data_dir)
    return data.evaluation_batches(
        images, BATCH, config.data.image_size, config.data.num_classes
    )


def samples_per_second(generator):
    """Returns the median of a few batches, after one that makes the graph."""
    classes, context = generator.global_channels, None
    if classes is not None:
        context = {"global": tf.one_hot(np.arange(BATCH) % classes, classes)}
    seconds = []
    for seed in range(RUNS + 1):
        start = time.perf_counter()
        generator.sample(BATCH, context=context, seed=seed).numpy()
        seconds.append(time.perf_counter() - start)
    return BATCH / statistics.median(seconds[1:])


def completed(generator, batch):
    """Returns a sheet: pictures, what is kept, and two completions of each."""
    x, context, _ = batch
    x = x[:COMPLETED]
    context = context and {k: v[:COMPLETED] for k, v in context.items()}
    size = x.shape[1]
    below, middle = np.ones([2, *x.shape[:3]], bool)
    below[:, size // 2 :] = False
    middle[:, size // 4 : -size // 4, size // 4 : -size // 4] = False
    rows = [x.numpy()]
    for keep in (below, middle):
        rows.append(np.where(keep[..., None], x, 127).astype(np.uint8))
        for seed in (0, 1):
            draw = generator.sample(
                context=context, given=x, given_mask=keep, seed=seed
            )
            rows.append(draw.numpy())
    return readable(sheets.stacked(rows, COMPLETED), size)


def run(generator, network, batches, arguments, groups=None):
    """Returns the figures of one generator."""
    figures = samples.evaluate(
        generator,
        network,
        *batches,
        num_samples=arguments.samples or None,
        temperature=arguments.temperature,
        groups=groups,
    )
    return {
        "network": network.name,
        "temperature": arguments.temperature,
        "samples_per_second": samples_per_second(generator),
        "processor": command.processor(),
        **figures,
    }


def table(folder):
    """Returns the table of all runs, in Markdown."""
    lines = [
        "| preset | prior | kernel distance | floor | named rightly "
        "| samples a second |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for path in sorted(folder.glob("*.json")):
        found = json.loads(path.read_text())
        distance = found["sample_kernel_distance"]
        error = found["sample_kernel_distance_error"]
        named = found.get("named_rightly")
        cells = [
            found["preset"],
            found["row"],
            f"{distance:.3f} ± {error:.3f}",
            # Unbiased, it may be below 0 by less than what is shown.
            f"{found['real_kernel_distance']:.3f}".replace("-0.000", "0.000"),
            "" if named is None else f"{100 * named:.0f} %",
            f"{found['samples_per_second']:.3g}",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def write_sheets(generator, name, batch, folder):
    folder.mkdir(parents=True, exist_ok=True)
    for kind, sheet in (
        ("samples", sample_sheet(generator)),
        ("completions", completed(generator, batch)),
    ):
        sheets.save_picture(folder / f"{name}-{kind}.png", sheet)


def parsed():
    parser = command.parser(
        __doc__,
        data_dir=None,
        preset="vqvae_cifar10",
        priors=None,
        network="classifier_cifar10",
        samples=0,
        temperature=1.0,
        folder=str(FOLDER),
        sheets="",
    )
    parser.add_argument("--table", action="store_true")
    return parser.parse_args()


def main():
    arguments = parsed()
    folder = command.folder_of_runs(arguments, table)
    if folder is None:
        return
    preset = vq.LatentGenerator.from_preset(arguments.preset)
    config = recipes.read_recipe(recipes.find_recipe(arguments.preset))
    network = find_network(arguments.network)
    batches = [
        batches_of(config, split, arguments) for split in ("test", "train")
    ]
    kept = expand(arguments.priors).glob(f"{arguments.preset}-*.keras")
    files = {path.stem: path for path in sorted(kept)}
    for name, file in {f"{arguments.preset}-own-0": None, **files}.items():
        path = folder / f"{name}.json"
        if path.exists():
            continue
        generator = preset
        if file:
            prior = keras.models.load_model(file, compile=False)
            generator = vq.LatentGenerator(preset.autoencoder, prior)
        row = name.removeprefix(f"{arguments.preset}-").rpartition("-")[0]
        groups = config.data.class_groups
        found = run(generator, network, batches, arguments, groups)
        if arguments.sheets:
            batch = next(iter(batches[0]))
            write_sheets(generator, name, batch, expand(arguments.sheets))
        command.write(path, {"preset": arguments.preset, "row": row, **found})


if __name__ == "__main__":
    main()
