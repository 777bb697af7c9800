"""Semantic IDs: a residual VQ-VAE of vectors, measured on held-out ones.

    python benchmarks/semantic_ids.py --data_dir=TFDS
    python benchmarks/semantic_ids.py --data_dir=TFDS --split=validation
    python benchmarks/semantic_ids.py --table

An item is a picture of CIFAR-10, and its vector what the encoder of a preset
makes of it: latents averaged over each quarter, 4 x 64 numbers. A small dense
autoencoder with a `ResidualQuantizer` is trained on the vectors of 45,000
training pictures; --split=validation, the other 5,000, is for choosing
settings, and figures are of the 10,000 test pictures. It is trained once for
each of --seeds, and docs/semantic_ids.json gets an entry for each.
"""

import collections
import json
import time

import command
import keras
import numpy as np
import tensorflow as tf

import vqvae_tf as vq
from vqvae_tf import data
from vqvae_tf.quantizers import ResidualQuantizer, VectorQuantizerEMA, usage
from vqvae_tf.utils.paths import expand

FILE = command.DOCS / "semantic_ids.json"
SPLITS = {"train": "train[:45000]", "validation": "train[45000:]"}
SIDE = 2  # latents are averaged over SIDE x SIDE parts of a picture


# Items ------------------------------------------------------------------------


