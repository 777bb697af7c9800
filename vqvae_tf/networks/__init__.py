"""Encoders and decoders: stacks of layers, without a loss."""

from vqvae_tf.networks.decoder import Decoder
from vqvae_tf.networks.encoder import Encoder

__all__ = ["Decoder", "Encoder"]
