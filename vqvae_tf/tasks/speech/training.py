"""Waveforms to codes, and a prior over the codes: section 4.3 of the paper."""

import functools

import numpy as np

from vqvae_tf import data
from vqvae_tf.data.audio.source import evenly_spaced
from vqvae_tf.encoding import arrays as encoding, recordings as speech_codes
from vqvae_tf.evaluation import classifiers as sequences
from vqvae_tf.evaluation.speech import (
    evaluate as speech_evaluation,
    judges as speech_judges,
    probes as speech_probes,
)
from vqvae_tf.evaluation.speech.coded import Coded
from vqvae_tf.evaluation.speech.likelihoods import likelihoods
from vqvae_tf.media import sheets, spectrograms
from vqvae_tf.models import LatentGenerator, SpeechCoder, SpeechFastDecoder
from vqvae_tf.recipes import building
from vqvae_tf.tasks.pictures import training as pictures
from vqvae_tf.training import fitting

# Held-out recordings that an epoch's end is measured on.
_LOGGED = 32


def train(config, workdir, data_dir, stage, start):
    """Trains both stages, and a fast decoder; see `pictures.train`."""
    audio = open_split(config.data, config.data.train_split, data_dir)
    held_out = open_split(config.data, config.data.eval_split, data_dir)
    autoencoder = building.make_autoencoder(config)
    autoencoder.speaker_names = _speaker_names(config, audio)
    # Now, so that a fast decoder that does not fit is refused at once.
    whole = building.with_fast_decoder(config, autoencoder)
    few = evenly_spaced(held_out, _LOGGED)
    start()
    if config.code_training.steps:
        fitting.fit(
            SpeechCoder(autoencoder),
            config.code_training,
            _windows(config, audio, config.code_training),
            workdir / "coder",
            lambda: {"spectra": spectrum_sheet(autoencoder, few)},
        )
    fitting.fit(
        autoencoder,
        config.training,
        _windows(config, audio, config.training),
        workdir / "autoencoder",
        lambda: {
            "reconstructions": reconstruction_sheet(autoencoder, held_out),
            **held_out_bits(autoencoder, few),
        },
    )
    if whole.fast_decoder is not None:
        fitting.fit(
            SpeechFastDecoder(whole),
            config.fast_training,
            _windows(config, audio, config.fast_training),
            workdir / "fast_decoder",
            lambda: {"spectra": spectrum_sheet(whole, few, fast=True)},
        )
    prior = building.make_prior(config)
    if prior is None or stage == "autoencoder":
        return whole
    arrays = encoding.once(
        workdir / "codes.npz",
        whole,
        lambda model: encode(
            model,
            audio,
            config.prior_training.encode_passes,
            config.prior.event_shape[0],
        ),
    )
    pictures.fit_prior(
        config,
        prior,
        arrays["codes"],
        None,
        workdir / "prior",
        lambda: code_sheet(prior),
        weight=arrays["mask"],
    )
    return LatentGenerator(whole, prior)


def _windows(config, audio, training):
    return functools.partial(
        data.window_batches,
        audio,
        training.batch_size,
        config.data.window,
        seed=config.seed,
    )


def open_split(description, split, data_dir=None):
    """Opens the recordings that a recipe, or a preset's metadata, describes."""
    return data.open_audio(
        description["source"],
        split,
        description["sample_rate"],
        data_dir=data_dir,
        on_corrupt=description["on_corrupt"],
        normalize=description["normalize"],
    )


def _speaker_names(config, audio):
    if audio.num_speakers != config.data.num_speakers:
        raise ValueError(
            f"The recipe says data.num_speakers={config.data.num_speakers}. "
            f"Received: {audio.name} with {audio.num_speakers} speakers."
        )
    return tuple(audio.speaker_names)


