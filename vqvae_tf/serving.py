"""What an exported model answers: inputs checked, outputs named."""

from vqvae_tf.models import Autoencoder, LatentGenerator, VideoGenerator
from vqvae_tf.serving_base import Endpoints
from vqvae_tf.serving_latents import LatentEndpoints
from vqvae_tf.serving_levels import LevelEndpoints
from vqvae_tf.serving_pictures import PictureEndpoints
from vqvae_tf.serving_video import VideoEndpoints


def endpoints(generator) -> Endpoints:
    """Returns the functions behind the signatures of a model.

    Args:
        generator: a `VQVAE` of pictures, a `LatentGenerator` with one, a
            `VideoGenerator` or an `Autoencoder`; built, and in float32.

    Example:

    >>> codes = endpoints(generator).signatures()["encode"](images)["codes"]
    """
    if isinstance(generator, VideoGenerator):
        return VideoEndpoints(generator)
    if isinstance(generator, Autoencoder):
        return LatentEndpoints(generator)
    if isinstance(getattr(generator, "prior", None), LatentGenerator):
        return LevelEndpoints(generator)
    return PictureEndpoints(generator)
