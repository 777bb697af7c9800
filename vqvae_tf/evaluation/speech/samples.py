"""How judges rate speech that is sampled from a prior."""

import numpy as np
import tensorflow as tf

from vqvae_tf.data.audio.source import AudioSource
from vqvae_tf.encoding import recordings
from vqvae_tf.evaluation.figure import Figure
from vqvae_tf.evaluation.speech.judges import Judged, waveforms_of
from vqvae_tf.models import LatentGenerator
from vqvae_tf.quantizers.usage import perplexity
from vqvae_tf.utils.checks import check_labels, check_positive

FIGURES = (
    Figure(
        "class_confidence",
        "the judge's confidence in the class, originals",
        digits=3,
        tolerance=0.01,
    ),
    Figure("sampled_class_confidence", "the same, samples", "", 3, 0.05),
    Figure(
        "sampled_classes",
        "classes that the judge hears in samples, perplexity",
        digits=2,
        tolerance=0.5,
    ),
    Figure(
        "sampled_speaker_accuracy",
        "samples: speaker is the one told, by the judge",
        digits=3,
        tolerance=0.1,
    ),
)


def sample_figures(
    model: LatentGenerator,
    audio: AudioSource,
    judged: Judged,
    count: int = 100,
    **drawing: object,
) -> dict[str, float]:
    """Has judges classify samples, which have no correct class.

    There are equally many of each speaker, as long as the median recording.

    Args:
        model: a `LatentGenerator` of waveforms.
        audio: the recordings to compare with.
        judged: judges with labels, which are ignored.
        count: the number of samples.
        drawing: temperature, seed, batch_size, progress of
            `encoding.recordings.decode`.

    Returns:
        For a judge of classes: `class_confidence`, the recordings' mean
        probability of the most probable class; `sampled_class_confidence`, the
        same for the samples; and `sampled_classes`, the perplexity of the
        judge's mean prediction for samples, which is the number of classes if
        all are equally frequent. For a judge of speakers:
        `sampled_speaker_accuracy`, the share that sound like the speaker that
        the decoder was given.
    """
    speakers = np.arange(check_positive("count", count)) % max(
        1, audio.num_speakers
    )
    waveforms = samples(model, audio, speakers, **drawing)
    figures = {}
    for judge, _ in judged:
        found = judge.probabilities(waveforms)
        if judge.target == "speaker":
            right = found.argmax(axis=1) == speakers
            figures["sampled_speaker_accuracy"] = right.mean()
            continue
        originals = judge.probabilities(waveforms_of(audio))
        figures["class_confidence"] = originals.max(axis=1).mean()
        figures["sampled_class_confidence"] = found.max(axis=1).mean()
        figures["sampled_classes"] = perplexity(
            tf.constant(found.sum(axis=0)[None], tf.float32)
        )
    return {name: float(value) for name, value in figures.items()}


def samples(
    model: LatentGenerator,
    audio: AudioSource,
    speakers: np.ndarray,
    temperature: float = 1.0,
    seed: int = 0,
    **drawing: object,
) -> list[np.ndarray]:
    """Samples codes from the prior and decodes them in the speakers' voices.

    Args:
        model, audio, drawing: see `sample_figures`.
        speakers: integers `[n]`.
        temperature, seed: of prior and decoder.

    Returns:
        float32 `[time]` for each, as long as the median recording of `audio`.
    """
    every = model.prior.global_channels
    if every:
        speakers = check_labels("speakers", speakers, every)
    length = int(np.median(audio.lengths))
    size = -(-length // model.autoencoder.downsampling)
    codes = model.prior.sample(
        len(speakers),
        every and {"global": tf.one_hot(speakers, every)},
        event_shape=(size,),
        temperature=temperature,
        seed=seed,
    ).numpy()
    return recordings.decode(
        model.autoencoder,
        list(codes),
        speakers,
        [length] * len(speakers),
        temperature=temperature,
        seed=seed,
        **drawing,
    )
