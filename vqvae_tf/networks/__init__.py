"""Encoders and decoders, without losses."""

from vqvae_tf.networks.decoder import Decoder
from vqvae_tf.networks.dense import DenseDecoder, DenseEncoder
from vqvae_tf.networks.encoder import Encoder
from vqvae_tf.networks.global_encoder import GlobalEncoder
from vqvae_tf.networks.group_norm_stack import (
    GroupNormDecoder,
    GroupNormEncoder,
)
from vqvae_tf.networks.past_frames import PastFrames
from vqvae_tf.networks.patch_discriminator import PatchDiscriminator
from vqvae_tf.networks.residual_features import ResidualFeatures
from vqvae_tf.networks.upper_codes import UpperCodes

__all__ = [
    "Decoder",
    "DenseDecoder",
    "DenseEncoder",
    "Encoder",
    "GlobalEncoder",
    "GroupNormDecoder",
    "GroupNormEncoder",
    "PastFrames",
    "PatchDiscriminator",
    "ResidualFeatures",
    "UpperCodes",
]
