"""Probes: how much sequences of codes tell about classes and speakers.

A probe is a small classifier of the codes alone. Codes of speech should tell
what is said, but little about the speaker, whom the decoder is given anyway.
The same probe on log-mel frames shows how much there was to tell.
"""

import dataclasses
from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import ArrayLike

from vqvae_tf.evaluation import classifiers
from vqvae_tf.evaluation.figure import Figure
from vqvae_tf.evaluation.speech import judges as speech_judges
from vqvae_tf.evaluation.speech.coded import Coded
from vqvae_tf.layers.mel import LogMel, frame_window
from vqvae_tf.runtime.precision import float32_policy
from vqvae_tf.utils.checks import check_labels, check_positive
from vqvae_tf.utils.padding import pad
from vqvae_tf.utils.progress import bar

_HELD_OUT = 0.1
_PATIENCE = 4


# The means over three seeds.
FIGURES = tuple(
    Figure(
        f"probe_{target}_{given}",
        f"probe of the {target} from {words}, accuracy",
        digits=3,
        tolerance=0.03,
    )
    for target in speech_judges.TARGETS
    for given, words in (
        ("codes", "codes alone"),
        ("mels", "log-mel frames at their rate"),
        ("majority", "nothing: always the most frequent"),
    )
)


@dataclasses.dataclass(frozen=True)
class Probed:
    """The accuracy of probes.

    Attributes:
        accuracies: on the test sequences, one for each seed.
        majority: the accuracy of always choosing the most frequent training
            label.
    """

    accuracies: tuple[float, ...]
    majority: float

    @property
    def accuracy(self) -> float:
        """The mean of the accuracies."""
        return float(np.mean(self.accuracies))

    @property
    def spread(self) -> float:
        """The standard deviation of the accuracies over seeds."""
        return float(np.std(self.accuracies, ddof=len(self.accuracies) > 1))


def probe(
    train_sequences: Sequence[ArrayLike],
    train_labels: ArrayLike,
    test_sequences: Sequence[ArrayLike],
    test_labels: ArrayLike,
    num_embeddings: int | None = None,
    num_classes: int | None = None,
    seeds: Sequence[int] = (0, 1, 2),
    epochs: int = 30,
    progress: bool = True,
) -> Probed:
    """Trains probes of sequences and scores them on the test part.

    Codes are embedded; frames are standardized and projected. Two residual
    blocks of convolutions, the mean over time and a softmax follow. Training
    stops early by a tenth of the training part, drawn anew for each seed.

    Args:
        train_sequences: n sequences: codes, integers `[time]`, or `[time, G]`
            with G codebooks; or frames, float `[time, features]`.
        train_labels: integers `[n]` in 0..L-1.
        test_sequences, test_labels: the same for the test part.
        num_embeddings: K, for codes; None for frames.
        num_classes: L; by default, one more than the highest training label.
        seeds: one for each probe.
        epochs: at most.
        progress: show a progress bar over the seeds, on a terminal.

    Raises:
        ValueError: for labels or codes that do not fit, or fewer than two
            training sequences.

    Example: each sequence repeats one code, which is its label.

    >>> labels = [0, 1] * 20
    >>> codes = [np.full(3 + i % 5, i % 2) for i in range(40)]
    >>> found = probe(codes, labels, codes[:4], labels[:4], 2, seeds=[0])
    >>> found.accuracy, found.majority
    (1.0, 0.5)
    """
    epochs = check_positive("epochs", epochs)
    if num_classes is None:
        num_classes = int(np.max(train_labels)) + 1
    train = _checked(train_sequences, num_embeddings)
    test = _checked(test_sequences, num_embeddings)
    labels = classifiers.check_labels(train, train_labels, num_classes)
    answers = classifiers.check_labels(test, test_labels, num_classes)
    if len(train) < 2:
        raise ValueError(
            "A probe needs at least two training sequences, one of them for "
            f"early stopping. Received: {len(train)}."
        )
    accuracies = []
    for seed in bar(seeds, progress):
        with float32_policy():
            model = _network(train, num_embeddings, num_classes, seed)
        _fit(model, train, labels, seed, epochs)
        found = classifiers.predictions(model, test).argmax(axis=1)
        accuracies.append(float(np.mean(found == answers)))
    most = np.bincount(labels).argmax()
    return Probed(tuple(accuracies), float(np.mean(answers == most)))


