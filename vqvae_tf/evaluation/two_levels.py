"""Figures of two-level models: what a few global codes tell about a map."""

import numpy as np
import tensorflow as tf

from vqvae_tf.encoding import arrays as encoding
from vqvae_tf.evaluation.figure import Figure
from vqvae_tf.evaluation.statistics import CodeCounts, Distortion
from vqvae_tf.models import VQVAE, LatentGenerator
from vqvae_tf.utils import units
from vqvae_tf.utils.progress import bar

# InfoNCE compares this many frames, with half their square of evaluations, and
# tries these temperatures of its critic; PSNR uses this many samples.
CONTRASTED = 256
TEMPERATURES = 2.0 ** np.arange(10)
SAMPLED = 240


FIGURES = (
    Figure("map_bits", "the code map given its global codes", "bits", 1, 2.0),
    Figure(
        "map_bits_swapped",
        "the code map given another frame's global codes",
        "bits",
        1,
        4.0,
    ),
    Figure(
        "infonce_bits",
        "InfoNCE bound of the information in the global codes",
        "bits",
        2,
        0.05,
    ),
    Figure(
        "global_prior_bits", "the prior of the global codes", "bits", 2, 0.1
    ),
    Figure("two_level_bits", "code map and global codes", "bits", 1, 2.0),
    Figure(
        "global_usage",
        "usage of each global codebook over the training set, least",
        digits=3,
        tolerance=5e-3,
    ),
    Figure("global_psnr", "PSNR of frames from global codes", "dB", 2, 0.1),
)


def evaluate(
    model: LatentGenerator, frames: np.ndarray, progress: bool = True
) -> dict[str, float]:
    """Measures a two-level model on held-out frames.

    Args:
        model: `LatentGenerator(vqvae, LatentGenerator(vqvae_of_codes, prior))`.
        frames: uint8 `[n, height, width, channels]`, in temporal order.
        progress: show a progress bar, where stderr is a terminal.

    Returns:
        A dict of floats. `examples`; `map_bits`: -log2 p(code map | its global
        codes) per frame; `map_bits_swapped`: the same given the global codes of
        the frame n / 2 later; `global_prior_bits`: -log2 p(global codes);
        `two_level_bits`: the sum of map_bits and global_prior_bits;
        `infonce_bits`: see `infonce`, over at most 256 frames; `global_psnr`:
        PSNR in dB of frames decoded from a map that is sampled given only the
        global codes, over at most 240 frames.
    """
    base, inner = model.autoencoder, model.prior
    codes = encoding.encode_array(base, frames).astype(np.int32)
    latents = encoding.encode_array(inner.autoencoder, codes)
    latents = latents.astype(np.int32)
    bits = MapBits(inner.autoencoder)
    swapped = np.roll(latents, len(latents) // 2, axis=0)
    given = bits(codes, latents).mean()
    prior = units.bits(-_batched(inner.prior.log_prob, latents).mean())
    chosen = _spread(len(codes), CONTRASTED)
    return {
        "examples": len(codes),
        "map_bits": float(given),
        "map_bits_swapped": float(bits(codes, swapped).mean()),
        "global_prior_bits": float(prior),
        "two_level_bits": float(given + prior),
        "infonce_bits": infonce(bits, codes[chosen], latents[chosen], progress),
        "global_psnr": _global_psnr(
            model, frames[_spread(len(frames), SAMPLED)]
        ),
    }


class MapBits:
    """-log2 p(code map | global codes), float64 `[n]`.

    Args:
        autoencoder: a `VQVAE` of code maps.

    Call arguments:
        codes: int32 `[n, *grid]`.
        latents: the global codes, int32 `[n, 1, 1, G]`.
    """

    def __init__(self, autoencoder: VQVAE) -> None:
        decoder, quantizer = autoencoder.decoder, autoencoder.quantizer
        self._log_prob = tf.function(
            lambda codes, latents: decoder.log_prob(
                codes, {"local": quantizer.decode(latents)}
            ),
            reduce_retracing=True,
            autograph=False,
        )

    def __call__(self, codes: np.ndarray, latents: np.ndarray) -> np.ndarray:
        return units.bits(-_batched(self._log_prob, codes, latents))


def infonce(
    bits: MapBits, codes: np.ndarray, latents: np.ndarray, progress: bool = True
) -> float:
    """Returns a lower bound on the mutual information of latents and codes.

    The mean of log2 (f(x_i, z_i) / mean_j f(x_i, z_j)) with the critic f =
    p(x | z) ** (1 / t), since at t = 1 the model is overconfident about similar
    frames. Odd and even rows are two sets; each uses the t that is best for the
    other, so that the bound holds.

    Args:
        bits: a `MapBits`.
        codes: int32 `[n, *grid]`, n at least 4.
        latents: int32 `[n, 1, 1, G]`.
        progress: show a progress bar.

    Returns:
        The mean of the two bounds in bits, at most log2(n / 2).

    References:
        van den Oord et al. 2018, arXiv:1807.03748, eq. 5 and appendix A.1.
    """
    bounds = [
        [_bound(scores / t) for t in TEMPERATURES]
        for scores in (
            _scores(bits, codes[first::2], latents[first::2], progress)
            for first in (0, 1)
        )
    ]
    chosen = np.argmax(bounds, axis=1)
    return float((bounds[0][chosen[1]] + bounds[1][chosen[0]]) / 2)


def _scores(bits, codes, latents, progress):
    """Returns log p(x_i | z_j) in nats, `[n, n]`."""
    rows = []
    for i in bar(range(len(codes)), progress):
        repeated = np.repeat(codes[i : i + 1], len(codes), axis=0)
        rows.append(-bits(repeated, latents) * units.LN2)
    return np.stack(rows)


def _bound(scores):
    top = scores.max(axis=1, keepdims=True)
    mean = top[:, 0] + np.log(np.exp(scores - top).mean(axis=1))
    return units.bits(np.mean(np.diag(scores) - mean))


def _global_psnr(model, frames):
    inner, distortion = model.prior.autoencoder, Distortion()
    for i in range(0, len(frames), 60):
        part = frames[i : i + 60]
        codes = model.autoencoder.encode(part)
        local = inner.quantizer.decode(inner.encode(codes))
        codes = inner.decoder.sample(context={"local": local}, seed=i)
        distortion.add(part, model.autoencoder.decode(codes))
    return distortion.psnr


def usage(autoencoder: VQVAE, codes: np.ndarray) -> np.ndarray:
    """Returns the share of each codebook that is used, float64 `[G]`.

    Args:
        autoencoder: a `VQVAE` of code maps.
        codes: int32 `[n, *grid]`, the maps that it encodes.
    """
    found = CodeCounts(autoencoder.quantizer)
    found.add(encoding.encode_array(autoencoder, codes).astype(np.int32))
    return np.mean(found.counts > 0, axis=1)


def _spread(count, most):
    """Returns at most `most` indices, evenly spaced over `count`."""
    return np.unique(np.linspace(0, count - 1, min(count, most)).astype(int))


def _batched(function, *arrays, batch_size=64):
    results = [
        function(*(tf.constant(a[i : i + batch_size]) for a in arrays)).numpy()
        for i in range(0, len(arrays[0]), batch_size)
    ]
    return np.concatenate(results).astype(np.float64)
