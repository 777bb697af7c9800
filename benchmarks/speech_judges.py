"""What judges and probes of speech make of real recordings.

    python benchmarks/speech_judges.py [--data_dir=TFDS] [--only=probes]

Trains the judges of class and speaker on the training recordings, and scores
them on the test recordings as they are, under white noise, and after 8-bit
mu-law. Then the probes of log-mel frames, at the rate of codes of 64 samples.
"""

import time

import command
import numpy as np

from vqvae_tf import data
from vqvae_tf.evaluation.speech import (
    judges as speech_judges,
    probes as speech_probes,
)
from vqvae_tf.layers import MuLaw


def noisy(waveform, decibels, rng):
    """Returns a waveform with white noise so far below it."""
    scale = np.sqrt(np.mean(waveform**2)) * 10 ** (-decibels / 20)
    return waveform + scale * rng.normal(size=len(waveform))


def conditions(recordings):
    """Yields (words, recordings) of what the judges are asked about."""
    yield "as they are", recordings
    law, rng = MuLaw(256), np.random.default_rng(0)
    yield (
        "8-bit mu-law",
        [law.decode(law.encode(r)).numpy() for r in recordings],
    )
    for decibels in (30, 20, 10):
        yield (
            f"white noise at {decibels} dB",
            [noisy(r, decibels, rng) for r in recordings],
        )


def judge(train, test, target, seed):
    """Prints what a judge of one target scores."""
    start = time.perf_counter()
    trained = speech_judges.train_judge(train, target, seed, progress=False)
    seconds = time.perf_counter() - start
    print(
        f"judge of {target}: {trained.model.count_params():,} parameters, "
        f"trained in {seconds:.0f} s"
    )
    recordings = speech_judges.waveforms_of(test)
    labels = trained.labels(test)
    for words, heard in conditions(recordings):
        accuracy = trained.accuracy(heard, labels)
        print(f"  {words}: {accuracy:.3f}", flush=True)


def probe(train, test, target):
    """Prints what the probe of log-mel frames scores."""
    frames, labels = [], []
    for audio in (train, test):
        recordings = speech_judges.waveforms_of(audio)
        frames.append(
            speech_probes.log_mel_frames(recordings, audio.sample_rate)
        )
        labels.append(speech_judges.target_labels(audio, target)[1])
    start = time.perf_counter()
    found = speech_probes.probe(
        frames[0], labels[0], frames[1], labels[1], progress=False
    )
    seconds = time.perf_counter() - start
    each = ", ".join(f"{a:.3f}" for a in found.accuracies)
    print(
        f"probe of {target} from log-mel frames: {found.accuracy:.3f} +- "
        f"{found.spread:.3f} ({each}; the most frequent {target}: "
        f"{found.majority:.3f}), {seconds:.0f} s",
        flush=True,
    )


def main():
    parser = command.parser(
        __doc__,
        source="tfds:spoken_digit",
        data_dir=None,
        sample_rate=8000,
        seed=0,
    )
    parser.add_argument("--only", choices=("judges", "probes"))
    options = parser.parse_args()
    train, test = (
        data.open_audio(
            options.source,
            split,
            options.sample_rate,
            options.data_dir,
            progress=False,
        )
        for split in ("train", "test")
    )
    print(f"{train.num_examples} training, {test.num_examples} test recordings")
    for target in speech_judges.TARGETS:
        if options.only != "probes":
            judge(train, test, target, options.seed)
        if options.only != "judges":
            probe(train, test, target)


if __name__ == "__main__":
    main()
