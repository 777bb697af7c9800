"""The share of a training's time that it waits for its data.

    python benchmarks/input_pipeline.py
    python benchmarks/input_pipeline.py --source tfds:cifar10 --data_dir DIR
    python benchmarks/input_pipeline.py --source folder --data_dir PHOTOS \\
        --image_size 64 --batch 8 --resize_range 128,160

Blocks of train steps fed by `data.training_batches` against as many with one
batch that is kept in memory, in turn. Without --data_dir random pictures in
memory stand in for CIFAR-10. The model is that of the recipe vqvae_cifar10.
"""

import command
import keras
import numpy as np
import steps
import timing

from vqvae_tf import data
from vqvae_tf.data.pictures.source import ArrayImages


def open_source(options):
    """Returns the pictures that the options name."""
    if options.data_dir is None and options.source is None:
        pictures = np.random.default_rng(0).integers(
            0, 256, [5_000, 32, 32, options.channels], np.uint8
        )
        return ArrayImages("random pictures", pictures)
    source = options.source or "tfds:cifar10"
    return data.open_images(
        source, options.split, options.data_dir, channels=options.channels
    )


def train_step(options):
    """Returns the train step of the model, a graph of one batch."""
    keras.config.set_dtype_policy(options.policy)
    model = steps.vqvae(
        options.channels,
        (None, None, options.channels),
        hidden_channels=options.hidden,
    )
    return steps.train_step(model)


def main():
    parser = command.parser(
        __doc__,
        data_dir=None,
        split="train",
        image_size=32,
        channels=3,
        batch=32,
        hidden=128,
        policy="mixed_bfloat16",
        runs=9,
    )
    parser.add_argument("--source", help="as in vqvae_tf.data.open_images")
    parser.add_argument("--resize_range", help="LOW,HIGH")
    parser.add_argument("--steps", type=int, default=30, help="of a block")
    options = parser.parse_args()
    resize = options.resize_range and tuple(
        int(size) for size in options.resize_range.split(",")
    )
    images = open_source(options)
    batches = iter(
        data.training_batches(
            images, options.batch, options.image_size, resize_range=resize
        )
    )
    step, kept = train_step(options), next(batches)

    def block(draw):
        for _ in range(options.steps):
            logs = step(draw())
        return float(logs["loss"])

    times = timing.paired(
        {
            "kept": lambda: block(lambda: kept),
            "fed": lambda: block(lambda: next(batches)),
        },
        options.runs,
    )
    print(f"{images.name}: {options.steps} steps of {options.batch}")
    timing.report(times, "kept")
    idle = [1 - k / f for k, f in zip(times["kept"], times["fed"])]
    print(f"  share of the time that waits for data {timing.summary(idle)}")


if __name__ == "__main__":
    main()
