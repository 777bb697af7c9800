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
) -> dict[str, float]:
    """Measures what the levels of codes carry.

    Args:
        model: a `HierarchicalVQVAE`, or a `LatentGenerator` of one.
        batches: as for `statistics.examples`, of at least two examples.
        progress: show a progress bar, where stderr is a terminal.

    Returns:
        A dict of floats, for each level: `psnr_alone_of_LEVEL`, of pictures
        decoded from its codes with zeros for the others; and
        `psnr_with_others_of_LEVEL`, if its codes are those of the next
        picture. With a prior, for each level but the lowest,
        `lower_bits_with_others_of_LEVEL`: the bits per code of all levels
        below it, given the true codes of the others but this level's of the
        next picture; what exceeds the bits with its own is what the prior
        learns from it.
    """
    autoencoder, prior = model.autoencoder, model.prior
    names = list(autoencoder.quantizers())
    step = _step(autoencoder, prior, names)
    alone = {name: Distortion() for name in names}
    others = {name: Distortion() for name in names}
    nats, codes = {}, {}
    for x, context, count in examples(batches, progress):
        found = step(x[:count], context and _rows(context, count))
        for name in names:
            alone[name].add(x[:count].numpy(), found["alone"][name])
            others[name].add(x[:count].numpy(), found["others"][name])
        for name, value in found["nats"].items():
            nats[name] = nats.get(name, 0.0) + float(np.sum(value))
            codes[name] = codes.get(name, 0) + int(found["counts"][name])
    figures = {}
    for name in names:
        figures[f"psnr_alone_of_{name}"] = alone[name].psnr
        figures[f"psnr_with_others_of_{name}"] = others[name].psnr
    for name, value in nats.items():
        key = f"lower_bits_with_others_of_{name}"
        figures[key] = float(bits(value, codes[name]))
    return figures


def _rows(context, count):
    return {name: value[:count] for name, value in context.items()}


def _step(autoencoder, prior, names):
    @tf.function(reduce_retracing=True, autograph=False)
    def step(x, context):
        codes = autoencoder.codes_of(x)

        def decoded(own):
            local = autoencoder.decoder_context(
                context, autoencoder.local_of(own)
            )
            return autoencoder.decoder.mode(local)

        swapped = {
            name: {**codes, name: tf.roll(codes[name], 1, 0)} for name in names
        }
        found = {
            "alone": {name: decoded({name: codes[name]}) for name in names},
            "others": {name: decoded(swapped[name]) for name in names},
            "nats": {},
            "counts": {},
        }
        for i, name in enumerate(names[:-1] if prior is not None else ()):
            terms = prior.log_probs(swapped[name], context)
            below = names[i + 1 :]
            found["nats"][name] = -tf.add_n([terms[other] for other in below])
            found["counts"][name] = tf.add_n(
                [tf.size(codes[other]) for other in below]
            )
        return found

    return step
