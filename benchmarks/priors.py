"""Trains priors on the codes of a preset for equal times, and compares.

    python benchmarks/priors.py --data_dir=TFDS --preset=vqvae_cifar10 \
        --minutes=60 --rows="PixelCNN;PixelSNAIL"
    python benchmarks/priors.py --data_dir=TFDS --preset=vqvae_dmlab84 \
        --block=128
    python benchmarks/priors.py --table
    python benchmarks/priors.py --plot=docs/priors.png

All see the same codes, in the same order, for as many minutes of one core, by
the process's own clock: an hour of one core is half an hour of two. The
learning rate falls with these minutes, as a cosine; weights are averaged
(momentum 0.999). One of 20 training pictures is left out, and the weights with
the fewest bits on these are measured on the test split once. --block is how
many pictures in a row stay together in that division: those of an episode. A
run writes docs/priors/PRESET-ROW-SEED.json with its curve; runs whose file
exists are skipped. --keep=FOLDER also saves the priors, PRESET-ROW-SEED.keras,
for prior_samples.py. With --scratch=FOLDER a run that was stopped goes on from
its last look, to the same result.
"""

import functools
import json
import math

import command
import keras
import numpy as np
import tensorflow as tf
from budget import Budget, Scratch

import vqvae_tf as vq
from vqvae_tf import data, recipes
from vqvae_tf.data.pictures.source import ImageSource
from vqvae_tf.encoding.arrays import encode_batches
from vqvae_tf.evaluation.statistics import half_interval
from vqvae_tf.recipes import building
from vqvae_tf.runtime.adam import Adam
from vqvae_tf.tasks.pictures import recipe as pictures, training
from vqvae_tf.training import averaging
from vqvae_tf.utils import units
from vqvae_tf.utils.code_levels import from_arrays
from vqvae_tf.utils.code_sizes import as_argument
from vqvae_tf.utils.paths import expand

FOLDER = command.DOCS / "priors"
# One of so many blocks of training pictures chooses the weights.
SHARE = 20
# About so many looks at these, each after so many steps or a multiple, and one
# in the end: those of a masked model take as long as its training otherwise.
LOOKS, EPOCH = 25, 100

_HEAD = dict(head_channels=128, dropout=0.1)
_ATTENTION = dict(hidden_channels=64, num_blocks=3, num_layers=2, num_heads=2)
_LAYERS = dict(hidden_channels=128, num_layers=6, num_heads=4)
# What makes a prior from the arguments that its codes decide.
ROWS = {
    "PixelCNN": lambda config, **codes: building.prior_of_codes(config),
    "PixelSNAIL": lambda config, **codes: vq.PixelSNAIL(
        **codes, **_ATTENTION, **_HEAD
    ),
    "CodeTransformer": lambda config, **codes: vq.CodeTransformer(
        **codes, **_LAYERS, **_HEAD
    ),
    "MaskedCodeTransformer": lambda config, **codes: vq.MaskedCodeTransformer(
        **codes, **_LAYERS, **_HEAD
    ),
}


class Part(ImageSource):
    """Some of the pictures of a source.

    Args:
        images: the source.
        rows: their indices, int64 `[n]`.
    """

    def __init__(self, images, rows):
        super().__init__(
            images.name, len(rows), images.shape, images.class_names
        )
        self._images, self._rows = images, tf.constant(rows)

    def get(self, index):
        return self._images.get(tf.gather(self._rows, index))


