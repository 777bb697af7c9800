"""Figures of models, measured on data that these have not seen."""

from vqvae_tf.evaluation.pictures import evaluate

__all__ = ["evaluate"]
