"""Latency of an exported SavedModel's signatures against calls in Python.

    python benchmarks/saved_model.py [--preset vqvae_cifar10] [--runs 20]

A call in Python is the model's own method, as a user writes it (eager); the
SavedModel is one that `vqvae_tf.export` wrote, loaded with TensorFlow. Batches
of 1 and 8 pictures, in turn, first compared: codes must be equal, pictures to
one level.
"""

import os
import tempfile

import command
import numpy as np
import tensorflow as tf
import timing

from vqvae_tf import presets
from vqvae_tf.export.saved_model import export


def calls(generator, signatures, batch):
    """Yields (name, call in Python, call of the SavedModel)."""
    autoencoder = generator.autoencoder
    shape = [
        n * autoencoder.downsampling for n in generator.prior.event_shape
    ] + [autoencoder.event_shape[-1]]
    rng = np.random.default_rng(0)
    images = tf.constant(rng.integers(0, 256, [batch, *shape], np.uint8))
    codes = autoencoder.encode(images)
    labels = generator.prior.global_channels
    context = {"global": tf.one_hot([0] * batch, labels)} if labels else None
    label = {"labels": tf.zeros([1], tf.int32)} if labels else {}

    def served(name, output, **inputs):
        return lambda: signatures[name](**inputs)[output].numpy()

    pictures, maps = {"images": images}, {"codes": codes}
    drawn = {
        "num_samples": tf.constant(batch),
        "temperature": tf.constant(1.0),
        "seed": tf.constant(1),
    }

    def sample():
        return generator.sample(batch, context=context, seed=1)

    def score():
        return generator.bits_per_dim(images, context)["total"]

    for name, python, output, inputs in (
        ("encode", lambda: generator.encode(images), "codes", pictures),
        ("decode", lambda: generator.decode(codes), "images", maps),
        (
            "reconstruct",
            lambda: generator.reconstruct(images),
            "images",
            pictures,
        ),
        ("score", score, "bits_per_dim", {**pictures, **label}),
        ("sample", sample, "images", {**drawn, **label}),
    ):
        yield (
            name,
            lambda call=python: call().numpy(),
            served(name, output, **inputs),
        )


def compare(name, python, served, runs):
    """Prints both latencies, after a look at both results."""
    ours, theirs = python(), served()
    tolerance = 1 if ours.dtype == np.uint8 else 1e-3
    difference = np.abs(ours.astype(np.float64) - theirs).max()
    if difference > (0 if name == "encode" else tolerance):
        raise SystemExit(f"{name} differs by {difference}.")
    print(f"  {name}")
    times = timing.paired({"SavedModel": served, "Python": python}, runs, 2)
    timing.report(times, "SavedModel", indent="    ")


def main():
    parser = command.parser(__doc__, batches="1,8", runs=20)
    parser.add_argument(
        "--preset",
        default="vqvae_cifar10",
        help="of pictures, with a prior",
    )
    options = parser.parse_args()
    generator = presets.load(options.preset)
    with tempfile.TemporaryDirectory() as folder:
        path = export(generator, os.path.join(folder, options.preset))
        signatures = tf.saved_model.load(str(path)).signatures
    for batch in map(int, options.batches.split(",")):
        print(f"{options.preset}, batch {batch}", flush=True)
        for what in calls(generator, signatures, batch):
            compare(*what, options.runs)


if __name__ == "__main__":
    main()
