"""What stands between an encoder and a decoder, one class a model family."""

from vqvae_tf.bottlenecks.base import Bottleneck
from vqvae_tf.bottlenecks.identity import Identity
from vqvae_tf.bottlenecks.ksparse import KSparse
from vqvae_tf.bottlenecks.sparse import Sparse

__all__ = ["Bottleneck", "Identity", "KSparse", "Sparse"]
