"""Export of models as SavedModels, and their signatures."""

from vqvae_tf.export.saved_model import export

__all__ = ["export"]
