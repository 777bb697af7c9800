"""Exported models: SavedModels, and what they answer."""

from vqvae_tf.export.saved_model import export

__all__ = ["export"]