def divided(count, block):
    """Returns the rows that train, and those that choose the weights."""
    rows = np.arange(count)
    held = (rows // block) % SHARE == SHARE // 2
    return rows[~held], rows[held]


def codes_of(preset, config, arguments):
    """Returns codes and contexts of the three parts of the data, by name."""
    images = pictures.open_split(config.data, "train", arguments.data_dir)
    rows = divided(images.num_examples, arguments.block)
    found = {"train": _training_codes(preset, config, Part(images, rows[0]))}
    test = pictures.open_split(config.data, "test", arguments.data_dir)
    for name, part in (("validation", Part(images, rows[1])), ("test", test)):
        found[name] = _in_order(preset, config, part)
    return found


def _training_codes(preset, config, images):
    arrays = training.encode(config, preset.autoencoder, images)
    return from_arrays(arrays), arrays.get("labels")


def _in_order(preset, config, images):
    """Encodes all pictures once, as an evaluation sees them."""
    batches = data.evaluation_batches(
        images, 20, config.data.image_size, config.data.num_classes
    )
    codes, contexts = encode_batches(preset.autoencoder, batches, len(batches))
    count, labels = images.num_examples, None
    if config.data.num_classes:
        labels = np.concatenate([each["global"] for each in contexts])
        labels = labels.argmax(axis=-1)[:count]
    return tf.nest.map_structure(lambda own: own[:count], codes), labels


def context_of(config, labels):
    if labels is None:
        return None
    return {"global": data.one_hot(labels, config.data.num_classes)}


def measured(prior):
    """Returns a function of codes and context: bits of each grid, `[n]`."""
    log_prob = tf.function(
        prior.log_prob, reduce_retracing=True, autograph=False
    )

    def bits(codes, context, batch=50):
        found = []
        for first in range(0, len(codes), batch):
            part = slice(first, first + batch)
            given = context and {k: v[part] for k, v in context.items()}
            nats = log_prob(codes[part].astype(np.int32), given)
            found.append(units.bits(-nats.numpy()))
        return np.concatenate(found)

    return bits


def fitted(prior, batches, budget, look, scratch=None):
    """Trains within a budget; ends with the weights of the best look.

    Args:
        prior: compiled.
        batches: returns endless ones, given `skip_steps`.
        budget: a `Budget`.
        look: returns bits, with the averaged weights in place.
        scratch: a `Scratch`, from which a stopped training goes on; or None.

    Returns:
        A list of {"minutes", "steps", "train", "validation"}, bits per
        dimension of the batches and what `look` returned.
    """
    curve, kept = scratch.restore() if scratch else ([], None)
    best = min((point["validation"] for point in curve), default=math.inf)
    due = budget.share + 1 / LOOKS if curve else 0
    while budget.share < 1:
        history = prior.fit(
            batches(skip_steps=budget.steps),
            steps_per_epoch=EPOCH,
            verbose=0,
            callbacks=[budget],
        )
        if budget.share < min(1, due):
            continue
        due = budget.share + 1 / LOOKS
        with averaging.averaged(prior):
            found = look()
            if not math.isfinite(found):
                raise SystemExit(f"Diverged: {found} bits at {budget.steps}.")
            if found < best:
                best, kept = found, prior.get_weights()
        curve.append(
            {
                "minutes": round(budget.spent / 60, 2),
                "steps": budget.steps,
                "train": history.history["bits_per_dim"][0],
                "validation": found,
            }
        )
        print(curve[-1], flush=True)
        if scratch:
            scratch.save(curve, kept)
    prior.set_weights(kept)
    return curve


def made(row, config, preset, seed):
    keras.utils.set_random_seed(seed)
    old = preset.prior
    prior = ROWS[row](
        config,
        num_embeddings=as_argument(old.num_codes),
        event_shape=old.event_shape,
        num_codebooks=old.num_codebooks,
        global_channels=old.global_channels,
    )
    prior.build()
    prior.compile(Adam(use_ema=True, ema_momentum=0.999, ema_of_run=True))
    return prior


def run(row, seed, preset, config, parts, arguments):
    """Trains and measures one prior; returns its figures, and the prior."""
    prior = made(row, config, preset, seed)
    contexts = {k: context_of(config, v[1]) for k, v in parts.items()}
    batches = functools.partial(
        data.array_batches,
        parts["train"][0].astype(np.int32),
        config.prior_training.batch_size,
        seed,
        context=contexts["train"],
    )
    bits = measured(prior)
    codes = {name: part[0] for name, part in parts.items()}
    each = codes["test"][0].size

    def look():
        found = bits(codes["validation"], contexts["validation"])
        return float(found.mean() / each)

    rate = config.prior_training.learning_rate
    budget = Budget(60 * arguments.minutes, rate)
    scratch = None
    if arguments.scratch:
        name = f"{arguments.preset}-{row}-{seed}"
        scratch = Scratch(prior, expand(arguments.scratch) / name, budget)
    curve = fitted(prior, batches, budget, look, scratch)
    test = bits(codes["test"], contexts["test"]) / each
    figures = {
        "preset": arguments.preset,
        "row": row,
        "seed": seed,
        "parameters": prior.count_params(),
        "minutes": arguments.minutes,
        "steps": budget.steps,
        "bits_per_code": float(test.mean()),
        "half_interval": half_interval(test),
        "validation_bits": min(point["validation"] for point in curve),
        "is_bound": row.startswith("Masked"),
        "processor": command.processor(),
        "curve": curve,
    }
    return figures, prior


def table(folder):
    """Returns the table of all runs, in Markdown."""
    lines = [
        "| preset | prior | parameters | minutes | steps | bits a code |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for path in sorted(folder.glob("*.json")):
        found = json.loads(path.read_text())
        bits = f"{found['bits_per_code']:.3f} ± {found['half_interval']:.3f}"
        cells = [
            found["preset"],
            found["row"],
            f"{found['parameters']:,}",
            f"{found['minutes']:g}",
            f"{found['steps']:,}",
            f"at most {bits}" if found["is_bound"] else bits,
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def plot(folder, path):
    """Draws the curves of all runs, a panel for each preset.

    The horizontal axis is the share of a run's minutes: processors differ, and
    minutes were chosen for equal work.
    """
    runs = [json.loads(file.read_text()) for file in folder.glob("*.json")]
    runs = [run for run in runs if "curve" in run]
    names = sorted({run["preset"] for run in runs})
    figure, axes = command.panels(len(names))
    for axis, name in zip(axes, names):
        lowest = math.inf
        for number, row in enumerate(ROWS):
            for run in runs:
                if (run["preset"], run["row"]) == (name, row):
                    _draw(axis, run, f"C{number}")
                    lowest = min(lowest, run["validation_bits"])
        axis.set(title=name, xlabel="share of the minutes")
        axis.set(ylabel="bits a code, held out", ylim=(lowest - 0.1, None))
        axis.set_ylim(top=lowest + 1.2)
        axis.legend()
    figure.savefig(path, dpi=110)


def _draw(axis, run, color):
    x = [point["minutes"] / run["minutes"] for point in run["curve"]]
    y = [point["validation"] for point in run["curve"]]
    bound = run["is_bound"]
    label = f"{run['row']}, at most" if bound else run["row"]
    axis.plot(x, y, "--" if bound else "-", color=color, label=label)


def main():
    parser = command.parser(
        __doc__,
        data_dir=None,
        preset="vqvae_cifar10",
        rows=";".join(ROWS),
        seeds="0",
        minutes=60.0,
        block=1,
        folder=str(FOLDER),
        keep="",
        scratch="",
        plot="",
    )
    parser.add_argument("--table", action="store_true")
    arguments = parser.parse_args()
    if arguments.plot:
        plot(expand(arguments.folder), expand(arguments.plot))
        return
    folder = command.folder_of_runs(arguments, table)
    if folder is None:
        return
    preset = vq.LatentGenerator.from_preset(arguments.preset)
    config = recipes.read_recipe(recipes.find_recipe(arguments.preset))
    parts = codes_of(preset, config, arguments)
    for seed in map(int, arguments.seeds.split(",")):
        for row in arguments.rows.split(";"):
            path = folder / f"{arguments.preset}-{row}-{seed}.json"
            if not path.exists():
                found, prior = run(row, seed, preset, config, parts, arguments)
                command.save(prior, arguments.keep, path.stem)
                command.write(path, found)


if __name__ == "__main__":
    main()
