"""What each level of a hierarchical VQ-VAE carries.

A top that carries only colour, or nothing, is a known failure: pictures from
its codes alone, and the price of exchanging them, tell.
"""

from collections.abc import Iterable

import numpy as np
import tensorflow as tf

from vqvae_tf.evaluation.figure import Figure
from vqvae_tf.evaluation.statistics import Distortion, examples
from vqvae_tf.models import HierarchicalVQVAE, LatentGenerator
from vqvae_tf.utils.units import bits

# Each is measured of one level, or of several: `KEY_of_LEVEL`.
FIGURES = (
    Figure(
        "psnr_alone", "PSNR from the codes of one level alone", "dB", 2, 0.02
    ),
    Figure(
        "psnr_with_others",
        "PSNR with the codes of one level from another picture",
        "dB",
        2,
        0.02,
    ),
    Figure(
        "lower_bits_with_others",
        "the prior of the levels below, given such codes",
        "bits/code",
        3,
        3e-3,
    ),
)


def evaluate(
    model: HierarchicalVQVAE | LatentGenerator,
    batches: Iterable,
    progress: bool = True,
    seed: int = 0,
) -> dict[str, float]:
    """Measures what the levels of codes carry.

    Args:
        model: a `HierarchicalVQVAE`, or a `LatentGenerator` of one.
        batches: as for `statistics.examples`, of at least two examples.
        progress: show a progress bar, where stderr is a terminal.
        seed: of who the other picture is.

    Returns:
        A dict of floats, for each level: `psnr_alone_of_LEVEL`, of pictures
        decoded from its codes with zeros for the others; and
        `psnr_with_others_of_LEVEL`, if its codes are those of another picture,
        drawn at random. With a prior, for each level but the lowest,
        `lower_bits_with_others_of_LEVEL`: the bits per code of all levels
        below it, given the true codes of the others but this level's of that
        picture; what exceeds the bits with its own is what the prior
        learns from it.
    """
    autoencoder, prior = model.autoencoder, model.prior
    names = list(autoencoder.quantizers())
    batches = list(examples(batches, progress))
    encode = tf.function(autoencoder.codes_of, reduce_retracing=True)
    parts = [
        {k: own.numpy()[:count] for k, own in encode(x).items()}
        for x, _, count in batches
    ]
    codes = {k: np.concatenate([part[k] for part in parts]) for k in names}
    other = others_of(len(codes["top"]), seed)
    step = _step(autoencoder, prior, names)
    alone = {name: Distortion() for name in names}
    others = {name: Distortion() for name in names}
    nats, first = dict.fromkeys(names, 0.0), 0
    for x, context, count in batches:
        rows = slice(first, first + count)
        found = step(
            {k: tf.constant(own[rows]) for k, own in codes.items()},
            {k: tf.constant(own[other[rows]]) for k, own in codes.items()},
            context and {k: v[:count] for k, v in context.items()},
        )
        first += count
        for name in names:
            alone[name].add(x[:count].numpy(), found["alone"][name])
            others[name].add(x[:count].numpy(), found["others"][name])
        for name, value in found["nats"].items():
            nats[name] += float(np.sum(value))
    figures = {}
    for i, name in enumerate(names):
        figures[f"psnr_alone_of_{name}"] = alone[name].psnr
        figures[f"psnr_with_others_of_{name}"] = others[name].psnr
        below = sum(codes[k].size for k in names[i + 1 :])
        if prior is not None and below:
            key = f"lower_bits_with_others_of_{name}"
            figures[key] = float(bits(nats[name], below))
    return figures


def others_of(count: int, seed: int = 0) -> np.ndarray:
    """Returns for each example another one, drawn at random.

    Args:
        count: the number of examples.
        seed: of the draw.

    Returns:
        int64 `[count]`; every example occurs once.
    """
    order = np.random.default_rng(seed).permutation(count)
    found = np.empty(count, np.int64)
    found[order] = np.roll(order, 1)
    return found


def _step(autoencoder, prior, names):
    @tf.function(reduce_retracing=True, autograph=False)
    def step(codes, others, context):
        def decoded(own):
            local = autoencoder.decoder_context(
                context, autoencoder.local_of(own)
            )
            return autoencoder.decoder.mode(local)

        swapped = {name: {**codes, name: others[name]} for name in names}
        found = {
            "alone": {name: decoded({name: codes[name]}) for name in names},
            "others": {name: decoded(swapped[name]) for name in names},
            "nats": {},
        }
        for i, name in enumerate(names[:-1] if prior is not None else ()):
            terms = prior.log_probs(swapped[name], context)
            below = [terms[other] for other in names[i + 1 :]]
            found["nats"][name] = -tf.add_n(below)
        return found

    return step
