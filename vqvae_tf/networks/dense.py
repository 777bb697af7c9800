"""Dense networks: a whole picture to one latent, and back."""

import keras
import tensorflow as tf

from vqvae_tf.layers.convolution import check_axes
from vqvae_tf.layers.inner_dense import InnerDense
from vqvae_tf.runtime.freezing import Composite
from vqvae_tf.utils.checks import check_positive


@keras.saving.register_keras_serializable("vqvae_tf")
class DenseEncoder(Composite):
    """Maps a whole picture to one latent, by dense layers alone.

    The encoder of the classical autoencoders of digits: 784 pixels, hidden
    layers, a code. The latent is a grid of one position, so that whatever
    takes the latents of an `Encoder` takes this one.

    Args:
        output_channels: channels of the latent.
        picture_size: S, the sides of the (square) pictures.
        hidden_units: units of each hidden layer, from the picture on.
        activation: what follows each hidden layer, as of `keras.layers.Dense`;
            the latent itself is linear.

    Call arguments:
        inputs: float `[batch, S, S, channels]`.

    Returns:
        `[batch, 1, 1, output_channels]`.

    Raises:
        ValueError: for pictures of another size.

    Example: 28x28 grey digits to 32 numbers.

    >>> encoder = DenseEncoder(output_channels=32, picture_size=28)
    >>> encoder(keras.ops.ones([1, 28, 28, 1])).shape
    TensorShape([1, 1, 1, 32])

    References:
        Hinton and Salakhutdinov 2006, "Reducing the dimensionality of data
        with neural networks".
    """

    rank = 2

    def __init__(
        self,
        output_channels,
        picture_size,
        hidden_units=(500, 500),
        activation="relu",
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.output_channels = check_positive(
            "output_channels", output_channels
        )
        # One number, since `downsampling` holds for height and width alike.
        self.picture_size = check_positive("picture_size", picture_size)
        self.hidden_units = _check_units(hidden_units)
        self.activation = keras.activations.get(activation)
        self.hidden = _hidden_layers(self)
        self.projection = InnerDense(
            self.output_channels, dtype=self.dtype_policy, name="projection"
        )

    @property
    def downsampling(self) -> int:
        """The picture's side: one latent stands for all of it."""
        return self.picture_size

    def build(self, input_shape):
        size = self.picture_size
        _check_grid("encoder", (size, size), input_shape)
        self._features = size * size * input_shape[-1]
        _build_chain([*self.hidden, self.projection], self._features)
        self.built = True

    def call(self, inputs):
        size = self.picture_size
        inputs = _of_grid("encoder", (size, size), inputs)
        x = keras.ops.reshape(inputs, [-1, self._features])
        for layer in self.hidden:
            x = layer(x)
        return self.projection(x)[:, None, None, :]

    def compute_output_shape(self, input_shape):
        return (input_shape[0], 1, 1, self.output_channels)

    def get_config(self):
        return {
            **super().get_config(),
            "output_channels": self.output_channels,
            "picture_size": self.picture_size,
            "hidden_units": self.hidden_units,
            "activation": keras.activations.serialize(self.activation),
        }


@keras.saving.register_keras_serializable("vqvae_tf")
class DenseDecoder(Composite):
    """Maps one latent to the parameters of a whole picture.

    What `DenseEncoder` does, the other way round.

    Args:
        output_channels: channels of the output; what the likelihood wants
            (`likelihood.num_parameters(1)` for grey pictures).
        picture_size: the side of square pictures, or (height, width).
        hidden_units: units of each hidden layer, from the latent on.
        activation: what follows each hidden layer, as of `keras.layers.Dense`;
            the output itself is linear.

    Call arguments:
        inputs: float `[batch, 1, 1, channels]`.

    Returns:
        `[batch, height, width, output_channels]`.

    Raises:
        ValueError: for more than one latent a picture.

    Example: 32 numbers to the logits of 28x28 black or white pixels.

    >>> decoder = DenseDecoder(output_channels=1, picture_size=28)
    >>> decoder(keras.ops.ones([1, 1, 1, 32])).shape
    TensorShape([1, 28, 28, 1])
    """

    rank = 2

    def __init__(
        self,
        output_channels,
        picture_size,
        hidden_units=(500, 500),
        activation="relu",
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.output_channels = check_positive(
            "output_channels", output_channels
        )
        self.picture_size = _check_sizes(picture_size)
        self.hidden_units = _check_units(hidden_units)
        self.activation = keras.activations.get(activation)
        self.hidden = _hidden_layers(self)
        height, width = self.picture_size
        self.projection = InnerDense(
            height * width * self.output_channels,
            dtype=self.dtype_policy,
            name="projection",
        )

    def build(self, input_shape):
        _check_grid("decoder", (1, 1), input_shape)
        self._features = input_shape[-1]
        _build_chain([*self.hidden, self.projection], self._features)
        self.built = True

    def call(self, inputs):
        inputs = _of_grid("decoder", (1, 1), inputs)
        x = keras.ops.reshape(inputs, [-1, self._features])
        for layer in self.hidden:
            x = layer(x)
        shape = [-1, *self.picture_size, self.output_channels]
        return keras.ops.reshape(self.projection(x), shape)

    def compute_output_shape(self, input_shape):
        return (input_shape[0], *self.picture_size, self.output_channels)

    def get_config(self):
        return {
            **super().get_config(),
            "output_channels": self.output_channels,
            "picture_size": self.picture_size,
            "hidden_units": self.hidden_units,
            "activation": keras.activations.serialize(self.activation),
        }


def _hidden_layers(network):
    return [
        InnerDense(
            units,
            network.activation,
            dtype=network.dtype_policy,
            name=f"hidden_{i}",
        )
        for i, units in enumerate(network.hidden_units)
    ]


def _build_chain(layers, features):
    for layer in layers:
        layer.build((None, features))
        features = layer.units


def _of_grid(network, sizes, inputs):
    """Returns the inputs with static sizes; also refuses those of a graph."""
    _check_grid(network, sizes, inputs.shape)
    return tf.ensure_shape(inputs, [None, *sizes, None])


def _check_grid(network, sizes, shape):
    check_axes(2, shape)
    if any(n not in (None, size) for n, size in zip(shape[1:-1], sizes)):
        raise ValueError(
            f"The {network} was made for inputs of {sizes[0]} x {sizes[1]}, "
            f"and dense layers know no other size. Received: inputs of shape "
            f"{tuple(shape)}."
        )


def _check_units(units):
    if isinstance(units, (str, bytes)) or not hasattr(units, "__iter__"):
        raise ValueError(
            "hidden_units must be a sequence of positive integers, such as "
            f"(500, 500). Received: {units!r}."
        )
    return tuple(check_positive("Each of hidden_units", n) for n in units)


def _check_sizes(size):
    sizes = (size, size) if not hasattr(size, "__len__") else tuple(size)
    if isinstance(size, str) or len(sizes) != 2:
        raise ValueError(
            "picture_size must be a positive integer, or two: (height, width). "
            f"Received: {size!r}."
        )
    return tuple(check_positive("picture_size", n) for n in sizes)
