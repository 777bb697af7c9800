"""Presets: pretrained models in folders, with the sha256 of every file.

NAME/config.json         registered class and nested configuration
NAME/model.weights.h5    the autoencoder's weights, float16 or float32
NAME/prior.json, prior.weights.h5   the prior, if there is one
NAME/metadata.json       class, versions, recipe, figures, sha256 of the others
NAME/README.md           the model card

This package imports no model classes: Keras looks up those that configurations
and metadata name by their registered names.
"""

from vqvae_tf.media.save import save_shown
from vqvae_tf.presets.checks import METADATA, PresetError
from vqvae_tf.presets.files import (
    CONFIG,
    PRIOR_CONFIG,
    PRIOR_WEIGHTS,
    WEIGHTS,
    sha256,
)
from vqvae_tf.presets.finding import BUILT_IN, HUB, find_preset
from vqvae_tf.presets.loading import load
from vqvae_tf.presets.saving import check_replaceable, save, write_metadata
from vqvae_tf.presets.verifying import load_metadata, verify

__all__ = [
    "BUILT_IN",
    "CONFIG",
    "HUB",
    "METADATA",
    "PRIOR_CONFIG",
    "PRIOR_WEIGHTS",
    "PresetError",
    "WEIGHTS",
    "check_replaceable",
    "find_preset",
    "load",
    "load_metadata",
    "save",
    "save_shown",
    "sha256",
    "verify",
    "write_metadata",
]
