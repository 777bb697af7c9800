"""Figures of models on held-out data."""

from vqvae_tf.evaluation.pictures import evaluate

__all__ = ["evaluate"]
