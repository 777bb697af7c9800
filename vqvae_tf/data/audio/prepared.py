"""Recordings from a prepared data set of tensorflow_datasets."""

import dataclasses
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from vqvae_tf.data.audio import reading as audio_reading
from vqvae_tf.data.audio.source import AudioSource, LazyAudio, PackedAudio
from vqvae_tf.data.pictures import prepared
from vqvae_tf.data.records import builders, sequential as records
from vqvae_tf.data.records.random_access import RandomRecords

_READ = 16  # records that are fetched at once


@dataclasses.dataclass(frozen=True)
class _Rule:
    """Splits a set that has only one tfds split.

    Attributes:
        key: the feature that names a recording.
        is_test: from that name, whether it is held out.
        speaker: from that name, the speaker; None if a feature gives it.
    """

    key: str
    is_test: Callable[[str], bool]
    speaker: Callable[[str], str] | None = None


_RULES = {
    # {digit}_{speaker}_{number}.wav; numbers 0 to 4 are the test set according
    # to the README (Jakobovski/free-spoken-digit-dataset).
    "spoken_digit": _Rule(
        "audio/filename",
        lambda name: int(name[:-4].split("_")[2]) < 5,
        lambda name: name.split("_")[1],
    ),
    # {speaker}_{number}. The passage that all speakers read comes first, so
    # the same sentence of it is held out for all.
    "vctk": _Rule("id", lambda name: int(name.split("_")[1]) % 20 == 0),
}


def open_tfds_audio(
    name: str, options: audio_reading.AudioOptions
) -> AudioSource:
    """Opens "tfds:name"; see `open_audio`."""
    builder = builders.open_builder(name, options)
    rule = _RULES.get(builder.name)
    split = builders.find_split(builder, name, _tfds_split(name, rule, options))
    title = f"tfds:{name} ({options.split})"
    parts = _Parts(builder.info.features, rule, name)
    if 2 * parts.rate <= options.sample_rate:
        raise ValueError(
            f"sample_rate must be below {2 * parts.rate}, twice what "
            f"tfds:{name} has. Received: {options.sample_rate}."
        )
    collection = audio_reading.Collection(title, options)
    names = set(parts.speaker_names)
    collection.add(_recordings(parts, split, options, title, names))
    collection.warn(lambda number: f"record {number}")
    return _source(parts, split, collection, sorted(names), options)


def _source(parts, split, collection, names, options):
    """Returns the source of a collection, in memory if it fits."""
    found = collection.found
    numbers = {
        "speakers": [names.index(r.speaker) for r in found] if names else None,
        "speaker_names": names,
        "labels": [r.label for r in found] if parts.label else None,
        "class_names": parts.class_names,
    }
    title, rate = collection.title, options.sample_rate
    if collection.waveforms is not None:
        return PackedAudio(title, rate, collection.waveforms, **numbers)
    records_of = RandomRecords(split).subset([r.key for r in found])

    def conform(samples):
        place = f"a recording of {title}"
        return audio_reading.conform(
            samples, parts.rate, rate, options.normalize, place
        )[0]

    def read(index):
        samples = parts.decode(records_of.read(index))[parts.audio]
        return tf.numpy_function(conform, [samples], tf.float32, stateful=False)

    return LazyAudio(title, rate, collection.lengths, read, **numbers)


def _tfds_split(name, rule, options):
    """Returns the tfds split that contains the requested one."""
    if rule is None:
        return options.split
    if options.split not in ("train", "test", "all"):
        raise ValueError(
            f'The splits of tfds:{name} are "train", "test" and "all" here; '
            "in tensorflow_datasets it has only one. "
            f"Received: split={options.split!r}."
        )
    return "all"


class _Parts:
    """The features of a data set that hold waveform, label and speaker."""

    def __init__(self, features, rule, name):
        import tensorflow_datasets as tfds

        kind = tfds.features
        known = builders.named(features).items()
        audio = [key for key, v in known if isinstance(v, kind.Audio)]
        rate = features[audio[0]].sample_rate if len(audio) == 1 else None
        if not rate:
            raise ValueError(
                "A data set with one Audio feature of known sample rate was "
                f"expected. Received: 'tfds:{name}' with "
                f"{' '.join(str(features).split())}."
            )

        def class_label(*keys):
            for key in keys:
                found = features[key] if key in features else None
                if isinstance(found, kind.ClassLabel) and found.num_classes:
                    return key
            return None

        self.audio, self.rate, self.rule = audio[0], int(rate), rule
        self.label = class_label("label")
        self.speaker = class_label("speaker", "speaker_id")
        self.class_names = features[self.label].names if self.label else None
        self.speaker_names = (
            features[self.speaker].names if self.speaker else []
        )
        keys = [self.audio, self.label, self.speaker, rule and rule.key]
        self._features = prepared.only(features, *keys)

    def decode(self, record):
        """Returns the features of a serialized example."""
        return self._features.deserialize_example(record)


def _recordings(parts, split, options, title, names):
    """Yields a `Recording` for each example of the wanted split.

    Speakers that only the recordings' names give are added to `names`.
    """
    found = records.Records(split, title)
    examples = found.dataset(0, len(found), _READ).unbatch()
    examples = examples.map(parts.decode, tf.data.AUTOTUNE, deterministic=True)
    examples = options.bar(
        len(found), examples.as_numpy_iterator(), "recordings"
    )
    for number, found in enumerate(records.intact(examples, title)):
        key = f"record {number} of {title}"
        speaker = None
        if parts.speaker:
            speaker = parts.speaker_names[found[parts.speaker]]
        if parts.rule:
            text = found[parts.rule.key].decode()
            key = f"{text!r} of {title}"
            if parts.rule.speaker:
                speaker = parts.rule.speaker(text)
                names.add(speaker)
            wanted = "test" if parts.rule.is_test(text) else "train"
            if options.split not in (wanted, "all"):
                continue
        yield _recording(parts, found, number, key, speaker, options)


def _recording(parts, found, number, place, speaker, options):
    recording = audio_reading.Recording(number, None, speaker=speaker)
    if parts.label:
        recording.label = int(found[parts.label])
    try:
        recording.waveform, recording.notes = audio_reading.conform(
            np.asarray(found[parts.audio]),
            parts.rate,
            options.sample_rate,
            options.normalize,
            place,
        )
    except ValueError as error:
        recording.fault = error
    return recording