def figures(
    train: Coded, test: Coded, progress: bool = True, **options: object
) -> dict[str, float]:
    """Probes codes, and log-mel frames, for classes and speakers.

    Args:
        train: training recordings with speakers, classes, or both.
        test: test recordings of the same speakers and classes.
        progress: show progress bars.
        options: further arguments of `probe`.

    Returns:
        For each target, "class" and "speaker", with at least two values in
        training: `probe_TARGET_codes` and `probe_TARGET_mels`, the mean
        accuracy over seeds, `..._spread`, its standard deviation, and
        `probe_TARGET_majority`.
    """
    parts = (train, test)
    given = {
        "codes": [coded.codes for coded in parts],
        "mels": [
            log_mel_frames(
                coded.waveforms, coded.audio.sample_rate, coded.stride
            )
            for coded in parts
        ],
    }
    sizes = {"codes": train.autoencoder.quantizer.num_embeddings, "mels": None}
    found = {}
    for target in speech_judges.TARGETS:
        names = getattr(train.audio, f"{target}_names") or ()
        if len(names) < 2:
            continue
        labels, answers = (
            speech_judges.target_labels(coded.audio, target)[1]
            for coded in parts
        )
        for kind, (sequences, others) in given.items():
            probed = probe(
                sequences,
                labels,
                others,
                answers,
                sizes[kind],
                len(names),
                progress=progress,
                **options,
            )
            name = f"probe_{target}_{kind}"
            found[name] = probed.accuracy
            found[f"{name}_spread"] = probed.spread
        found[f"probe_{target}_majority"] = probed.majority
    return found


def log_mel_frames(
    recordings: Sequence[ArrayLike], sample_rate: int, hop: int = 64
) -> list[np.ndarray]:
    """Returns log-mel frames at the rate of the codes, for comparison.

    Args:
        recordings: waveforms, float `[time]` each.
        sample_rate: in Hz.
        hop: samples per code: the product of an encoder's strides.

    Returns:
        float32 `[ceil(time / hop), 40]` for each recording.

    Example:

    >>> [frames.shape for frames in log_mel_frames([np.ones(200)], 8000)]
    [(4, 40)]
    """
    with float32_policy():
        layer = LogMel(sample_rate, window=frame_window(sample_rate), hop=hop)
    call = tf.function(
        layer, input_signature=[tf.TensorSpec([1, None])], autograph=False
    )
    return [
        call(np.asarray(waveform, np.float32)[np.newaxis]).numpy()[0]
        for waveform in recordings
    ]


def _checked(values, num_embeddings):
    """Returns sequences as int32 or float32.

    Raises ValueError unless all are codes in range, or frames with the same
    number of features.
    """
    arrays = [np.asarray(value) for value in values]
    kinds = {(a.dtype.kind in "iu", a.shape[1:]) for a in arrays}
    are_codes = num_embeddings is not None
    wanted, ranks = "float [time, features], without num_embeddings", (2,)
    if are_codes:
        wanted = "integers [time] or [time, G], where num_embeddings is given"
        ranks = (1, 2)
    fits = len(kinds) == 1 and {a.ndim for a in arrays} <= set(ranks)
    if not fits or (are_codes and not next(iter(kinds))[0]):
        found = ", ".join(f"{a.dtype} of shape {a.shape}" for a in arrays[:2])
        raise ValueError(
            f"Sequences must be {wanted}. Received: {len(arrays)} sequences, "
            f"such as {found}."
        )
    if not are_codes:
        return [array.astype(np.float32) for array in arrays]
    checked = [check_labels("Codes", a, num_embeddings) for a in arrays]
    return [array.astype(np.int32) for array in checked]


def _network(train, num_embeddings, num_classes, seed, channels=64):
    shape = train[0].shape[1:]
    values = keras.Input(
        [None, *shape],
        name="values",
        dtype="float32" if num_embeddings is None else "int32",
    )
    mask = keras.Input([None], name="mask")
    if num_embeddings is None:
        frames = np.concatenate(train)
        x = keras.layers.Normalization(
            mean=frames.mean(axis=0), variance=frames.var(axis=0) + 1e-6
        )(values)
    else:
        # The tables of all codebooks, one after the other.
        groups = int(np.prod(shape))
        x = keras.layers.Reshape([-1, groups])(values)
        x = keras.layers.Embedding(
            num_embeddings * groups,
            channels,
            keras.initializers.RandomNormal(stddev=1.0, seed=seed),
        )(x + np.arange(groups) * num_embeddings)
        x = keras.ops.mean(x, axis=2)
    found = classifiers.classify(
        x,
        mask,
        num_classes,
        channels=channels,
        dilations=(1, 3),
        dropout=0.2,
        seed=seed,
    )
    return keras.Model({"values": values, "mask": mask}, found)


def _fit(model, train, labels, seed, epochs):
    order = np.random.default_rng(seed).permutation(len(train))
    held, rest = np.split(order, [max(1, round(_HELD_OUT * len(order)))])
    batches, steps = classifiers.training_batches(
        [train[row] for row in rest], labels[rest], batch_size=32, seed=seed
    )
    values, mask = pad([train[row] for row in held])
    model.compile(
        keras.optimizers.AdamW(1e-3, weight_decay=1e-2),
        "sparse_categorical_crossentropy",
    )
    stop = keras.callbacks.EarlyStopping(
        patience=_PATIENCE, restore_best_weights=True
    )
    model.fit(
        batches,
        steps_per_epoch=steps,
        epochs=epochs,
        validation_data=({"values": values, "mask": mask}, labels[held]),
        callbacks=[stop],
        shuffle=False,
        verbose=0,
    )
