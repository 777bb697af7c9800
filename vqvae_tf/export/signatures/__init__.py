"""The signatures of exported models, with checked inputs."""

import keras

from vqvae_tf.export.signatures.base import Endpoints
from vqvae_tf.export.signatures.bounds import Bounds
from vqvae_tf.export.signatures.latents import LatentEndpoints
from vqvae_tf.export.signatures.levels import LevelEndpoints
from vqvae_tf.export.signatures.pictures import CodeEndpoints
from vqvae_tf.export.signatures.sequences import (
    CodedSequenceEndpoints,
    SequenceEndpoints,
)
from vqvae_tf.export.signatures.speech import SpeechEndpoints
from vqvae_tf.export.signatures.video import VideoEndpoints
from vqvae_tf.models import (
    Autoencoder,
    CodedSequenceModel,
    LatentGenerator,
    SpeechVQVAE,
    VideoGenerator,
)
from vqvae_tf.models.sequence_model import SequenceModel


def endpoints(
    generator: keras.Model,
    jit_sampling: bool | None = None,
    bounds: Bounds | None = None,
) -> Endpoints:
    """Returns the functions behind the signatures of a model.

    Args:
        generator: a `VQVAE` or `HierarchicalVQVAE` of pictures or a
            `SpeechVQVAE`, a `LatentGenerator` with one, a `VideoGenerator`, an
            `Autoencoder`, a `TDVAE` or another model of sequences, or a
            `CodedSequenceModel`; built, and in float32.
        jit_sampling: for speech and for pictures with a prior, see `export`.
        bounds: the limits of a request, by default `Bounds()`.

    Raises:
        ValueError: for jit_sampling with a model that draws nothing in steps.

    Example:

    >>> codes = endpoints(generator).signatures()["encode"](images)["codes"]
    """
    if isinstance(generator.autoencoder, SpeechVQVAE):
        return SpeechEndpoints(generator, bool(jit_sampling), bounds)
    drawn = isinstance(generator, LatentGenerator)
    if jit_sampling is not None and not drawn:
        raise ValueError(
            "jit_sampling is for models of speech, and of pictures with a "
            f"prior. Received: jit_sampling={jit_sampling} and a "
            f"{type(generator).__name__}."
        )
    if isinstance(generator, VideoGenerator):
        return VideoEndpoints(generator, bounds)
    if isinstance(generator, CodedSequenceModel):
        return CodedSequenceEndpoints(generator, bounds)
    if isinstance(generator, SequenceModel):
        return SequenceEndpoints(generator, bounds)
    if isinstance(generator, Autoencoder):
        return LatentEndpoints(generator, bounds)
    if isinstance(generator.prior, LatentGenerator):
        return LevelEndpoints(generator, bounds, bool(jit_sampling))
    return CodeEndpoints(generator, bounds, bool(jit_sampling))
