"""The difference of two models' bounds, picture by picture, in bits/dim.

    python benchmarks/likelihood_difference.py likelihood_vqvae_cifar10 \\
        vae_cifar10 --data_dir TFDS

Pictures differ much more from each other than models do, so the interval of the
mean difference is narrower than those of the two bounds. --samples is that of
the importance-weighted bound of a VAE or VIMCO; the bound of a VQ-VAE is with
the uniform prior, and with the learned one where it has one.
"""

import argparse
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402

from vqvae_tf import LatentGenerator, evaluation, presets, systems  # noqa: E402
from vqvae_tf.densities.base import LN2, event_size  # noqa: E402
from vqvae_tf.family_evaluation import batch_seed  # noqa: E402
from vqvae_tf.models import Autoencoder  # noqa: E402

# Decodings at once, at most.
_AT_ONCE = 640


def bounds_of(model, name, samples=1):
    """Returns functions of (pictures, seed) to bits/dim `[B]`, by titles."""
    if isinstance(model, Autoencoder):

        def drawn(x, seed):
            nats = model.log_prob(x, num_samples=samples, seed=seed)
            return -nats / (event_size(x) * LN2)

        return {f"{name}, S={samples}": drawn}
    autoencoder = getattr(model, "autoencoder", model)
    quantizer = autoencoder.quantizer

    def uniform(x, seed):
        latents = autoencoder.latents(x)
        local = quantizer.decode(quantizer.encode(latents))
        bits = -autoencoder.decoder.log_prob(x, {"local": local}) / LN2
        bits += autoencoder.code_bits(tf.shape(latents))
        return bits / event_size(x)

    found = {f"{name}, uniform prior": uniform}
    if isinstance(model, LatentGenerator):
        found[f"{name}, learned prior"] = lambda x, seed: model.bits_per_dim(x)[
            "total"
        ]
    return found


def measure(functions, batches):
    """Returns the bits/dim of each picture by the functions' titles."""
    graphs = {
        title: tf.function(function, reduce_retracing=True)
        for title, function in functions.items()
    }
    found = {title: [] for title in graphs}
    for number, (x, _, weight) in enumerate(evaluation.bar(batches, True)):
        kept = weight.numpy() > 0
        for title, graph in graphs.items():
            bits = graph(x, batch_seed(0, number)).numpy()
            found[title].append(bits[kept].astype(np.float64))
    return {title: np.concatenate(parts) for title, parts in found.items()}


def report(found, of_second):
    """Prints each bound, and how the first model's differ from the second's.

    Args:
        found: bits/dim of each picture, by the titles of bounds.
        of_second: the titles of the second model.
    """
    for title, bits in found.items():
        half = evaluation.half_interval(bits)
        print(f"{title}: {bits.mean():.4f} +- {half:.4f}")
    for title in found.keys() - of_second:
        for other in of_second:
            bits = found[title] - found[other]
            half = evaluation.half_interval(bits)
            print(f"{title} - {other}: {bits.mean():+.4f} +- {half:.4f}")


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("presets", nargs=2, help="names or folders")
    parser.add_argument("--data_dir")
    parser.add_argument("--split", default="test")
    parser.add_argument("--samples", type=int, default=1, help="S")
    options = parser.parse_args()
    first, second = (
        bounds_of(presets.load(name), name, options.samples)
        for name in options.presets
    )
    folder = presets.find_preset(options.presets[1])
    batches = systems.pictures.eval_batches(
        presets.load_metadata(folder)["data"],
        options.split,
        options.data_dir,
        batch_size=max(1, _AT_ONCE // options.samples),
    )
    report(measure({**first, **second}, batches), second.keys())


if __name__ == "__main__":
    main()
