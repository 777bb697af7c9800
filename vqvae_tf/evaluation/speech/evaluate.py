"""Figures of models of speech on held-out recordings, without their padding."""

from collections.abc import Sequence

from vqvae_tf.data.audio.source import AudioSource
from vqvae_tf.evaluation.speech import (
    codes as of_codes,
    drawn,
    likelihoods as of_likelihoods,
    samples,
)
from vqvae_tf.evaluation.speech.coded import Coded
from vqvae_tf.evaluation.speech.judges import Judge
from vqvae_tf.models import VQVAE, LatentGenerator

FIGURES = (
    *of_codes.FIGURES,
    *of_likelihoods.FIGURES,
    *drawn.FIGURES,
    *samples.FIGURES,
)


def evaluate(
    model: VQVAE | LatentGenerator,
    test: Coded,
    train: Coded,
    judges: Sequence[Judge] = (),
    temperature: float = 1.0,
    seed: int = 0,
    batch_size: int = 128,
    progress: bool = True,
) -> dict[str, float]:
    """Measures a model of speech on recordings with their speakers.

    Args:
        model: a `VQVAE` of waveforms whose decoder is given the speaker, or
            a `LatentGenerator` of one.
        test: the recordings to measure it on, with its codes.
        train: its training recordings, whose codes are counted.
        judges: from `judges.train_judge`; without judges there are no figures
            of classes and speakers.
        temperature, seed: of sampling.
        batch_size: waveforms that are decoded at once.
        progress: show progress bars.

    Returns:
        A dict of `examples`, and of floats: the results of `code_statistics`,
        `likelihoods`, `drawn_figures` and, with judges, `accuracies` of the
        originals; with a prior also `prior_figures` and, with judges,
        `sample_figures`.

    Raises:
        ValueError: if the model or a judge has another sample rate or other
            speakers than the recordings.
    """
    prior = model.prior
    for coded in (test, train):
        check_source(model.autoencoder, coded.audio)
    judged = [(judge, judge.labels(test.audio)) for judge in judges]
    drawing = dict(
        temperature=temperature,
        seed=seed,
        batch_size=batch_size,
        progress=progress,
    )
    figures = of_codes.code_statistics(test, train.codes)
    if prior is not None:
        figures |= of_likelihoods.prior_figures(prior, test, progress)
    figures |= of_likelihoods.likelihoods(test, seed, progress)
    figures |= drawn.drawn_figures(test, judged, **drawing)
    figures |= drawn.accuracies("", test.waveforms, judged)
    if judged and prior is not None:
        figures |= samples.sample_figures(model, test.audio, judged, **drawing)
    figures = {name: float(value) for name, value in figures.items()}
    return {"examples": test.audio.num_examples, **figures}


def check_source(autoencoder: VQVAE, audio: AudioSource) -> None:
    """Raises ValueError unless a source has the model's rate and speakers."""
    rate = getattr(autoencoder, "sample_rate", audio.sample_rate)
    if rate != audio.sample_rate:
        raise ValueError(
            f"The model takes recordings at {rate} Hz. Received: {audio.name} "
            f"at {audio.sample_rate} Hz."
        )
    count = autoencoder.decoder.global_channels
    if count is None:
        return
    numbers = tuple(str(i) for i in range(count))
    names = tuple(getattr(autoencoder, "speaker_names", numbers))
    # A model without names uses numbers.
    fits = names in (numbers, audio.speaker_names)
    if count != audio.num_speakers or not fits:
        raise ValueError(
            f"The model knows {count} speakers: {', '.join(names)}. "
            f"Received: {audio.name}, of {', '.join(audio.speaker_names)}."
        )
