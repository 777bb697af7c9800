"""Measures what the three codes of vqvae_dmlab84_global tell its decoder.

    python benchmarks/three_codes.py --data_dir=DIR --workdir=DIR

Trains the decoder of the recipe once more with its latents held at 1, for the
same steps on the same code maps: a PixelCNN of the same size that knows
positions and no frame. Prints, on held-out frames, the bits of a code map under
it, given its three codes, and given those of another frame.
"""

import argparse
import pathlib

import keras
import numpy as np
import tensorflow as tf

from vqvae_tf import (
    LatentGenerator,
    code_evaluation,
    data,
    encoding,
    fitting,
    recipes,
)
from vqvae_tf.densities.base import LN2
from vqvae_tf.precision import in_float32
from vqvae_tf.systems import pictures

NAME = "vqvae_dmlab84_global"


def training_codes(config, base, data_dir, workdir):
    """Returns the code maps that trained the preset, int32 [n, 21, 21]."""
    images = pictures.open_split(config.data, "train", data_dir)
    return encoding.once(
        workdir / "base_codes.npz",
        lambda: pictures.encode(config, base, images),
    )["codes"].astype(np.int32)


def train_alone(config, codes, directory):
    """Returns the recipe's decoder, trained with latents of 1."""
    keras.config.set_dtype_policy(config.dtype_policy)
    keras.utils.set_random_seed(config.seed)
    decoder = recipes.make_autoencoder(config).decoder
    training = config.training
    ones = np.ones([len(codes), 1, 1, decoder.local_channels], np.float32)
    fitting.fit(
        decoder,
        training,
        lambda skip: data.array_batches(
            codes,
            training.batch_size,
            config.seed,
            context={"local": ones},
            skip_steps=skip,
        ),
        directory,
        dict,
    )
    return in_float32(decoder)


def bits_alone(decoder, codes, batch_size=64):
    """Returns -log2 p of code maps given latents of 1, `[n]`."""
    log_prob = tf.function(decoder.log_prob, reduce_retracing=True)
    bits = []
    for i in range(0, len(codes), batch_size):
        part = codes[i : i + batch_size]
        ones = np.ones([len(part), 1, 1, decoder.local_channels], np.float32)
        bits.append(-log_prob(part, {"local": ones}).numpy() / LN2)
    return np.concatenate(bits)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--preset", default=NAME)
    parser.add_argument("--data_dir")
    parser.add_argument("--workdir", required=True)
    options = parser.parse_args()
    config = recipes.load_recipe(NAME)
    model = LatentGenerator.from_preset(options.preset)
    workdir = pathlib.Path(options.workdir)
    workdir.mkdir(parents=True, exist_ok=True)
    frames = data.open_episodes(
        config.data.source, "test", options.data_dir
    ).values
    figures = code_evaluation.evaluate(model, frames)
    given, swapped = figures["map_bits"], figures["map_bits_swapped"]
    base = model.autoencoder
    codes = training_codes(config, base, options.data_dir, workdir)
    decoder = train_alone(config, codes, workdir / "alone")
    test = encoding.encode_array(base, frames).astype(np.int32)
    alone = bits_alone(decoder, test).mean()
    print(f"given its three codes     {given:8.1f} bits a frame")
    for name, value in (
        ("given another frame's", swapped),
        ("the same decoder without", alone),
    ):
        print(f"{name:25} {value:8.1f} ({value / given - 1:+.1%})")
    print(f"gain                      {alone - given:8.1f}")
    print(f"InfoNCE bound             {figures['infonce_bits']:8.1f}")


if __name__ == "__main__":
    main()
