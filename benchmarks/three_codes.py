"""Measures what the three codes of vqvae_dmlab84_global tell its decoder.

    python benchmarks/three_codes.py --data_dir=DIR --workdir=DIR

Trains the decoder of the recipe once more with its latents held at 1, for the
same steps on the same code maps: a PixelCNN of the same size that knows
positions and no frame. Prints, on held-out frames, the bits of a code map under
it, given its three codes, and given those of another frame. --num_layers=N
trains another decoder and its baseline in place of the preset's.
"""

import command
import keras
import numpy as np
import tensorflow as tf

from vqvae_tf import LatentGenerator, data, recipes
from vqvae_tf.encoding import arrays as encoding
from vqvae_tf.evaluation import two_levels as code_evaluation
from vqvae_tf.recipes import building
from vqvae_tf.runtime import dtype_policies
from vqvae_tf.runtime.precision import in_float32
from vqvae_tf.tasks import run as training
from vqvae_tf.tasks.base_model import load_base
from vqvae_tf.tasks.pictures import recipe, training as pictures
from vqvae_tf.training import fitting
from vqvae_tf.training.cache import once
from vqvae_tf.utils import units
from vqvae_tf.utils.paths import expand

NAME = "vqvae_dmlab84_global"


def training_codes(config, base, data_dir, workdir):
    """Returns the code maps that trained the preset, int32 [n, 21, 21]."""
    images = recipe.open_split(config.data, "train", data_dir)
    return once(
        workdir / "base_codes.npz",
        base,
        lambda model: pictures.encode(config, model, images),
    )["codes"].astype(np.int32)


def train_alone(config, codes, directory):
    """Returns the recipe's decoder, trained with latents of 1."""
    keras.config.set_dtype_policy(dtype_policies.resolve(config.dtype_policy))
    keras.utils.set_random_seed(config.seed)
    decoder = building.make_autoencoder(config).decoder
    section = config.training
    ones = np.ones([len(codes), 1, 1, decoder.local_channels], np.float32)
    fitting.fit(
        decoder,
        section,
        lambda **place: data.array_batches(
            codes,
            section.batch_size,
            config.seed,
            context={"local": ones},
            **place,
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
        bits.append(units.bits(-log_prob(part, {"local": ones}).numpy()))
    return np.concatenate(bits)


def trained(config, data_dir, workdir):
    """Returns the first part of the recipe, trained here: no preset's."""
    model = training.train(config, workdir, data_dir, stage="autoencoder")
    return in_float32(model)


def main():
    parser = command.parser(__doc__, preset=NAME, data_dir=None)
    parser.add_argument(
        "--num_layers", type=int, help="train a decoder of so many layers too"
    )
    parser.add_argument("--workdir", required=True)
    options = parser.parse_args()
    config = recipes.load_recipe(NAME)
    base = load_base(config)
    workdir = expand(options.workdir)
    workdir.mkdir(parents=True, exist_ok=True)
    if options.num_layers:
        config.decoder.num_layers = options.num_layers
        model = trained(config, options.data_dir, workdir)
    else:
        model = LatentGenerator.from_preset(options.preset).prior.autoencoder
    frames = data.open_episodes(
        config.data.source, "test", options.data_dir
    ).values
    test = encoding.encode_array(base, frames).astype(np.int32)
    latents = encoding.encode_array(model, test).astype(np.int32)
    bits = code_evaluation.MapBits(model)
    given = bits(test, latents).mean()
    swapped = bits(test, np.roll(latents, len(latents) // 2, axis=0)).mean()
    codes = training_codes(config, base, options.data_dir, workdir)
    decoder = train_alone(config, codes, workdir / "alone")
    alone = bits_alone(decoder, test).mean()
    print(f"given its three codes     {given:8.1f} bits a frame")
    for name, value in (
        ("given another frame's", swapped),
        ("the same decoder without", alone),
    ):
        print(f"{name:25} {value:8.1f} ({value / given - 1:+.1%})")
    print(f"gain                      {alone - given:8.1f}")


if __name__ == "__main__":
    main()
