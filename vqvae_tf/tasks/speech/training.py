"""The stages of speech: codes, a WaveNet, a fast decoder, and a prior.

Section 4.3 of arXiv:1711.00937.
"""

import functools

import keras
import numpy as np
from ml_collections import ConfigDict

from vqvae_tf import data
from vqvae_tf.data.audio.source import evenly_spaced
from vqvae_tf.encoding import recordings
from vqvae_tf.evaluation.speech.coded import Coded
from vqvae_tf.evaluation.speech.likelihoods import likelihoods
from vqvae_tf.media import sheets, spectrograms
from vqvae_tf.models import (
    LatentGenerator,
    SpeechCoder,
    SpeechFastDecoder,
    SpeechVQVAE,
)
from vqvae_tf.recipes import building
from vqvae_tf.tasks.pictures.training import prior_stage
from vqvae_tf.tasks.speech.recipe import open_split, with_fast_decoder
from vqvae_tf.training.stages import PRIOR, Encoding, Plan, Stage, Steps
from vqvae_tf.training.workdir import CODES
from vqvae_tf.utils.padding import pad

# Held-out recordings that are measured after each epoch.
_LOGGED = 32

# In the order of the card's text.
PLANS = (
    Plan("autoencoder", "training"),
    Plan(
        "coder",
        "code_training",
        " after {steps} of {batch_size} of the codes alone",
        bound_by=("coder", "autoencoder"),
        is_used=lambda config: config.code_training.steps > 0,
    ),
    Plan(
        "fast_decoder",
        "fast_training",
        ", the fast decoder {steps} of {batch_size}",
        keys=("fast_decoder.",),
        is_used=lambda config: config.fast_decoder.name is not None,
    ),
    PRIOR,
)


def stages(config: ConfigDict, data_dir: str | None, with_prior: bool) -> Steps:
    """Yields the stages of a recipe; see `Task.stages`."""
    audio = open_split(config.data, config.data.train_split, data_dir)
    held_out = open_split(config.data, config.data.eval_split, data_dir)
    autoencoder = building.make_autoencoder(config)
    autoencoder.speaker_names = _speaker_names(config, audio)
    # Before any training, so that a fast decoder that does not fit fails early.
    whole = with_fast_decoder(config, autoencoder)
    few = evenly_spaced(held_out, _LOGGED)

    def stage(name, model, training, logged):
        batches = functools.partial(
            data.window_batches,
            audio,
            training.batch_size,
            config.data.window,
            seed=config.seed,
        )
        return Stage(name, model, training, batches, logged)

    if config.code_training.steps:
        yield stage(
            "coder",
            SpeechCoder(autoencoder),
            config.code_training,
            lambda: {"spectra": spectrum_sheet(autoencoder, few)},
        )
    yield stage(
        "autoencoder",
        autoencoder,
        config.training,
        lambda: {
            "reconstructions": reconstruction_sheet(autoencoder, held_out),
            **held_out_bits(autoencoder, few),
        },
    )
    if whole.fast_decoder is not None:
        yield stage(
            "fast_decoder",
            SpeechFastDecoder(whole),
            config.fast_training,
            lambda: {"spectra": spectrum_sheet(whole, few, fast=True)},
        )
    prior = building.make_prior(config) if with_prior else None
    if prior is None:
        return whole
    passes = config.prior_training.encode_passes
    longest = config.prior.event_shape[0]
    arrays = yield Encoding(
        CODES, whole, lambda model: encode(model, audio, passes, longest)
    )
    yield prior_stage(
        config,
        prior,
        arrays["codes"],
        lambda: code_sheet(prior),
        weight=arrays["mask"],
    )
    return LatentGenerator(whole, prior)


def _speaker_names(config, audio):
    if audio.num_speakers != config.data.num_speakers:
        raise ValueError(
            f"The recipe says data.num_speakers={config.data.num_speakers}. "
            f"Received: {audio.name} with {audio.num_speakers} speakers."
        )
    return tuple(audio.speaker_names)


def encode(
    model: SpeechVQVAE,
    audio: data.AudioSource,
    passes: int = 1,
    longest: int | None = None,
) -> dict:
    """Encodes recordings in one or several passes.

    Args:
        model: a `SpeechVQVAE`.
        audio: n recordings, from `open_audio`.
        passes: P; in pass i codes begin i / P of a code's length earlier.
        longest: how many codes of each recording to keep, from its start; by
            default all.

    Returns:
        A dict of `codes` `[P * n, time]`, padded to the longest, and float32
        `mask` of the same shape, 0 after a recording's end.
    """
    codes = [
        found[:longest]
        for i in range(passes)
        for found in recordings.encode(
            model, audio, shift=i * model.stride // passes
        )
    ]
    codes, mask = pad(codes)
    return {"codes": codes.astype(np.uint16), "mask": mask}


# What to log ------------------------------------------------------------------


def held_out_bits(model: SpeechVQVAE, audio: data.AudioSource) -> dict:
    """Returns the `likelihoods` of held-out recordings, to log."""
    if audio.num_examples < 2:  # they need another recording's codes
        return {}
    coded = Coded.of(model, audio, progress=False)
    found = likelihoods(coded, progress=False)
    return {f"held_out_{name}": value for name, value in found.items()}


def spectrum_sheet(
    model: SpeechVQVAE,
    audio: data.AudioSource,
    fast: bool = False,
    count: int = 4,
) -> np.ndarray:
    """Draws log-mel frames, each above what a decoder makes of its codes.

    The decoder is the auxiliary one or, with `fast`, the fast one.
    """
    decoder = model.fast_decoder if fast else model.auxiliary
    batches = data.audio_evaluation_batches(audio, count, model.stride)
    waveform, context, mask = next(iter(batches))
    counted = model.latent_mask(mask)
    # Not the quantizer's call, whose metrics would be reduced over workers.
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


def reconstruction_sheet(
    model: SpeechVQVAE, audio: data.AudioSource, count: int = 4
) -> np.ndarray:
    """Draws spectrograms of recordings, each above its reconstruction's."""
    batch = next(iter(data.audio_evaluation_batches(audio, count)))
    waveform, context, mask = batch
    # The start only, since sampling is slow.
    length = min(waveform.shape[1], model.sample_rate // 2)
    waveform, mask = waveform[:, :length], mask[:, :length]
    drawn = model.reconstruct(waveform, context, seed=0) * mask
    rows = [
        np.stack([spectrograms.draw(x, model.sample_rate) for x in rows])
        for rows in (waveform.numpy(), drawn.numpy())
    ]
    return sheets.stacked(rows, columns=count)


def code_sheet(prior: keras.Model, count: int = 8) -> np.ndarray:
    """Draws samples of the prior, codes as grey levels.

    A sequence is a row, or one for each codebook, the first on top.
    """
    codes = prior.sample(count, seed=0).numpy()
    codes = codes.reshape([*codes.shape[:2], prior.num_codebooks])
    levels = codes * (255.0 / (np.array(prior.num_codes) - 1))
    rows = levels.astype(np.uint8).transpose([0, 2, 1])
    picture = rows.reshape([-1, codes.shape[1], 1])
    return sheets.enlarge(picture, 4)
