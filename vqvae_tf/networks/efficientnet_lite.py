"""EfficientNet-Lite0, a network of 1,000 classes of ImageNet."""

import dataclasses
from collections.abc import Mapping

import keras
import numpy as np

# The mean and the scale of pixels, those of the authors' training.
_MEAN, _SCALE = 127.0, 128.0
_EPSILON = 1e-3  # of the batch normalizations
_STEM, _HEAD, _CLASSES = 32, 1280, 1000


@dataclasses.dataclass(frozen=True)
class _Stage:
    """Blocks of equal channels; the first has the stride."""

    expansion: int
    kernel_size: int
    stride: int
    channels: int
    blocks: int


_STAGES = (
    _Stage(1, 3, 1, 16, 1),
    _Stage(6, 3, 2, 24, 2),
    _Stage(6, 5, 2, 40, 2),
    _Stage(6, 3, 2, 80, 3),
    _Stage(6, 5, 1, 112, 3),
    _Stage(6, 5, 2, 192, 4),
    _Stage(6, 3, 1, 320, 1),
)
# Stages after which the sizes halve, and the last: what a distance compares.
_COMPARED = (0, 1, 2, 4, 6)


def efficientnet_lite0(weights: Mapping[str, np.ndarray]) -> keras.Model:
    """Makes the network with given weights, for use, not for training.

    Batch normalizations are part of the convolutions before them.

    Args:
        weights: arrays by the names that the PyTorch port of the network has
            for them, such as `"_blocks.0._project_conv.weight"`, kernels as
            `[out, in, height, width]`.

    Returns:
        A model from pictures in 0..255, `[batch, height, width, 3]` of any
        sizes, to a dict: `"stages"`, a list of feature maps `[batch, height /
        r, width / r, channels]` with r = 2, 4, 8, 16 and 32; `"features"`
        `[batch, 1280]`, the means over positions of its last layer; and
        `"logits"` `[batch, 1000]`.

    Raises:
        KeyError: if a weight is missing.
        ValueError: if one has another shape.

    References:
        Tan and Le 2019, arXiv:1905.11946; the Lite variants have no
        squeeze-and-excitation, and ReLU6 for swish
        (github.com/tensorflow/tpu, models/official/efficientnet/lite).
    """
    maker = _Maker(weights)
    pictures = keras.Input((None, None, 3))
    x = keras.layers.Rescaling(1 / _SCALE, -_MEAN / _SCALE)(pictures)
    x = maker.conv("_conv_stem", "_bn0", _STEM, 3, 2)(x)
    stages, number = [], 0
    for stage in _STAGES:
        for block in range(stage.blocks):
            x = _block(maker, stage, x, number, 1 if block else stage.stride)
            number += 1
        stages.append(x)
    x = maker.conv("_conv_head", "_bn1", _HEAD, 1)(x)
    features = keras.layers.GlobalAveragePooling2D()(x)
    outputs = {
        "stages": [stages[i] for i in _COMPARED],
        "features": features,
        "logits": maker.dense("_fc", _CLASSES)(features),
    }
    model = keras.Model(pictures, outputs, name="efficientnet_lite0")
    maker.fill()
    model.trainable = False
    return model


def _block(maker, stage, x, number, stride):
    """An inverted residual block: expansion, depthwise, projection."""
    name, channels, inputs = f"_blocks.{number}", x.shape[-1], x
    if stage.expansion > 1:
        wide = stage.expansion * channels
        x = maker.conv(f"{name}._expand_conv", f"{name}._bn0", wide)(x)
    x = maker.depthwise(
        f"{name}._depthwise_conv",
        f"{name}._bn1",
        stage.kernel_size,
        stride,
    )(x)
    project = f"{name}._project_conv", f"{name}._bn2"
    x = maker.conv(*project, stage.channels, activation=None)(x)
    if stride == 1 and channels == stage.channels:
        x = keras.layers.Add()([inputs, x])
    return x


class _Maker:
    """Makes layers, and gives them their weights once all are built."""

    def __init__(self, weights):
        self._weights = weights
        self._filled = []

    def conv(self, name, norm, filters, size=1, stride=1, activation="relu6"):
        layer = keras.layers.Conv2D(
            filters, size, stride, "same", activation=activation
        )
        self._filled.append((layer, name, norm, (2, 3, 1, 0)))
        return layer

    def depthwise(self, name, norm, size, stride):
        layer = keras.layers.DepthwiseConv2D(
            size, stride, "same", activation="relu6"
        )
        self._filled.append((layer, name, norm, (2, 3, 0, 1)))
        return layer

    def dense(self, name, units):
        layer = keras.layers.Dense(units)
        self._filled.append((layer, name, None, (1, 0)))
        return layer

    def fill(self):
        for layer, name, norm, axes in self._filled:
            kernel = self._weights[f"{name}.weight"]
            scale, bias = self._scale_and_bias(name, norm)
            # The first axis is that of outputs.
            shape = [-1] + [1] * (kernel.ndim - 1)
            kernel = kernel * scale.reshape(shape)
            layer.set_weights([kernel.transpose(axes), bias])

    def _scale_and_bias(self, name, norm):
        if norm is None:
            bias = self._weights[f"{name}.bias"]
            return np.ones_like(bias), bias
        scale, bias, mean, variance = (
            self._weights[f"{norm}.{end}"]
            for end in ("weight", "bias", "running_mean", "running_var")
        )
        scale = scale / np.sqrt(variance + _EPSILON)
        return scale, bias - mean * scale
