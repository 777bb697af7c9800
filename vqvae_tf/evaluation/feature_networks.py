"""The networks in whose features sets of pictures are compared.

A distance of samples means something only with the name of its network: figures
of different networks cannot be compared.
"""

import dataclasses
import os
from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

from vqvae_tf import presets
from vqvae_tf.models import PictureClassifier
from vqvae_tf.runtime.precision import in_float32

INCEPTION = "inception_v3"


@dataclasses.dataclass(frozen=True)
class FeatureNetwork:
    """A network with a name.

    Attributes:
        name: what figures name it by.
        compute: maps pictures as stored, `[batch, height, width, channels]`, to
            features, float32 `[batch, C]`.
        probabilities: maps them to those of classes, `[batch, classes]`; None
            for a network that names no classes of ours.
    """

    name: str
    compute: Callable[[tf.Tensor], tf.Tensor]
    probabilities: Callable[[tf.Tensor], tf.Tensor] | None = None

    def features(
        self, pictures: np.ndarray, batch_size: int = 64
    ) -> np.ndarray:
        """Returns the features of pictures, float64 `[n, C]`."""
        return _batched(self.compute, pictures, batch_size)

    def answers(
        self, pictures: np.ndarray, batch_size: int = 64
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """Returns features and probabilities, float64 `[n, C]` each.

        The latter are None for a network that names no classes.
        """
        features = self.features(pictures, batch_size)
        if self.probabilities is None:
            return features, None
        return features, _batched(self.probabilities, pictures, batch_size)


def _batched(function, pictures, batch_size):
    parts = [
        function(tf.constant(pictures[first : first + batch_size])).numpy()
        for first in range(0, len(pictures), batch_size)
    ]
    return np.concatenate(parts).astype(np.float64)


def identity(name: str | os.PathLike) -> str | None:
    """Returns the sha256 of a network's preset; None for Inception.

    Args:
        name: as for `find_network`.

    Raises:
        PresetError: for a preset that does not exist.
    """
    if str(name) == INCEPTION:
        return None
    return presets.sha256(presets.find_preset(name) / presets.METADATA)


def find_network(
    name: str | os.PathLike, sha256: str | None = None
) -> FeatureNetwork:
    """Returns a feature network.

    Args:
        name: the preset of a `PictureClassifier`, or "inception_v3", that of
            the usual FID and KID: Keras' weights, which differ from the
            original ones, so that figures are not those of papers.
        sha256: the `identity` that it must have; None (default) for any.

    Raises:
        PresetError: for a preset that does not exist, or is another one.
        ValueError: for one of another model, and for one that would have to be
            fetched.
        OSError: if the weights of Inception are neither here nor found by
            Keras.
    """
    if str(name) == INCEPTION:
        return _inception()
    if str(name).startswith("hf://"):
        raise ValueError(
            "A feature network is a preset on this machine: download it first, "
            f"and name its folder. Received: {name}."
        )
    if sha256 not in (None, received := identity(name)):
        raise presets.PresetError(
            "Figures in features of one network cannot be compared with those "
            f"of another. Received: the preset {name} with the sha256 "
            f"{received}, expected {sha256}. Use that version, or measure anew "
            "what is compared."
        )
    model = presets.load(name)
    if not isinstance(model, PictureClassifier):
        raise ValueError(
            "Features are those of a PictureClassifier, or "
            f'"{INCEPTION}". Received: the preset {name}, a '
            f"{type(model).__name__}."
        )
    return of_classifier(model, str(name))


def of_classifier(model: PictureClassifier, name: str) -> FeatureNetwork:
    """Returns the feature network of a classifier, in float32.

    Args:
        model: the classifier.
        name: what figures name it by.
    """
    model = in_float32(model)
    return FeatureNetwork(
        name, _graph(model.features), _graph(model.probabilities)
    )


def _graph(function):
    return tf.function(function, reduce_retracing=True, autograph=False)


def _inception():
    try:
        model = keras.applications.InceptionV3(include_top=False, pooling="avg")
    except Exception as error:  # of the network, in many forms
        raise OSError(
            "The weights of Inception v3 are needed. Received: Keras could "
            f"not fetch them ({type(error).__name__}: {error}). Use the preset "
            "of a PictureClassifier, or put Keras' file of the weights into "
            "its cache (~/.keras/models)."
        ) from error

    def compute(pictures):
        x = tf.image.resize(tf.cast(pictures, tf.float32), [299, 299])
        return model(x / 127.5 - 1, training=False)

    return FeatureNetwork(INCEPTION, _graph(compute))
