"""How much of log p(x) is missing from the bound by the encoder's codes.

`log p(x) >= log sum_z p(x | z) p(z)` over any set of codes z. The VQ-VAE's
bound uses only the encoder's codes, "log p(x) ~ log p(x | z_q) p(z_q)"
(arXiv:1711.00937, section 3.2); a larger set gives a tighter bound.
"""

import math

import numpy as np
import tensorflow as tf

from vqvae_tf.evaluation.figure import Figure
from vqvae_tf.models import VQVAE, LatentGenerator
from vqvae_tf.utils.checks import check_positive

_AT_ONCE = 128  # decodings


FIGURES = (
    Figure(
        "neighbour_pictures",
        "pictures of which neighbouring codes were added",
        digits=0,
        tolerance=0.5,
    ),
    Figure(
        "neighbour_gain", "what that adds to their bound", "bits/dim", 6, 2e-5
    ),
    Figure(
        "neighbour_gain_uniform",
        "the same with a uniform prior",
        "bits/dim",
        6,
        2e-5,
        later=True,
    ),
)


def neighbour_bound(
    model: VQVAE | LatentGenerator, x: np.ndarray, num_nearest: int = 3
) -> dict[str, np.ndarray]:
    """Sums over the encoder's code map and maps that differ in one code.

    Each code in turn is replaced by the `num_nearest` next nearest embeddings,
    which gives 1 + num_nearest * P * G maps to decode, for P positions and G
    codebooks. The quantizer must be a `VectorQuantizer`, whose codebooks each
    have channels of their own.

    Args:
        model: a `VQVAE` (with a uniform prior) or a `LatentGenerator` without
            context.
        x: pictures `[batch, height, width, channels]` in 0..255.
        num_nearest: how many embeddings after the nearest, below K.

    Returns:
        A dict of float64 `[batch]` in nats: `codes`, log p(x | z_q) p(z_q), and
        `neighbours`, the log of the sum.

    Raises:
        ValueError: for `num_nearest` of K or more, and for another quantizer.

    Example:

    >>> images = np.zeros([1, 32, 32, 3], np.uint8)
    >>> vqvae = VQVAE.from_preset("vqvae_cifar10")
    >>> found = neighbour_bound(vqvae, images, num_nearest=1)
    >>> bool(found["neighbours"] > found["codes"])
    True
    """
    autoencoder, prior = model.autoencoder, model.prior
    values = autoencoder.quantizer.num_embeddings
    _check_quantizer(autoencoder.quantizer)
    num_nearest = check_positive("num_nearest", num_nearest)
    if num_nearest >= values:
        raise ValueError(
            f"num_nearest must be below K={values}, the number of embeddings. "
            f"Received: num_nearest={num_nearest}."
        )
    log_joint = tf.function(
        lambda x, codes: _log_joint(autoencoder, prior, x, codes),
        reduce_retracing=True,
        autograph=False,
    )
    found = {"codes": [], "neighbours": []}
    for picture in np.asarray(x):
        sets = _neighbours(autoencoder, picture[None], num_nearest)
        terms = [
            log_joint(picture[None], sets[i : i + _AT_ONCE]).numpy()
            for i in range(0, len(sets), _AT_ONCE)
        ]
        terms = np.concatenate(terms).astype(np.float64)
        found["codes"].append(terms[0])
        top = terms.max()
        total = top + math.log(np.exp(terms - top).sum())  # log sum exp
        found["neighbours"].append(total)
    return {name: np.array(values) for name, values in found.items()}


def _check_quantizer(quantizer):
    """Raises ValueError unless codes are rows of codebooks of one size."""
    if len(set(quantizer.num_codes)) == 1 and hasattr(quantizer, "codebook"):
        z = quantizer.to_search_space(tf.zeros([1, quantizer.channels]))
        groups = quantizer.num_codebooks
        if len(z.shape) == 3 and z.shape[0] == groups:
            each = quantizer.num_embeddings * z.shape[-1]
            if np.size(quantizer.codebook) in (each, groups * each):
                return
    raise ValueError(
        "Neighbours of codes are those in the codebooks of a VectorQuantizer. "
        f"Received: a model with a {type(quantizer).__name__}; for recipes, "
        "set data.neighbour_pictures=0."
    )


def _log_joint(autoencoder, prior, x, codes):
    """Returns log p(x | z) p(z) of one picture for each of several maps."""
    repeated = tf.repeat(x, tf.shape(codes)[0], axis=0)
    local = {"local": autoencoder.quantizer.decode(codes)}
    log_px = autoencoder.decoder.log_prob(repeated, local)
    if prior is not None:
        return log_px + prior.log_prob(codes)
    places = codes.shape[1:].num_elements()
    return log_px - places * math.log(autoencoder.quantizer.num_embeddings)


def _neighbours(autoencoder, x, num_nearest):
    """Returns the codes of one picture and their neighbours, `[n, *grid]`."""
    quantizer = autoencoder.quantizer
    latents = autoencoder.latents(x).numpy()
    codes = quantizer.encode(latents).numpy()[0]
    groups, values = quantizer.num_codebooks, quantizer.num_embeddings
    rows = latents.reshape([-1, quantizer.channels])
    z = quantizer.to_search_space(tf.constant(rows)).numpy()
    table = np.reshape(quantizer.codebook, [-1, values, z.shape[-1]])
    z = z.reshape([groups, 1, -1, z.shape[-1]]).transpose([2, 0, 1, 3])
    distances = ((z - table) ** 2).sum(axis=-1)  # [P, G, K]
    flat = codes.reshape([-1])
    places = np.arange(len(flat))
    distances = distances.reshape([len(flat), values])
    distances[places, flat] = np.inf  # itself
    nearest = np.argpartition(distances, num_nearest - 1, axis=1)
    nearest = nearest[:, :num_nearest]
    sets = np.tile(flat, [1 + nearest.size, 1])
    rows = 1 + np.arange(nearest.size).reshape(nearest.shape)
    sets[rows, places[:, None]] = nearest
    return sets.reshape([-1, *codes.shape]).astype(np.int32)
