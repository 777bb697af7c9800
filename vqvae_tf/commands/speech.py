"""The commands for presets of speech."""

import itertools
import pathlib

import numpy as np
from absl import flags

from vqvae_tf import presets
from vqvae_tf.commands.inputs import recordings as audio_inputs
from vqvae_tf.commands.inputs.files import PICTURES, RECORDINGS
from vqvae_tf.commands.outputs import Outputs
from vqvae_tf.encoding import recordings as speech_codes
from vqvae_tf.evaluation.speech import spectral_distance
from vqvae_tf.layers.mel import frame_window
from vqvae_tf.media import spectrograms
from vqvae_tf.models import LatentGenerator
from vqvae_tf.runtime import random
from vqvae_tf.utils.paths import has_ending

FLAGS = flags.FLAGS

# Waveforms that are decoded at once.
_AT_ONCE = 16
# Spectrograms of samples in each row of a sheet.
_COLUMNS = 4


def encode(preset: str, source: str, target: str) -> None:
    """Writes the codes of recordings to an npz file."""
    if not has_ending(target, ".npz"):
        raise ValueError(
            "The codes of recordings are written to an npz file. Received: "
            f"{target}."
        )
    _refuse("data_dir", "split", "format", "num_shards", "batch_size")
    outputs = Outputs("encode", [source], RECORDINGS.extensions)
    outputs.check(target)
    inputs = RECORDINGS.list_inputs([source])
    model = _load(preset)
    names, codes, lengths = [], [], []
    for name, waveform in _recordings(preset, model, inputs):
        names.append(name)
        lengths.append(len(waveform))
        codes.append(model.encode(waveform[np.newaxis]).numpy()[0])
    if not names:
        raise ValueError(f"No recording of {source} could be read.")
    outputs.npz(target, **audio_inputs.pack(codes, lengths, names, preset))
    print(f"Wrote the codes of {len(names)} recordings to {target}.")


def decode(preset: str, source: str, target: str) -> None:
    """Decodes codes in a speaker's voice, to a wav file each."""
    _refuse("split")
    if has_ending(target, ".npz"):
        raise ValueError(
            "Recordings are written to a folder, as wav files. Received: "
            f"{target}."
        )
    outputs = Outputs("decode", [source])
    outputs.check_folder(target)
    model = _load(preset)
    speaker = audio_inputs.speaker_number(model, FLAGS.speaker)
    codes, lengths, names = audio_inputs.unpack(source, model, preset)
    outputs.check(*(pathlib.Path(target) / name for name in names))
    waveforms = _drawn(model, codes, [speaker] * len(codes), lengths)
    for name, waveform in zip(names, waveforms):
        outputs.wav(pathlib.Path(target) / name, waveform, model.sample_rate)
    print(f"Wrote {len(waveforms)} recordings to {target}.")


def reconstruct(preset: str, *inputs: str) -> None:
    """Writes recordings decoded from their codes, in their own voices."""
    _refuse("size")
    _write_again(
        "reconstruct", preset, inputs, FLAGS.output or "reconstructions"
    )


def convert(preset: str, *inputs: str) -> None:
    """Writes recordings in another speaker's voice."""
    if not audio_inputs.is_speech(preset):
        raise ValueError(
            "convert takes a preset of speech with several speakers. "
            f"Received: {preset}."
        )
    if FLAGS.speaker is None:
        audio_inputs.speaker_number(_load(preset), None)
        raise ValueError(
            f"This preset has no speakers to convert to. Received: {preset}."
        )
    _write_again("convert", preset, inputs, FLAGS.output or "conversions")


def _write_again(command, preset, inputs, output):
    outputs = Outputs(command, inputs, RECORDINGS.extensions)
    inputs, targets = RECORDINGS.targets(
        inputs, output, outputs, FLAGS.on_corrupt
    )
    outputs.check(*map(_sheet, targets.values()))
    model = _load(preset)
    chosen = None
    if FLAGS.speaker is not None:
        chosen = audio_inputs.speaker_number(model, FLAGS.speaker)
    recordings = _recordings(preset, model, inputs)
    while some := list(itertools.islice(recordings, _AT_ONCE)):
        names, waveforms = zip(*some)
        codes = [model.encode(x[np.newaxis]).numpy()[0] for x in waveforms]
        speakers = [
            _own_speaker(model, *pair) if chosen is None else chosen
            for pair in zip(waveforms, codes)
        ]
        drawn = _drawn(model, codes, speakers, list(map(len, waveforms)))
        for name, speaker, *pair in zip(names, speakers, waveforms, drawn):
            _write_pair(outputs, targets[name], model, speaker, *pair)


