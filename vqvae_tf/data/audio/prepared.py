"""Recordings from a prepared data set of the stock tensorflow_datasets."""

import dataclasses

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
    """How a set of one tfds split is divided.

    Attributes:
        key: the feature that names a recording.
        is_test: of that name, whether it is held out.
        speaker: of that name, who speaks; None where a feature says it.
    """

    key: str
    is_test: object
    speaker: object = None


_RULES = {
    # {digit}_{speaker}_{number}.wav; 0 to 4 are the test set, says the
    # README of the recordings (Jakobovski/free-spoken-digit-dataset).
    "spoken_digit": _Rule(
        "audio/filename",
        lambda name: int(name[:-4].split("_")[2]) < 5,
        lambda name: name.split("_")[1],
    ),
    # {speaker}_{number}. The passage that all speakers read comes first, so
    # that its held-out sentence is the same for all.
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
    """Returns the source of what was collected, in memory or not."""
    found, kept = collection.found, collection.waveforms
    numbers = {
        "speakers": [names.index(r.speaker) for r in found] if names else None,
        "speaker_names": names,
        "labels": [r.label for r in found] if parts.label else None,
        "class_names": parts.class_names,
    }
    if kept is not None:
        rate = options.sample_rate
        return PackedAudio(collection.title, rate, kept, **numbers)
    lying = RandomRecords(split).subset([r.key for r in found])

    def conform(samples):
        place = f"a recording of {collection.title}"
        return audio_reading.conform(
            samples, parts.rate, options.sample_rate, options.normalize, place
        )[0]

    def read(index):
        samples = parts.decode(lying.read(index))[parts.audio]
        return tf.numpy_function(conform, [samples], tf.float32, stateful=False)

    return LazyAudio(
        collection.title,
        options.sample_rate,
        collection.lengths,
        read,
        **numbers,
    )


def _tfds_split(name, rule, options):
    """Returns the split of tfds that holds what was asked for."""
    if rule is None:
        return options.split
    if options.split not in ("train", "test", "all"):
        raise ValueError(
            f'The splits of tfds:{name} are "train", "test" and "all" here; '
            "tensorflow_datasets has them all in one. "
            f"Received: split={options.split!r}."
        )
    return "all"


class _Parts:
    """Which features of a data set hold the waveform and what belongs to it."""

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

    Speakers that only the recordings' names tell are added to `names`.
    """
    lying = records.Records(split, title)
    examples = lying.dataset(0, len(lying), _READ).unbatch()
    examples = examples.map(parts.decode, tf.data.AUTOTUNE, deterministic=True)
    examples = options.bar(
        len(lying), examples.as_numpy_iterator(), "recordings"
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