def encode(model, audio, passes=1, longest=None) -> dict:
    """Encodes recordings, as often as there are passes.

    Args:
        model: a `SpeechVQVAE`.
        audio: of `open_audio`.
        passes: P; in pass i codes begin i / P of a code's length earlier.
        longest: how many codes to keep of a recording, from its start on; by
            default all. The arrays are as long as the longest one's.

    Returns:
        A dict of `codes` `[P * n, time]` and float32 `mask` of the same shape,
        0 where a recording has ended.
    """
    codes = [
        found[:longest]
        for i in range(passes)
        for found in speech_codes.encode(
            model, audio, shift=i * model.stride // passes
        )
    ]
    codes, mask = sequences.pad(codes)
    return {"codes": codes.astype(np.uint16), "mask": mask}


def measure(model, description, data_dir=None, progress=True) -> dict:
    """Measures a model on the held-out recordings of `description`.

    Judges of classes and speakers are trained first, on the training
    recordings, in a minute or two each. With `max_recordings` in the
    description so many of each split are looked at, evenly spaced.

    Args:
        model: a `SpeechVQVAE`, or a `LatentGenerator` of one.
        description: a dict like a recipe's `data` section.
        data_dir: where the data lies.
        progress: show progress bars.

    Returns:
        The figures of `speech_evaluation.evaluate` and, of what codes tell,
        of `speech_probes.figures`.
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
    judges = [
        speech_judges.train_judge(train_split, target, progress=progress)
        for target in targets
    ]
    autoencoder = model.autoencoder
    train_codes, test_codes = (
        speech_codes.encode(autoencoder, audio, progress)
        for audio in (train_split, held_out)
    )
    figures = speech_evaluation.evaluate(
        model,
        held_out,
        train_split,
        judges,
        codes=(test_codes, train_codes),
        progress=progress,
    )
    return figures | speech_probes.figures(
        train_split,
        held_out,
        train_codes,
        test_codes,
        autoencoder.quantizer.num_embeddings,
        hop=autoencoder.stride,
        progress=progress,
    )


# What to log ------------------------------------------------------------------


def held_out_bits(model, audio) -> dict:
    """Returns the `likelihoods` of held-out recordings, for the course.

    None of a single one, which has no other's codes.
    """
    if audio.num_examples < 2:
        return {}
    coded = Coded.of(model, audio, progress=False)
    found = likelihoods(coded, progress=False)
    return {f"held_out_{name}": value for name, value in found.items()}


def spectrum_sheet(model, audio, fast=False, count=4):
    """Draws log-mel frames, below each what the auxiliary decoder tells.

    Or, with `fast`, the fast one.
    """
    decoder = model.fast_decoder if fast else model.auxiliary
    batches = data.audio_evaluation_batches(audio, count, model.stride)
    waveform, context, mask = next(iter(batches))
    counted = model.latent_mask(mask)
    # Not the quantizer's call, whose metrics are of all workers together.
    latents = model.quantizer.decode(model.encode(waveform))
    latents *= counted[..., np.newaxis]
    frames = [
        decoder.targets(waveform),
        decoder(latents, context.get("global"), counted),
    ]
    rows = [
        np.stack([spectrograms.draw_frames(x) for x in row.numpy()])
        for row in frames
    ]
    return sheets.enlarge(sheets.stacked(rows, columns=count), 2)


def reconstruction_sheet(model, audio, count=4):
    """Draws spectrograms of recordings, below each that of its codes."""
    batch = next(iter(data.audio_evaluation_batches(audio, count)))
    waveform, context, mask = batch
    # The start alone: sample by sample takes a while.
    length = min(waveform.shape[1], model.sample_rate // 2)
    waveform, mask = waveform[:, :length], mask[:, :length]
    drawn = model.reconstruct(waveform, context, seed=0) * mask
    rows = [
        np.stack([spectrograms.draw(x, model.sample_rate) for x in rows])
        for rows in (waveform.numpy(), drawn.numpy())
    ]
    return sheets.stacked(rows, columns=count)


def code_sheet(prior, count=8):
    """Draws sequences of codes from the prior as grey levels, row by row."""
    codes = prior.sample(count, seed=0).numpy()
    levels = codes * (255.0 / (prior.num_embeddings - 1))
    picture = levels.astype(np.uint8)[..., np.newaxis]
    return sheets.enlarge(picture, 4)
