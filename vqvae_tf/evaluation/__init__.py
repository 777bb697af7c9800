"""Measures models on held-out data; what is measured is called a figure."""

from vqvae_tf.evaluation.pictures import evaluate

__all__ = ["evaluate"]
