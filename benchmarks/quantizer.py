"""Look-up and EMA update against the textbook form, time and memory.

    python benchmarks/quantizer.py [--latents 65536] [--embeddings 8192]

The textbook form (as in Keras' own example and most public code) computes all
distances |x|^2 - 2 x.e + |e|^2 and multiplies by a one-hot [N, K] matrix. Time
is measured in pairs in one process, peak memory in a process for each.
"""

import argparse
import os
import subprocess
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import tensorflow as tf  # noqa: E402
import timing  # noqa: E402

from vqvae_tf import VectorQuantizerEMA  # noqa: E402

DIM = 64


def ours(latents, embeddings):
    layer = VectorQuantizerEMA(embeddings, DIM)
    layer.build(latents.shape)
    step = tf.function(lambda: layer(latents, training=True))
    return lambda: step().numpy()


def textbook(latents, embeddings):
    codebook = tf.Variable(tf.random.uniform([embeddings, DIM], -0.1, 0.1))
    counts = tf.Variable(tf.ones([embeddings]))
    sums = tf.Variable(codebook)

    @tf.function
    def step():
        distances = (
            tf.reduce_sum(latents**2, axis=1, keepdims=True)
            - 2 * tf.matmul(latents, codebook, transpose_b=True)
            + tf.reduce_sum(codebook**2, axis=1)
        )
        one_hot = tf.one_hot(tf.argmin(distances, axis=1), embeddings)
        quantized = tf.matmul(one_hot, codebook)
        counts.assign(0.99 * counts + 0.01 * tf.reduce_sum(one_hot, axis=0))
        sums.assign(
            0.99 * sums + 0.01 * tf.matmul(one_hot, latents, transpose_a=True)
        )
        codebook.assign(sums / counts[:, tf.newaxis])
        return latents + tf.stop_gradient(quantized - latents)

    return lambda: step().numpy()


FORMS = {"ours": ours, "textbook": textbook}


def measure_memory(arguments):
    """Runs one form in a process of its own; prints its additional MiB."""
    latents = tf.random.normal([arguments.latents, DIM])
    FORMS[arguments.memory_of](latents[:64], 16)()
    before = timing.peak_mib()
    step = FORMS[arguments.memory_of](latents, arguments.embeddings)
    step()
    step()
    print(timing.peak_mib() - before)


def memory(name, arguments) -> float:
    command = [sys.executable, __file__, "--memory_of", name]
    command += ["--latents", str(arguments.latents)]
    command += ["--embeddings", str(arguments.embeddings)]
    run = subprocess.run(command, check=True, capture_output=True, text=True)
    return float(run.stdout.split()[-1])


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--latents", type=int, default=65_536)
    parser.add_argument("--embeddings", type=int, default=8_192)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--memory_of", choices=FORMS)
    arguments = parser.parse_args()
    if arguments.memory_of:
        measure_memory(arguments)
        return
    latents = tf.random.normal([arguments.latents, DIM], seed=0)
    times = timing.paired(
        {k: v(latents, arguments.embeddings) for k, v in FORMS.items()},
        arguments.runs,
    )
    print(f"N={arguments.latents} K={arguments.embeddings} D={DIM}")
    for name, values in times.items():
        print(f"{name:10} seconds {timing.summary(values)}")
    speedup = timing.ratios(times, "ours", "textbook")
    print(f"textbook / ours, time: {timing.summary(speedup)}")
    mib = {name: memory(name, arguments) for name in FORMS}
    for name, value in mib.items():
        print(f"{name:10} peak memory of a step {value:.0f} MiB")
    ratio = mib["textbook"] / max(mib["ours"], 1.0)
    print(f"textbook / ours, memory: {ratio:.1f}")


if __name__ == "__main__":
    main()
