"""The distance of pictures in the features of a named network."""

import importlib.util
import pathlib
from typing import Any

import keras
import tensorflow as tf

from vqvae_tf.layers.configured import Configured
from vqvae_tf.models.feature_networks import VGG, FeatureNetwork, find_network
from vqvae_tf.utils.torch_tensors import read_tensors

_LPIPS = "lpips"


@keras.saving.register_keras_serializable("vqvae_tf")
class PerceptualDistance(Configured):
    """How far pictures are from others in a network's feature maps.

    `sum_l mean_positions sum_c w_lc (a_lc / |a_l| - b_lc / |b_l|)^2` over the
    network's stages l and their channels c. Without heads all `w_lc` are 1 over
    the number of stages. It is named by its network: only the network and the
    heads of LPIPS' authors make it LPIPS, and none here is that.

    The network is fixed: it is no part of the files or the variables of a model
    that uses it, and is fetched by its name when that model is compiled.

    Args:
        network: str, as for `models.feature_networks.find_network`: the preset
            of a `PictureClassifier`, "efficientnet_lite0" or "vgg16".
        heads: None (default), or "lpips": the weights `w_lc` of LPIPS' version
            0.1 for VGG 16, which the package lpips ships. They were fitted to
            PyTorch's weights of that network, not to Keras'.

    Call arguments:
        a, b: pictures in 0..255, `[batch, height, width, channels]`.

    Returns:
        float32 `[batch]`.

    Raises:
        ValueError: for heads of another network.
        OSError, PresetError: from `find_network`.

    Example:

    >>> distance = PerceptualDistance("classifier_cifar10")
    >>> x = tf.random.uniform([2, 32, 32, 3], maxval=255)
    >>> distance(x, x).numpy()
    array([0., 0.], dtype=float32)

    References:
        Johnson et al. 2016, arXiv:1603.08155; Zhang et al. 2018,
        arXiv:1801.03924, eq. 1.
    """

    def __init__(
        self, network: str, heads: str | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**{"dtype": "float32", "autocast": False, **kwargs})
        self.network = str(network)
        self.heads = heads
        if heads is not None and (heads, self.network) != (_LPIPS, VGG):
            raise ValueError(
                f'The only heads are "{_LPIPS}", those of "{VGG}". Received: '
                f"heads={heads!r} for network={self.network!r}."
            )
        self._found = self._of_channels = None

    def load(self) -> FeatureNetwork:
        """Returns the network, which is fetched the first time."""
        if self._found is None:
            with tf.init_scope():
                found = find_network(self.network)
                if found.stages is None:
                    raise ValueError(
                        "A perceptual distance needs a network whose feature "
                        f"maps can be asked for. Received: {self.network}."
                    )
                if self.heads is not None:
                    self._of_channels = _lpips_heads()
            self._found = found
        return self._found

    def build(self, *input_shapes: Any) -> None:
        self.built = True

    def call(self, a: tf.Tensor, b: tf.Tensor) -> tf.Tensor:
        network = self.load()
        pairs = zip(network.stages(a), network.stages(b))
        found = [
            self._of_stage(number, _directions(one) - _directions(other))
            for number, (one, other) in enumerate(pairs)
        ]
        total = tf.add_n(found)
        return total if self.heads else total / len(found)

    def _of_stage(self, number, difference):
        squares = tf.square(difference)
        if self._of_channels is not None:
            squares *= self._of_channels[number]
        return tf.reduce_mean(tf.reduce_sum(squares, axis=-1), axis=(1, 2))

    def compute_output_spec(
        self, a: keras.KerasTensor, b: keras.KerasTensor
    ) -> keras.KerasTensor:
        return keras.KerasTensor(a.shape[:1], "float32")


def _directions(x):
    """Returns vectors of norm 1 along the channels; 0 where x is 0."""
    x = tf.cast(x, tf.float32)
    # Its gradient is finite where all channels are 0.
    return x * tf.math.rsqrt(tf.reduce_sum(x * x, -1, keepdims=True) + 1e-10)


def _lpips_heads():
    """Returns the weights of each stage's channels, `[C]`."""
    spec = importlib.util.find_spec(_LPIPS)
    if spec is None:
        raise OSError(
            "The heads of LPIPS are those that the package lpips ships. "
            "Received: an environment without it. Run pip install --no-deps "
            "lpips, or leave out heads."
        )
    path = pathlib.Path(spec.origin).parent / "weights" / "v0.1" / "vgg.pth"
    return [value.reshape(-1) for value in read_tensors(path).values()]
