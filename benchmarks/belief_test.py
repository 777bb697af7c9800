"""The paper's belief test: has a model kept which frequency was higher?

    python benchmarks/belief_test.py
    python benchmarks/belief_test.py --table

Oscillators of four segments, [0, 10), [10, 20), [20, 120) and [120, 140): the
frequency of the last one depends on whether the first two's fell or rose. A
linear classifier is fitted to the belief after frame 119, on 4,000 sequences,
and scored on 2,000 others. TD-VAE and the recurrent network of the next frame
have one encoder, recurrent layer and budget. A run writes
docs/belief_test/ROW-SEED.json; runs whose file exists are skipped.
"""

import json

import command
import keras
import numpy as np
import tensorflow as tf
from budget import Budget

from vqvae_tf import data
from vqvae_tf.data.sequences.batches import evaluation_sequences
from vqvae_tf.densities import LayeredGaussian
from vqvae_tf.models import TDVAE, NextFrameModel
from vqvae_tf.runtime.adam import Adam
from vqvae_tf.training import averaging

FOLDER = command.DOCS / "belief_test"
ROWS = ("TD-VAE", "next frame")
BEFORE = 120  # frames before the last segment
UNITS, HIDDEN = 50, 50
TRAINING, TEST = 4000, 2000


def make(row, seed):
    """Returns a new model of a row."""
    keras.utils.set_random_seed(seed)
    parts = (
        keras.layers.Identity(),
        keras.layers.LSTM(UNITS, return_sequences=True),
    )
    shared = dict(
        preprocess=keras.layers.Identity(), event_shape=(1,), seed=seed
    )
    if row == "next frame":
        decoder = LayeredGaussian((1,), UNITS, HIDDEN)
        return NextFrameModel(*parts, decoder, **shared)
    return TDVAE(
        *parts,
        LayeredGaussian((1,), 16, HIDDEN),
        latent_sizes=(8, 8),
        hidden_units=HIDDEN,
        gaps=((1, 10), (1, 120)),
        gap_weights=(0.8, 0.2),
        num_pairs=8,
        **shared,
    )


def run(row, seed, minutes):
    """Trains a model; returns how well its belief tells the order."""
    model = make(row, seed)
    model.build()
    model.compile(
        Adam(
            use_ema=True,
            ema_momentum=0.999,
            ema_of_run=True,
            global_clipnorm=10.0,
        )
    )
    budget = Budget(60 * minutes, 1e-3)
    history = model.fit(
        data.sequence_batches(data.SwitchingOscillators(stream=1), 64, seed),
        steps_per_epoch=200,
        epochs=10**6,
        verbose=0,
        callbacks=[budget],
    )
    averaging.use_averages(model)
    accuracy = probe(*beliefs(model, 2, TRAINING), *beliefs(model, 3, TEST))
    return {
        "row": row,
        "seed": seed,
        "parameters": model.count_params(),
        "minutes": minutes,
        "steps": budget.steps,
        "accuracy": accuracy,
        "objective": history.history["objective"],
        "processor": command.processor(),
    }


def beliefs(model, stream, count):
    """Returns beliefs before the last segment, and the answers."""
    source = data.SwitchingOscillators(num_examples=count, stream=stream)
    x, _, known = evaluation_sequences(source)
    graph = tf.function(lambda x: model.belief(x)[:, -1], autograph=False)
    found = [
        graph(x[i : i + 200, :BEFORE]).numpy() for i in range(0, count, 200)
    ]
    return np.concatenate(found), known["is_greater"]


def probe(x, y, x_test, y_test, penalty=1e-3, steps=50):
    """Returns the accuracy of a logistic regression, fitted by Newton steps."""
    mean, std = x.mean(axis=0), x.std(axis=0) + 1e-6

    def design(x):
        standard = (x.astype(np.float64) - mean) / std
        return np.concatenate([standard, np.ones([len(x), 1])], axis=1)

    inputs, weights = design(x), np.zeros(x.shape[1] + 1)
    for _ in range(steps):
        p = 1 / (1 + np.exp(-np.clip(inputs @ weights, -30, 30)))
        gradient = inputs.T @ (p - y) / len(x) + penalty * weights
        curvature = (inputs * (p * (1 - p))[:, None]).T @ inputs / len(x)
        curvature += penalty * np.eye(len(weights))
        weights -= np.linalg.solve(curvature, gradient)
    return float(np.mean((design(x_test) @ weights > 0) == y_test))


def table(folder):
    """Returns the table of all runs, in Markdown."""
    lines = [
        "| model | parameters | seeds | steps | right |",
        "| --- | --- | --- | --- | --- |",
    ]
    found = {}
    for path in sorted(folder.glob("*.json")):
        each = json.loads(path.read_text())
        found.setdefault(each["row"], []).append(each)
    for row in ROWS:
        runs = found.get(row, [])
        if not runs:
            continue
        right = [100 * r["accuracy"] for r in runs]
        steps = np.mean([r["steps"] for r in runs])
        cells = [
            row,
            f"{runs[0]['parameters']:,}",
            str(len(runs)),
            f"{steps:,.0f}",
            f"{command.mean(right, '.1f')} %",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    if all(found.get(row) for row in ROWS):
        lines += ["", _difference(*(found[row] for row in ROWS))]
    return "\n".join(lines)


def _difference(first, second):
    """Returns by how much the first row is better, seed by seed."""
    by_seed = {r["seed"]: 100 * r["accuracy"] for r in second}
    gains = [
        100 * r["accuracy"] - by_seed[r["seed"]]
        for r in first
        if r["seed"] in by_seed
    ]
    return (
        f"{ROWS[0]} is right {command.mean(gains, '.1f')} points more often "
        f"({len(gains)} seeds)."
    )


def main():
    parser = command.parser(
        __doc__,
        rows=";".join(ROWS),
        seeds=",".join(map(str, range(10))),
        minutes=5.0,
        folder=str(FOLDER),
    )
    parser.add_argument("--table", action="store_true")
    arguments = parser.parse_args()
    folder = command.folder_of_runs(arguments, table)
    if folder is None:
        return
    for seed in map(int, arguments.seeds.split(",")):
        for row in arguments.rows.split(";"):
            path = folder / f"{row.replace(' ', '_')}-{seed}.json"
            if not path.exists():
                command.write(path, run(row, seed, arguments.minutes))


if __name__ == "__main__":
    main()
