"""A VQ-VAE's train step and inference: ours, PyTorch's, plain Keras'.

    python benchmarks/train_step.py [--batch 128] [--residual_channels 32]

One architecture for all: 32x32 RGB, two strided convolutions, two residual
blocks, K=512 embeddings of 64 channels, the same backwards. A train step is
forward, backward, Adam and the codebook's moving averages; inference is
reconstruction. PyTorch has lucidrains' quantizer, Keras the textbook's; both
minimise a squared error, ours the default, a Gaussian's mass in each pixel's
bin. PyTorch is run in both memory formats; the faster one is compared.
"""

import statistics

import command
import flops
import keras
import numpy as np
import peers
import steps
import tensorflow as tf
import textbook
import timing

POLICIES = {"float32": "float32", "bfloat16": "mixed_bfloat16"}


def our_steps(images, options):
    """Returns our train step and inference."""
    sizes = {
        "hidden_channels": options.hidden,
        "residual_channels": options.residual_channels,
    }
    model = steps.vqvae(**sizes)
    train = steps.train_step(model, jit_compile=options.xla)
    infer = tf.function(model.reconstruct)
    return lambda: float(train(images)["loss"]), lambda: infer(images).numpy()


def keras_steps(images, options):
    """Returns those of the plain Keras model, and its train step's graph."""
    pixels = tf.cast(images, tf.float32) / 127.5 - 1
    model = textbook.textbook_model(options.hidden, options.residual_channels)
    step = steps.train_step(model, "mse", options.xla)
    data = (pixels, pixels)
    train = step.get_concrete_function(data)
    infer = tf.function(lambda x: model(x, training=False))
    return (
        lambda: float(train(data)["loss"]),
        lambda: infer(pixels).numpy(),
        train,
    )


def torch_steps(images, options, dtype):
    """Returns PyTorch's steps by memory format."""
    import torch_vqvae

    pixels = images.numpy().astype(np.float32) / 127.5 - 1
    return {
        f"torch{name}": torch_vqvae.steps(
            pixels,
            options.hidden,
            options.residual_channels,
            dtype == "bfloat16",
            channels_last=bool(name),
        )
        for name in ("", ", channels last")
    }


def compare(images, options, dtype):
    """Prints all of one precision."""
    keras.config.set_dtype_policy(POLICIES[dtype])
    *plain, graph = keras_steps(images, options)
    kinds = {"ours": our_steps(images, options), "keras": plain}
    # Of Keras' convolutions: ours has the same, and its own way with one.
    count = flops.convolution_flops(graph)
    if "torch" in options.peers and peers.installed("torch"):
        kinds |= torch_steps(images, options, dtype)
    gemm, gemm_flops = flops.gemm(dtype)
    for number, what in enumerate(("train step", "inference")):
        called = {name: pair[number] for name, pair in kinds.items()}
        times = timing.paired({**called, "gemm": gemm}, options.runs, 3)
        peak = [gemm_flops / t / 1e9 for t in times.pop("gemm")]
        print(f"{dtype}, {what}, batch {len(images)}", flush=True)
        _report(times, len(images))
        if what == "train step":
            speeds = [count / t / 1e9 for t in times["ours"]]
            shares = [speed / max(peak) for speed in speeds]
            print(
                f"  matrix product here: GFLOP/s {timing.summary(peak)}\n"
                f"  ours, {count / 1e9:.1f} GFLOP of convolutions a step: "
                f"GFLOP/s {timing.summary(speeds)}, share of the best product "
                f"{timing.summary(shares)}"
            )


def _report(times, batch):
    best = _best_torch(times)
    for name, seconds in times.items():
        rate = timing.summary([batch / t for t in seconds])
        line = f"  {name:21} images/s {rate}"
        if name in ("keras", best):
            ratio = timing.ratios(times, "ours", name)
            line += f"; ours is faster by {timing.summary(ratio)}"
        print(line, flush=True)


def _best_torch(times):
    medians = {
        name: statistics.median(seconds)
        for name, seconds in times.items()
        if name.startswith("torch")
    }
    return min(medians, key=medians.get, default=None)


def main():
    parser = command.parser(
        __doc__,
        batch=128,
        hidden=128,
        residual_channels=32,
        runs=9,
        dtypes="float32,bfloat16",
        peers="torch",
    )
    parser.add_argument(
        "--xla", action="store_true", help="compile ours and Keras'"
    )
    options = parser.parse_args()
    images = tf.cast(
        tf.random.uniform([options.batch, 32, 32, 3], maxval=256), tf.uint8
    )
    for dtype in options.dtypes.split(","):
        compare(images, options, dtype)


if __name__ == "__main__":
    main()
