"""Models: `keras.Model` subclasses that share one `train_step`."""

from vqvae_tf.models.autoencoder import Autoencoder
from vqvae_tf.models.code_level import CodeLevel
from vqvae_tf.models.code_model import CodeModel
from vqvae_tf.models.coded_sequences import CodedSequenceModel
from vqvae_tf.models.hierarchical_vqvae import HierarchicalVQVAE
from vqvae_tf.models.latent_generator import LatentGenerator
from vqvae_tf.models.next_frame import NextFrameModel
from vqvae_tf.models.perceptual import PerceptualDistance
from vqvae_tf.models.picture_classifier import PictureClassifier
from vqvae_tf.models.speech_coder import SpeechCoder
from vqvae_tf.models.speech_fast_decoder import SpeechFastDecoder
from vqvae_tf.models.speech_vqvae import SpeechVQVAE
from vqvae_tf.models.state_space import StateSpaceModel
from vqvae_tf.models.td_vae import TDVAE
from vqvae_tf.models.video_generator import VideoGenerator
from vqvae_tf.models.vqgan import VQGAN
from vqvae_tf.models.vqvae import VQVAE

__all__ = [
    "Autoencoder",
    "CodeLevel",
    "CodeModel",
    "CodedSequenceModel",
    "HierarchicalVQVAE",
    "LatentGenerator",
    "NextFrameModel",
    "PerceptualDistance",
    "PictureClassifier",
    "SpeechCoder",
    "SpeechFastDecoder",
    "SpeechVQVAE",
    "StateSpaceModel",
    "TDVAE",
    "VQGAN",
    "VQVAE",
    "VideoGenerator",
]
