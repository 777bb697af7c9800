"""The figures of models of speech."""

import keras

from vqvae_tf.data.audio.source import evenly_spaced
from vqvae_tf.evaluation.speech import evaluate as evaluation, judges, probes
from vqvae_tf.evaluation.speech.coded import Coded
from vqvae_tf.tasks.speech.recipe import open_split


def measure(
    model: keras.Model,
    description: dict,
    data_dir: str | None = None,
    progress: bool = True,
    rows: dict | None = None,
) -> dict:
    """Measures a model of speech; see `tasks.measure`.

    Judges of classes and speakers are trained first on the training recordings,
    which takes a minute or two each. If the description has `max_recordings`,
    only that many of each split are used, evenly spaced.

    Returns:
        The figures of `evaluation.evaluate` and of `probes.figures`.
    """
    train_split, held_out = (
        evenly_spaced(
            open_split(description, description[split], data_dir),
            description.get("max_recordings"),
        )
        for split in ("train_split", "eval_split")
    )
    targets = ["speaker"] if held_out.num_speakers > 1 else []
    targets += ["class"] * bool(held_out.class_names)
    trained = [
        judges.train_judge(train_split, target, progress=progress)
        for target in targets
    ]
    train, test = (
        Coded.of(model.autoencoder, audio, progress)
        for audio in (train_split, held_out)
    )
    return {
        **evaluation.evaluate(model, test, train, trained, progress=progress),
        **probes.figures(train, test, progress),
    }
