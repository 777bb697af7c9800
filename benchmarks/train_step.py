"""The train step of a VQ-VAE in float32, bfloat16, and with XLA.

    python benchmarks/train_step.py [--batch 64] [--hidden 128]

CIFAR shape, K=512; ratios to float32 without XLA, timed in turn in one run.
"""

import argparse
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras  # noqa: E402
import tensorflow as tf  # noqa: E402
import timing  # noqa: E402

import vqvae_tf as vq  # noqa: E402


def train_step(policy, jit, images, hidden):
    """Returns a function that makes one train step."""
    keras.config.set_dtype_policy(policy)
    likelihood = vq.Gaussian()
    model = vq.VQVAE(
        vq.Encoder(output_channels=64, hidden_channels=hidden),
        vq.VectorQuantizerEMA(512, 64),
        vq.FactorizedDensity(
            vq.Decoder(likelihood.num_parameters(3), hidden), likelihood
        ),
    )
    model.build()
    optimizer = keras.optimizers.Adam()
    optimizer.build(model.trainable_variables)
    model.compile(optimizer)
    step = tf.function(lambda: model.train_step(images), jit_compile=jit)
    return lambda: float(step()["loss"])


def gemm_gflops(policy, size=2048) -> float:
    """Returns the machine's own matrix product speed, in GFLOP/s."""
    dtype = tf.bfloat16 if "bfloat16" in policy else tf.float32
    a = tf.cast(tf.random.normal([size, size]), dtype)
    product = tf.function(lambda: tf.reduce_sum(a @ a))
    times = timing.paired({"gemm": lambda: product().numpy()})["gemm"]
    return 2 * size**3 / min(times) / 1e9


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--hidden", type=int, default=128)
    parser.add_argument("--runs", type=int, default=7)
    arguments = parser.parse_args()
    images = tf.cast(
        tf.random.uniform([arguments.batch, 32, 32, 3], maxval=256), tf.uint8
    )
    kinds = {
        "float32": ("float32", False),
        "bfloat16": ("mixed_bfloat16", False),
        "float32, XLA": ("float32", True),
        "bfloat16, XLA": ("mixed_bfloat16", True),
    }
    steps = {
        name: train_step(policy, jit, images, arguments.hidden)
        for name, (policy, jit) in kinds.items()
    }
    times = timing.paired(steps, arguments.runs)
    for policy in ("float32", "bfloat16"):
        print(f"matrix product in {policy}: {gemm_gflops(policy):.0f} GFLOP/s")
    print(f"batch {arguments.batch}, 32x32, hidden {arguments.hidden}")
    for name, values in times.items():
        rate = [arguments.batch / t for t in values]
        speedup = timing.ratios(times, name, "float32")
        print(
            f"{name:14} images/s {timing.summary(rate)}; "
            f"speed over float32 {timing.summary(speedup)}"
        )


if __name__ == "__main__":
    main()
