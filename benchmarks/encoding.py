"""Encoding a data set, against the bare encoder fed with one batch.

    python benchmarks/encoding.py vqvae_cifar10 tfds:cifar10 --split test
    python benchmarks/encoding.py vqvae_cifar10 tfds:cifar10 --memory
    python benchmarks/encoding.py vqvae_cifar10 tfds:cifar10 --reading
    python benchmarks/encoding.py vqvae_photo128 vqvae_tf/samples/photos \
        --split train --policy mixed_float16

The first times both in turn, for as many pictures: the share is the bare
encoder's time over that of `vqvae-tf encode` without the start, reading from
disk, decoding, encoding, serialising and writing shards included. --memory
compares the peak memory of encoding a set and four times as much. --reading
gives the processor time that reading and decoding take alone. --policy tells
how many codes another dtype policy leaves as they are in float32.
"""

import argparse
import pathlib
import tempfile
import time

import command
import keras
import numpy as np
import tensorflow as tf
import timing

from vqvae_tf import presets
from vqvae_tf.encoding import dataset as code_sets
from vqvae_tf.encoding.job import Job
from vqvae_tf.encoding.plan import Plan
from vqvae_tf.evaluation.statistics import psnr


def opened(arguments):
    """Returns the open job, and the plan of all shards."""
    job = Job(
        arguments.preset,
        arguments.source,
        output="",
        split=arguments.split,
        data_dir=arguments.data_dir,
        file_format=arguments.format,
        num_shards=arguments.num_shards,
        batch_size=arguments.batch,
    )
    found = job.open()
    return found, Plan(found)


def encode(job, plan):
    """Writes all shards to a folder of its own; returns how many rows."""
    with tempfile.TemporaryDirectory() as folder:
        made = code_sets.make_shards(
            pathlib.Path(folder), plan.shards, job, plan.code_shapes
        )
        return sum(content.examples for _, content in made)


def speed(arguments):
    """Prints the share of the bare encoder's speed, pair by pair."""
    job, plan = opened(arguments)
    encoder, found = job.encoder, {}

    def whole():
        found["rows"] = encode(job, plan)

    whole()  # how many rows there are
    side = encoder.form.size
    shape = [arguments.batch, side, side, encoder.form.channels]
    images = tf.constant(
        np.random.default_rng(0).integers(256, size=shape), tf.uint8
    )
    steps = found["rows"] / arguments.batch

    def bare():
        for _ in range(round(steps)):
            codes = encoder.function(images)["codes"]
        codes.numpy()

    cpu = {}

    def with_cpu(name, function):
        def call():
            start = time.process_time()
            function()
            cpu.setdefault(name, []).append(time.process_time() - start)

        return call

    times = timing.paired(
        {"whole": with_cpu("whole", whole), "bare": with_cpu("bare", bare)},
        arguments.runs,
    )
    shares = timing.ratios(times, "whole", "bare")
    rows = found["rows"]
    print(f"{arguments.preset}, {arguments.source}: {rows} pictures,", end=" ")
    print(f"batch {arguments.batch}, {len(plan.shards)} shards, ", end="")
    print(arguments.format)
    for name, values in times.items():
        rate = timing.summary([rows / t for t in values])
        print(f"{name:6} pictures/s {rate}")
    print(f"share of the bare encoder's speed {timing.summary(shares)}")
    # What remains where other processes take a part of the machine.
    extra = [a / b for a, b in zip(cpu["bare"], cpu["whole"])]
    print(f"share, by processor time          {timing.summary(extra[1:])}")


def pictures(readers, batch):
    for reader in readers.values():
        for found in reader.batches(0, len(reader), batch):
            yield found["image"]


def reading(arguments):
    """Prints the processor time of a picture: reading it, encoding it."""
    job, _ = opened(arguments)
    encoder, readers = job.encoder, job.readers
    found = {"reading": [], "encoding": []}
    for _ in range(arguments.runs + 1):
        start, rows = time.process_time(), 0
        for images in pictures(readers, arguments.batch):
            rows += len(images)
        found["reading"].append(1e6 * (time.process_time() - start) / rows)
        shape = (arguments.batch, *images.shape[1:])
        batch = tf.constant(np.resize(images, shape))
        start = time.process_time()
        steps = -(-rows // arguments.batch)
        for _ in range(steps):
            codes = encoder.function(batch)["codes"]
        codes.numpy()
        encoding = (time.process_time() - start) / (steps * arguments.batch)
        found["encoding"].append(1e6 * encoding)
    for name, values in found.items():
        print(f"{name:8} us of processor time {timing.summary(values[1:])}")


def policy(arguments):
    """Prints what another policy changes in codes, and the PSNR of both."""
    readers = opened(arguments)[0].readers
    codes = {}
    for name in ("float32", arguments.policy):
        keras.config.set_dtype_policy(name)
        model = presets.load(arguments.preset).autoencoder
        found, errors = [], []
        for images in pictures(readers, arguments.batch):
            found.append(model.encode(images).numpy())
            again = model.reconstruct(images).numpy().astype(float)
            errors.append(((again - images) ** 2).mean(axis=(1, 2, 3)))
        codes[name] = np.concatenate(found)
        error = np.concatenate(errors).mean()
        print(f"{name}: {psnr(error):.2f} dB")
    same = np.mean(codes["float32"] == codes[arguments.policy])
    print(f"equal codes: {100 * same:.1f} % of {codes['float32'].size}")


def memory(arguments):
    """Prints the peak memory for a part of the set, and for four parts."""
    peaks = []
    for part in (arguments.part, 4 * arguments.part):
        split = f"{arguments.split}[:{part}]"
        words = [__file__, arguments.preset, arguments.source, "--peak"]
        words += [f"--split={split}", f"--batch={arguments.batch}"]
        words += [f"--format={arguments.format}", "--num_shards=2"]
        if arguments.data_dir:
            words += [f"--data_dir={arguments.data_dir}"]
        peaks += timing.in_process(*words)
        print(f"{split}: peak {peaks[-1]:.0f} MiB")
    print(f"four times as many: {peaks[1] - peaks[0]:+.0f} MiB")


def peak(arguments):
    encode(*opened(arguments))
    print(timing.peak_mib())


def main():
    parser = command.parser(
        __doc__,
        data_dir=None,
        split="test",
        format="tfrecord",
        batch=64,
        runs=7,
    )
    parser.add_argument("preset")
    parser.add_argument("source")
    parser.add_argument("--num_shards", type=int)
    parser.add_argument("--memory", action="store_true")
    parser.add_argument("--reading", action="store_true")
    parser.add_argument("--policy", help="such as mixed_float16")
    parser.add_argument(
        "--part", type=int, default=2500, help="units, for --memory"
    )
    parser.add_argument("--peak", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.peak:
        peak(arguments)
    elif arguments.memory:
        memory(arguments)
    elif arguments.reading:
        reading(arguments)
    elif arguments.policy:
        policy(arguments)
    else:
        speed(arguments)


if __name__ == "__main__":
    main()