def _sheet(target):
    """Returns the picture that is written beside a recording."""
    return target.with_suffix(".png")


def _write_pair(outputs, target, model, speaker, waveform, again):
    """Writes a decoded recording, and spectrograms of it and the original."""
    rate = model.sample_rate
    outputs.wav(target, again, rate)
    sheet = spectrograms.sheet([[waveform], [again]], rate)
    outputs.picture(_sheet(target), sheet)
    window = frame_window(rate)
    distance = spectral_distance.log_spectral_distance(
        waveform, again, window, window // 4
    )
    voice = "".join(model.speaker_names[speaker : speaker + 1])
    print(f"{target}: {distance:.1f} dB apart", end="")
    print(f", by {voice}" if voice else "")


def _own_speaker(model, waveform, codes):
    if len(model.speaker_names) < 2:
        return 0
    return audio_inputs.likeliest_speaker(model, waveform, codes)


def sample(preset: str) -> None:
    """Writes samples, a wav file each, and a sheet of spectrograms."""
    _refuse("label")
    output = pathlib.Path(FLAGS.output or "samples")
    if output.suffix.lower() in PICTURES.extensions:
        raise ValueError(
            "Samples of speech are written to a folder, as wav files. "
            f"Received: --output={output}."
        )
    outputs = Outputs("sample")
    outputs.check_folder(output)
    outputs.check(output / "samples.png")
    generator = presets.load(preset)
    if not isinstance(generator, LatentGenerator):
        raise ValueError(
            "sample draws from a prior: it takes the preset of a "
            f"LatentGenerator. Received: {preset}, a "
            f"{type(generator).__name__}."
        )
    model = generator.autoencoder
    speakers = _sampled_speakers(model)
    context = model.speaker_context(speakers) if model.speaker_names else None
    targets = []
    for i, speaker in enumerate(speakers):
        voice = "".join(f"_{n}" for n in model.speaker_names[speaker:][:1])
        targets.append(output / f"{i:03}{voice}.wav")
    outputs.check(*targets)
    waveforms = _samples(generator, context).numpy()
    for target, waveform in zip(targets, waveforms):
        outputs.wav(target, waveform, model.sample_rate)
    rows = [waveforms[i : i + _COLUMNS] for i in range(0, FLAGS.num, _COLUMNS)]
    sheet = spectrograms.sheet(rows, model.sample_rate)
    outputs.picture(output / "samples.png", sheet)
    print(f"Wrote {FLAGS.num} samples to {output}.")


def _samples(generator, context):
    """Samples waveforms; the fast decoder needs the codes first."""
    options = dict(
        temperature=FLAGS.temperature,
        top_k=FLAGS.top_k,
        top_p=FLAGS.top_p,
        seed=FLAGS.seed,
    )
    if not FLAGS.fast:
        return generator.sample(FLAGS.num, context=context, **options)
    told = context if generator.prior.global_channels else None
    # The same codes as without --fast.
    options["seed"] = random.fold_in(random.make_seed(FLAGS.seed), 0)
    codes = generator.prior.sample(FLAGS.num, told, **options)
    return generator.autoencoder.decode(codes, context, fast=True)


def _sampled_speakers(model):
    """Returns each sample's speaker: the one asked for, or all in turn."""
    if FLAGS.speaker is None and model.speaker_names:
        return [i % len(model.speaker_names) for i in range(FLAGS.num)]
    return [audio_inputs.speaker_number(model, FLAGS.speaker)] * FLAGS.num


def _refuse(*names):
    given = [name for name in names if FLAGS[name].present]
    if given:
        raise ValueError(
            f"--{given[0]} is not for presets of speech. Received: "
            f"--{given[0]}."
        )


def _load(preset):
    return presets.load(preset).autoencoder


def _recordings(preset, model, inputs):
    return audio_inputs.read_recordings(
        inputs,
        model.sample_rate,
        audio_inputs.loudness(preset),
        FLAGS.on_corrupt,
    )


def _drawn(model, codes, speakers, lengths):
    return speech_codes.decode(
        model,
        codes,
        speakers,
        lengths,
        temperature=FLAGS.temperature,
        seed=FLAGS.seed,
        batch_size=_AT_ONCE,
        progress=len(codes) > 1,
        fast=FLAGS.fast,
    )
