"""How evenly codes of speech are used, and their bit rate."""

import math

import numpy as np

from vqvae_tf.evaluation.figure import Figure
from vqvae_tf.evaluation.speech.coded import Coded
from vqvae_tf.evaluation.statistics import CodeCounts, unigram_bits

FIGURES = (
    Figure("codes_per_second", "codes a second", "", 1, 0.1),
    Figure("code_bits_per_second", "the same in bits, log2 K each", "", 0, 1.0),
    Figure(
        "level_bits_per_second",
        "bits a second of the waveform's levels",
        digits=0,
        tolerance=1.0,
    ),
    Figure("uniform_bits_per_code", "log2 K", "bits/code", 3, 1e-3),
)


def code_statistics(
    coded: Coded, training_codes: list[np.ndarray]
) -> dict[str, float]:
    """Measures how codes are used.

    Args:
        coded: recordings and their codes.
        training_codes: the `codes` of the training recordings.

    Returns:
        `perplexity` (the mean over codebooks), `usage`, and
        `unigram_bits_per_code`, the cross-entropy under the training codes'
        frequencies (with one added to each count); `uniform_bits_per_code`,
        log2 K; `codes_per_second`; `code_bits_per_second`, with log2 K bits
        for each; `level_bits_per_second`, the bit rate of the decoder's levels,
        if it has any.
    """
    quantizer, decoder = coded.autoencoder.quantizer, coded.autoencoder.decoder
    test, training = (
        _counts(quantizer, codes) for codes in (coded.codes, training_codes)
    )
    positions = coded.audio.sample_rate / coded.stride
    bits = quantizer.bits_per_position
    figures = {
        **test.figures(),
        "unigram_bits_per_code": unigram_bits(training.counts, test.counts),
        "uniform_bits_per_code": bits / quantizer.num_codebooks,
        "codes_per_second": positions * quantizer.num_codebooks,
        "code_bits_per_second": positions * bits,
    }
    if hasattr(decoder, "companding"):
        levels = math.log2(decoder.companding.num_levels)
        figures["level_bits_per_second"] = coded.audio.sample_rate * levels
    return figures


def _counts(quantizer, codes):
    found = CodeCounts(quantizer)
    found.add(np.concatenate(codes))
    return found
