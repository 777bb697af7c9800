"""Compares TD-VAE with models that see the future only step by step.

    python benchmarks/sequences.py --data_dir=TFDS --recipe=tdvae_digits
    python benchmarks/sequences.py --recipe=tdvae_oscillator
    python benchmarks/sequences.py --table

All rows have the recipe's encoder, recurrent layer, latents and decoder, and
train for as many minutes of one core, by the process's own clock, with a
learning rate that falls as a cosine and averaged weights (momentum 0.999):

    TD-VAE      the recipe's model
    filtering   a state-space model, q(z_t | z_(t-1), b_t)
    mean field  a state-space model, q(z_t | b_t)
    next frame  a recurrent network that reads what it draws

Each is measured once, on held-out sequences, as a preset of the recipe would
be. A run writes docs/sequences/RECIPE-ROW-SEED.json; runs whose file exists are
skipped. For moving digits, "copy" is the last frame with the share of flips in
training; it is not trained.
"""

import functools
import json

import command
import keras
import numpy as np
from budget import Budget

from vqvae_tf import data, recipes, tasks
from vqvae_tf.evaluation.sequences import prediction
from vqvae_tf.recipes import building
from vqvae_tf.runtime.adam import Adam
from vqvae_tf.tasks import card as cards
from vqvae_tf.tasks.sequences import examples
from vqvae_tf.tasks.sequences.recipe import open_split
from vqvae_tf.training import averaging

FOLDER = command.DOCS / "sequences"
_STATES = ("event_shape", "latent_sizes", "hidden_units")
# The keys of the recipe's model that a row keeps, and those it has beside.
ROWS = {
    "TD-VAE": (None, {}),
    "filtering": (
        _STATES,
        dict(name="StateSpaceModel", posterior="filtering"),
    ),
    "mean field": (
        _STATES,
        dict(name="StateSpaceModel", posterior="mean_field"),
    ),
    "next frame": (("event_shape",), dict(name="NextFrameModel")),
}


def config_of(recipe, row):
    """Returns a recipe with the model of a row."""
    config = recipes.load_recipe(recipe)
    kept, options = ROWS[row]
    if kept is not None:
        section = {k: config.model[k] for k in kept} | options
        with config.unlocked():
            config.model = recipes.defaults("sequences").model
            config.model.update(section)
    return recipes.check_recipe(config)


def run(recipe, row, seed, minutes, data_dir):
    """Trains and measures one model; returns its figures."""
    config = config_of(recipe, row)
    config.seed = seed
    keras.utils.set_random_seed(seed)
    model = building.make_autoencoder(config)
    clip = config.training.clip_norm
    model.compile(
        Adam(
            use_ema=True,
            ema_momentum=0.999,
            ema_of_run=True,
            global_clipnorm=clip,
        )
    )
    training = open_split(config.data, config.data.train_split, data_dir)
    budget = Budget(60 * minutes, config.training.learning_rate)
    history = model.fit(
        data.sequence_batches(training, config.training.batch_size, seed),
        steps_per_epoch=200,
        epochs=10**6,
        verbose=0,
        callbacks=[budget],
    )
    averaging.use_averages(model)
    figures = tasks.measure(model, cards.describe(config), data_dir, False)
    return {
        "recipe": config.name,
        "row": row,
        "seed": seed,
        "parameters": model.count_params(),
        "minutes": minutes,
        "steps": budget.steps,
        "figures": figures,
        "objective": history.history["objective"],
        "processor": command.processor(),
    }


def copied(recipe, data_dir):
    """Returns the figures of copying the last frame of moving digits."""
    config = recipes.load_recipe(recipe)
    training, held_out = (
        examples.spread(open_split(config.data, split, data_dir), 1000)[0]
        for split in (config.data.train_split, config.data.eval_split)
    )
    bits = prediction.copied_bits(training, held_out)
    return {
        "recipe": config.name,
        "row": "copy",
        "seed": 0,
        "figures": {
            prediction.key_of(gap): float(each.mean())
            for gap, each in bits.items()
        },
    }


def table(folder):
    """Returns the tables of all runs, in Markdown: means over seeds."""
    runs = [json.loads(path.read_text()) for path in sorted(folder.glob("*"))]
    return "\n\n".join(
        _table([r for r in runs if r["recipe"] == recipe])
        for recipe in sorted({r["recipe"] for r in runs})
    )


def _table(runs):
    names = [row for row in (*ROWS, "copy") if row in {r["row"] for r in runs}]
    rows = {name: [r for r in runs if r["row"] == name] for name in names}
    keys = max((r["figures"] for r in runs), key=len)
    lines = [f"| {runs[0]['recipe']} | {' | '.join(names)} |"]
    lines.append(f"| --- |{' --- |' * len(names)}")
    for what in ("parameters", "steps"):
        values = [[r[what] for r in rows[n] if what in r] for n in names]
        cells = [f"{np.mean(v):,.0f}" if v else "" for v in values]
        lines.append(f"| {what} | {' | '.join(cells)} |")
    for key in keys:
        if key == "examples":
            continue
        cells = [
            command.mean([r["figures"].get(key) for r in rows[n]])
            for n in names
        ]
        lines.append(f"| `{key}` | {' | '.join(cells)} |")
    return "\n".join(lines)


def main():
    parser = command.parser(
        __doc__,
        data_dir=None,
        recipe="tdvae_digits",
        rows=";".join(ROWS),
        seeds="0,1,2",
        minutes=15.0,
        folder=str(FOLDER),
    )
    parser.add_argument("--table", action="store_true")
    arguments = parser.parse_args()
    folder = command.folder_of_runs(arguments, table)
    if folder is None:
        return
    name = recipes.load_recipe(arguments.recipe).name
    jobs = {}
    if recipes.load_recipe(arguments.recipe).data.form == "moving":
        jobs["copy", 0] = functools.partial(
            copied, arguments.recipe, arguments.data_dir
        )
    for seed in map(int, arguments.seeds.split(",")):
        for row in arguments.rows.split(";"):
            jobs[row, seed] = functools.partial(
                run,
                arguments.recipe,
                row,
                seed,
                arguments.minutes,
                arguments.data_dir,
            )
    for (row, seed), job in jobs.items():
        words = row.replace(" ", "_")
        path = folder / f"{name}-{words}-{seed}.json"
        if not path.exists():
            command.write(path, job())


if __name__ == "__main__":
    main()
