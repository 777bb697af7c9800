"""Latency of an exported SavedModel's signatures against calls in Python.

    python benchmarks/saved_model.py [--preset vqvae_cifar10] [--runs 20]

A call in Python is the model's own method, as a user writes it (eager); the
SavedModel is one that `vqvae_tf.export` wrote, loaded with TensorFlow. Batches
of 1 and 8 pictures, in turn, first compared: codes must be equal, pictures to
one level.
"""

import argparse
import os
import tempfile

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402
import timing  # noqa: E402

from vqvae_tf import presets  # noqa: E402
from vqvae_tf.export.saved_model import export  # noqa: E402


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

    yield (
        "encode",
        lambda: generator.encode(images).numpy(),
        served("encode", "codes", images=images),
    )
    yield (
        "decode",
        lambda: generator.decode(codes).numpy(),
        served("decode", "images", codes=codes),
    )
    yield (
        "reconstruct",
        lambda: generator.reconstruct(images).numpy(),
        served("reconstruct", "images", images=images),
    )
    yield (
        "score",
        lambda: generator.bits_per_dim(images, context)["total"].numpy(),
        served("score", "bits_per_dim", images=images, **label),
    )
    yield (
        "sample",
        lambda: generator.sample(batch, context=context, seed=1).numpy(),
        served(
            "sample",
            "images",
            num_samples=tf.constant(batch),
            temperature=tf.constant(1.0),
            seed=tf.constant(1),
            **label,
        ),
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
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument(
        "--preset",
        default="vqvae_cifar10",
        help="of pictures, with a prior",
    )
    parser.add_argument("--batches", default="1,8")
    parser.add_argument("--runs", type=int, default=20)
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
