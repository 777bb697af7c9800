"""Likelihoods of recordings of speech, and of their codes."""

import numpy as np
import tensorflow as tf

from vqvae_tf.densities import DensityModel
from vqvae_tf.encoding import recordings
from vqvae_tf.evaluation.figure import Figure
from vqvae_tf.evaluation.speech.coded import Coded
from vqvae_tf.utils.units import bits

# The most other speakers that a recording is scored with or converted to.
OTHER_VOICES = 4


FIGURES = (
    Figure(
        "reconstruction_bits_per_sample",
        "-log2 p(x given codes and speaker)",
        "bits/sample",
    ),
    Figure(
        "other_speaker_bits_per_sample",
        "the same given another speaker, mean of at most four",
        "bits/sample",
        4,
        4e-3,
    ),
    Figure(
        "shuffled_bits_per_sample",
        "the same given the codes in random order",
        "bits/sample",
        4,
        1e-2,
    ),
    Figure(
        "other_codes_bits_per_sample",
        "the same given another recording's codes",
        "bits/sample",
        4,
        1e-2,
    ),
    Figure(
        "speaker_by_likelihood",
        "recordings more probable given their own speaker",
        "share",
        3,
        1e-2,
    ),
)


def likelihoods(
    coded: Coded, seed: int = 0, progress: bool = True
) -> dict[str, float]:
    """Compares likelihoods given the right and wrong codes and speakers.

    Args:
        coded: at least two recordings and their codes.
        seed: of the order of shuffled codes.
        progress: show a progress bar.

    Returns:
        Bits per sample, pooled over all samples:
        `reconstruction_bits_per_sample`, given codes and speaker;
        `shuffled_bits_per_sample`, given the codes in random order;
        `other_codes_bits_per_sample`, given those of the next longer
        recording (for the longest: the next shorter), cut or repeated to the
        right length. With several speakers also
        `other_speaker_bits_per_sample`, given another speaker (the mean over
        the next four at most), and `speaker_by_likelihood`, the share of
        recordings that are more probable given their own speaker than given
        any of those others.

    Raises:
        ValueError: for a single recording.
    """
    audio, codes, speakers = coded.audio, coded.codes, coded.speakers
    if audio.num_examples < 2:
        raise ValueError(
            "At least two recordings are needed, to compare with another one's "
            f"codes. Received: {audio.name} with {audio.num_examples}."
        )
    every = coded.autoencoder.decoder.global_channels or 1
    log_prob = _log_prob(coded.autoencoder)
    wrong = [_shuffled(codes, seed), _of_others(codes)]
    # Columns: the own speaker, then the others.
    voices = min(every, 1 + OTHER_VOICES)
    given = np.zeros([audio.num_examples, voices])
    given_wrong = np.zeros([audio.num_examples, len(wrong)])
    for rows in coded.groups(progress):
        waveform, mask = recordings.read(audio, rows, coded.stride)
        for step in range(voices):
            others = (speakers[rows] + step) % every
            given[rows, step] = log_prob(
                waveform, mask, _stacked(codes, rows), others
            )
        for i, values in enumerate(wrong):
            given_wrong[rows, i] = log_prob(
                waveform, mask, _stacked(values, rows), speakers[rows]
            )
    own = given[:, 0]
    samples = audio.lengths.sum()
    nats = {"reconstruction": own}
    nats |= dict(zip(("shuffled", "other_codes"), given_wrong.T))
    if voices > 1:
        nats["other_speaker"] = given[:, 1:].mean(axis=1)
    figures = {
        f"{name}_bits_per_sample": bits(-log_p.sum(), samples)
        for name, log_p in nats.items()
    }
    if voices > 1:
        figures["speaker_by_likelihood"] = np.mean(given.argmax(axis=1) == 0)
    return {name: float(value) for name, value in figures.items()}


def _log_prob(autoencoder):
    quantizer = autoencoder.quantizer
    shape = quantizer.codes_shape((None, None, quantizer.channels))

    @tf.function(
        input_signature=[
            tf.TensorSpec([None, None]),
            tf.TensorSpec([None, None]),
            tf.TensorSpec(shape, tf.int32),
            tf.TensorSpec([None], tf.int64),
        ],
        autograph=False,
    )
    def log_prob(waveform, mask, codes, speakers):
        context = recordings.decoder_context(
            autoencoder, codes, tf.ones(tf.shape(codes)[:2]), speakers
        )
        return autoencoder.decoder.log_prob(waveform, context, mask=mask)

    return log_prob


def _shuffled(codes, seed):
    rng = np.random.default_rng(seed)
    return [rng.permutation(sequence) for sequence in codes]


def _of_others(codes):
    """Returns for each sequence the next longer one, cut to its length."""
    order = np.argsort([len(sequence) for sequence in codes], kind="stable")
    others = [None] * len(codes)
    for row, other in zip(order, [*order[1:], order[-2]]):
        others[row] = np.resize(codes[other], codes[row].shape)
    return others


def _stacked(codes, rows):
    return np.stack([codes[row] for row in rows])


def prior_figures(
    prior: DensityModel, coded: Coded, progress: bool = True
) -> dict[str, float]:
    """Returns `prior_bits_per_code` of test codes.

    Args:
        prior: a density of codes; with `global_channels`, it is given the
            speaker.
        coded: recordings and their codes.
        progress: show a progress bar.
    """
    count = prior.global_channels
    nats = 0.0
    for rows in coded.groups(progress):
        speakers = coded.speakers[rows]
        context = count and {"global": tf.one_hot(speakers, count)}
        values = _stacked(coded.codes, rows)
        nats -= float(np.sum(prior.log_prob(values, context)))
    total = sum(sequence.size for sequence in coded.codes)
    return {"prior_bits_per_code": bits(nats, total)}