def pooled(latents, side=SIDE):
    """Means over side x side parts: `[N, h, w, D]` to `[N, side**2 * D]`."""
    rows, height, width, channels = latents.shape
    if height % side or width % side:
        raise ValueError(
            f"Latents of {height}x{width} do not divide into {side}x{side}."
        )
    parts = [rows, side, height // side, side, width // side, channels]
    return np.mean(np.reshape(latents, parts), axis=(2, 4)).reshape(rows, -1)


def vectors_of(model, images):
    """Returns the vectors and the labels of an `ImageSource`, in order."""
    latents = tf.function(model.latents, autograph=False)
    vectors, labels = [], []
    for x, context, weight in data.evaluation_batches(
        images, 100, num_classes=images.num_classes
    ):
        kept = weight.numpy() > 0
        vectors.append(pooled(latents(x).numpy())[kept])
        labels.append(np.argmax(context["global"], axis=-1)[kept])
    return np.concatenate(vectors), np.concatenate(labels)


def items(preset, data_dir, split):
    """Vectors of training and of held-out items, normalized, and labels.

    Both by the training items' mean and standard deviation of each channel.
    """
    model = vq.LatentGenerator.from_preset(preset).autoencoder
    found = {
        name: vectors_of(
            model,
            data.open_images("tfds:cifar10", SPLITS.get(name, name), data_dir),
        )
        for name in ("train", split)
    }
    train = found["train"][0]
    mean, scale = train.mean(axis=0), train.std(axis=0) + 1e-6
    vectors, labels = found[split]
    return (train - mean) / scale, (vectors - mean) / scale, labels


# The model --------------------------------------------------------------------


def quantizer_with(levels, codes, channels, seed):
    """A residual quantizer whose codebooks start from data."""
    if levels < 2:
        raise ValueError(f"An ID needs 2 levels or more. Received: {levels}.")
    stage = VectorQuantizerEMA(
        codes,
        channels,
        initialize_from_data=True,
        restart_after=20,
        seed=seed,
        name="level",
    )
    return ResidualQuantizer(stage, levels, name="ids")


def autoencoder(size, quantizer, hidden):
    """Returns the model, its encoder and its decoder, of `[N, size]`."""

    def dense(units, outputs, inputs, name):
        hidden_layers = [keras.layers.Dense(n, "relu") for n in units]
        return keras.Sequential(
            [
                keras.Input((inputs,)),
                *hidden_layers,
                keras.layers.Dense(outputs),
            ],
            name=name,
        )

    encoder = dense(hidden, quantizer.channels, size, "encoder")
    decoder = dense(hidden[::-1], size, quantizer.channels, "decoder")
    inputs = keras.Input((size,))
    outputs = decoder(quantizer(encoder(inputs)))
    return keras.Model(inputs, outputs), encoder, decoder


def fit(model, vectors, batch, epochs, seed):
    """Trains the model; returns the seconds of processors it took."""
    steps = epochs * -(-len(vectors) // batch)
    rate = keras.optimizers.schedules.CosineDecay(
        0.0, steps, warmup_target=1e-3, warmup_steps=min(100, steps // 2)
    )
    keras.utils.set_random_seed(seed)
    model.compile(keras.optimizers.Adam(rate), "mse")
    begun = time.process_time()
    model.fit(vectors, vectors, batch_size=batch, epochs=epochs, verbose=2)
    return time.process_time() - begun


# Figures ----------------------------------------------------------------------


def collision_rate(ids):
    """The share of items whose ID, a row of `ids`, is not theirs alone."""
    _, which, counts = np.unique(
        ids, axis=0, return_inverse=True, return_counts=True
    )
    return float(np.mean(counts[which.ravel()] > 1))


def same_class(ids, labels):
    """Of the pairs of items with one ID, the share of one class, and all."""
    groups = collections.defaultdict(collections.Counter)
    for row, label in zip(ids.tolist(), labels.tolist(), strict=True):
        groups[tuple(row)][label] += 1
    pairs = sum(n * (n - 1) for g in groups.values() for n in [g.total()])
    same = sum(n * (n - 1) for g in groups.values() for n in g.values())
    return (same / pairs if pairs else 0.0), pairs // 2


def commitment_gradients(quantizer, latents):
    """Norm of the gradient of each level's own loss to the encoder's output.

    It is 0 from the second level on where a stage is given what is left of a
    straight-through output (docs/migrating.md).
    """
    costs = [stage.commitment_cost for stage in quantizer.stages]
    norms = []
    for level in range(len(costs)):
        for i, stage in enumerate(quantizer.stages):
            stage.commitment_cost = costs[i] * (i == level)
        with tf.GradientTape() as tape:
            tape.watch(latents)
            quantizer(latents, training=False)
            loss = tf.add_n(quantizer.losses)
        norms.append(float(tf.norm(tape.gradient(loss, latents))))
    for stage, cost in zip(quantizer.stages, costs, strict=True):
        stage.commitment_cost = cost
    return norms


def figures(encoder, quantizer, decoder, vectors, labels):
    """Returns a dict for each number of levels, of held-out vectors."""
    latents = tf.constant(encoder.predict(vectors, verbose=0))
    ids = quantizer.encode(latents).numpy()
    gradients = commitment_gradients(quantizer, latents)
    levels = []
    for n in range(1, ids.shape[1] + 1):
        restored = decoder.predict(
            quantizer.decode(ids[:, :n]).numpy(), verbose=0
        )
        counts = np.bincount(ids[:, n - 1], minlength=quantizer.num_embeddings)
        counts = tf.constant(counts[None], tf.float32)
        share, pairs = same_class(ids[:, :n], labels)
        levels.append(
            {
                "levels": n,
                "usage": float(usage.usage(counts)),
                "perplexity": float(usage.perplexity(counts)),
                "mse_over_variance": float(
                    np.mean((restored - vectors) ** 2) / np.var(vectors)
                ),
                "collision_rate": collision_rate(ids[:, :n]),
                "same_class": share,
                "pairs": pairs,
                "commitment_gradient": gradients[n - 1],
            }
        )
    return levels


def run(arguments, seed, train, vectors, labels):
    """Trains with one seed; returns what there is to know of it."""
    keras.utils.set_random_seed(seed)
    quantizer = quantizer_with(
        arguments.levels, arguments.codes, arguments.channels, seed
    )
    hidden = [int(n) for n in arguments.hidden.split(",")]
    model, encoder, decoder = autoencoder(train.shape[1], quantizer, hidden)
    seconds = fit(model, train, arguments.batch, arguments.epochs, seed)
    return {
        "seed": seed,
        "split": arguments.split,
        "items": len(vectors),
        "codes": arguments.codes,
        "cpu_seconds": round(seconds),
        "levels": figures(encoder, quantizer, decoder, vectors, labels),
    }


def table(runs):
    """Returns the runs in Markdown: a row for each number of levels."""
    lines = [
        "| levels | usage of the last | its perplexity | MSE / variance "
        "| items that share their ID | pairs with one ID of one class "
        "| commitment gradient |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for rows in zip(*(one["levels"] for one in runs), strict=True):

        def mean(key, form, rows=rows):
            return format(np.mean([row[key] for row in rows]), form)

        cells = [
            str(rows[0]["levels"]),
            mean("usage", ".0%"),
            mean("perplexity", ".0f"),
            mean("mse_over_variance", ".3f"),
            mean("collision_rate", ".2%"),
            # A few pairs say nothing.
            mean("same_class", ".1%") * (rows[0]["pairs"] >= 1000),
            mean("commitment_gradient", ".1e"),
        ]
        lines.append(f"| {' | '.join(cells)} |".replace("%", " %"))
    return "\n".join(lines)


def main():
    parser = command.parser(
        __doc__,
        data_dir=None,
        preset="vqvae_cifar10",
        split="test",
        seeds="0,1,2",
        levels=4,
        codes=256,
        channels=32,
        hidden="256,128",
        batch=1024,
        epochs=20,
        output=str(FILE),
    )
    parser.add_argument("--table", action="store_true", help="of the output")
    arguments = parser.parse_args()
    path = expand(arguments.output)
    if not arguments.table:
        found = items(arguments.preset, arguments.data_dir, arguments.split)
        seeds = [int(seed) for seed in arguments.seeds.split(",")]
        runs = [run(arguments, seed, *found) for seed in seeds]
        command.write(path, runs)
    print(table(json.loads(path.read_text())))


if __name__ == "__main__":
    main()
