"""What is promised of the autoencoder family, and whether it holds."""

import numpy as np
import tensorflow as tf

from vqvae_tf.evaluation import comparison
from vqvae_tf.tasks.pictures import recipe


def held_out(description, data_dir=None) -> np.ndarray:
    """Returns the pictures of the held-out split, uint8 [n, S, S, C]."""
    batches = recipe.eval_batches(
        description, description["eval_split"], data_dir, batch_size=250
    )
    parts = [x.numpy()[w.numpy() > 0] for x, _, w in batches]
    return np.concatenate(parts)


def in_batches(function, images, size=250) -> np.ndarray:
    """Joins `function(rows, first_row)` of batches of rows."""
    parts = [
        np.asarray(function(images[i : i + size], i))
        for i in range(0, len(images), size)
    ]
    return np.concatenate(parts)


def denoised(model, images, seed=0):
    """Returns corrupted pictures and what the model makes of them.

    Args:
        model: an `Autoencoder` with a corruption.
        images: uint8 `[n, S, S, C]`.
        seed: of the noise; a picture's is the same in batches of any size.

    Returns:
        Two uint8 arrays shaped as images. The first is the noisy input in
        grey levels, cut to 0..255; the model gets it uncut, as in training.
    """

    def corrupt(rows, first):
        return model.corruption.corrupt(model.preprocess(rows), seed, first)

    def restore(rows, _):
        latents = tf.cast(model.encoder(rows), tf.float32)
        return model.decode(model.bottleneck.encode(latents))

    noisy = in_batches(corrupt, images)
    levels = np.clip(np.round((noisy + 1) * 127.5), 0, 255).astype(np.uint8)
    return levels, in_batches(restore, noisy)


def verdicts(figures) -> dict:
    """Returns what is promised of the family: (figure, bound, whether).

    Args:
        figures: of `family.py`, a dict of dicts by member.
    """
    found = _plain(figures)
    of_colour = _plain(figures, "_cifar10")
    found |= {f"CIFAR-10: {words}": of_colour[words] for words in of_colour}
    if "vae" in figures:
        nats = figures["vae"]["nats"]
        found["VAE within 3 nats of 87 to 90"] = (nats, 93.0, nats <= 93)
    difference = beta_difference(figures)
    if difference:
        low = difference.mean - difference.half
        found["beta raises the gap"] = (low, 0.0, low > 0)
    return found


def _plain(figures, suffix="") -> dict:
    """Returns the verdicts on the autoencoders of one data set.

    Args:
        figures: as of `verdicts`.
        suffix: what follows the members' names.
    """
    found = {}
    names = ("ae", "dae", "sae", "ksparse", "cae")
    ae, dae, sae, ksparse, cae = (figures.get(n + suffix) for n in names)
    if dae:
        gain = dae["denoised_psnr"] - dae["corrupted_psnr"]
        found["denoising gains 5 dB"] = (gain, 5.0, gain >= 5)
    if sae:
        share = sae["near_rho"]
        found["90 % of sparse units are near rho"] = (share, 0.9, share >= 0.9)
    if ksparse:
        wanted = [ksparse["k"], round(ksparse["k"] * ksparse["test_factor"])]
        counts = [ksparse["active_in_training"], ksparse["active"]]
        found["k-sparse keeps k"] = (counts, wanted, counts == wanted)
    if ae and cae:
        ratio = cae["contraction"] / ae["contraction"]
        found["contraction halves dz/dx"] = (ratio, 0.5, ratio <= 0.5)
        ratio = cae["mse"] / ae["mse"]
        found["at an error within 5 %"] = (ratio, 1.05, ratio <= 1.05)
    return found


def beta_difference(figures) -> comparison.Interval | None:
    """Returns MIG(beta) - MIG(1), paired by seed; None without two pairs."""
    scores = {
        tuple(name.split("_")[1:]): f["mig"]
        for name, f in figures.items()
        if name.startswith("beta_")
    }
    pairs = [
        score - scores["1", seed]
        for (beta, seed), score in scores.items()
        if beta != "1" and ("1", seed) in scores
    ]
    return comparison.of_runs(pairs) if len(pairs) > 1 else None
