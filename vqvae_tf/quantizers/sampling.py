"""Codes that are drawn at random in training."""

from typing import Any

import keras
import tensorflow as tf

from vqvae_tf.runtime import random, replicas
from vqvae_tf.utils.checks import check_number

_LOW, _HIGH = 1e-6, 1e6

Temperature = float | keras.optimizers.schedules.LearningRateSchedule


@keras.saving.register_keras_serializable("vqvae_tf")
class SoftmaxSampling:
    r"""Draws codes in training: `VectorQuantizer(sampling=...)`.

    Code k of latent z has probability

    .. math::

        p(k \mid z) = \operatorname{softmax}_k(-\|z - e_k\|^2 / \tau)

    with tau the `temperature`. The gradient is that of the layer's `gradient`,
    and codebook and averages learn from the latents that drew a code. At
    inference, and if the layer is frozen, codes are the nearest ones. Codes
    that are only nearly nearest are used as well, so fewer die; a temperature
    that falls during training ends with the nearest.

    Noise depends on the layer's seed, the number of the training step, which
    is saved with the layer, and the place of a latent in the global batch: any
    number of replicas draws the same. It takes N * G * K numbers of memory.

    Args:
        temperature: float in [1e-6, 1e6], 1 by default, about the difference of
            squared distances between near codes; or a schedule of
            `keras.optimizers.schedules`, called with the number of the step.

    Example:

    >>> cooling = keras.optimizers.schedules.ExponentialDecay(1.0, 1000, 0.5)
    >>> layer = vqvae_tf.VectorQuantizerEMA(
    ...     64, 16, sampling=SoftmaxSampling(cooling)
    ... )
    >>> latents = tf.random.normal([100, 16])
    >>> _, drawn = layer(latents, training=True, return_codes=True)
    >>> len(np.unique(drawn)) > len(np.unique(layer.encode(latents)))
    True

    References:
        Roy et al. 2018, Theory and Experiments on Vector Quantized
        Autoencoders, arXiv:1805.11063, whose soft EM averages several draws;
        Takida et al. 2022, SQ-VAE, arXiv:2205.07547.
    """

    # Whether gradients pass through probabilities, not as of nearest codes.
    relaxes = False

    def __init__(self, temperature: Temperature = 1.0) -> None:
        self.temperature = _check_temperature("temperature", temperature)

    def draw(
        self,
        z: tf.Tensor,
        codebooks: tf.Tensor,
        seed: tf.Tensor,
        step: tf.Tensor,
    ) -> tuple[tf.Tensor, tf.Tensor | None]:
        """Draws a code for each latent.

        Args:
            z: float32 `[G, N, d]`.
            codebooks: float32 `[G, K, d]`, or `[1, K, d]` for all groups.
            seed: int32 `[2]`, of this step.
            step: int32, the number of the step.

        Returns:
            Codes, int32 `[G, N]`; and None, or float32 `[G, N, d]` whose
            gradient the quantized latents get.
        """
        temperature = _at(self.temperature, step)
        scores = _scores(z, codebooks, temperature, seed)
        return tf.argmax(scores, axis=-1, output_type=tf.int32), None

    def get_config(self) -> dict[str, Any]:
        return {"temperature": _plain(self.temperature)}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "SoftmaxSampling":
        return cls(**config)


@keras.saving.register_keras_serializable("vqvae_tf")
class GumbelSoftmax(SoftmaxSampling):
    r"""Draws codes as `SoftmaxSampling`, with the gradient of a relaxation.

    With g standard Gumbel noise, tau the `temperature` and rho the
    `relaxation`,

    .. math::

        s_k &= -\|z - e_k\|^2 / \tau + g_k \\
        \tilde{z} &= \sum_k \operatorname{softmax}(s / \rho)_k \, e_k

    The code is the argmax of s. The quantized latent is its embedding, and has
    the gradient of the second line (straight-through Gumbel-softmax): it
    reaches the latents through the probabilities, and all embeddings of a
    gradient-trained codebook. The layer's `gradient` is not used in training
    steps that draw.

    Args:
        temperature: as for `SoftmaxSampling`.
        relaxation: float in [1e-6, 1e6], 1 by default, or a schedule: the
            temperature of the relaxation, often lowered from 1 to between 1/2
            and 1/16. Low values have less bias and more variance.

    Example:

    >>> sampling = GumbelSoftmax(temperature=0.1, relaxation=0.5)
    >>> layer = vqvae_tf.VectorQuantizer(64, 16, sampling=sampling)
    >>> layer(tf.zeros([2, 5, 16]), training=True).shape
    TensorShape([2, 5, 16])

    References:
        Jang et al. 2017, Categorical Reparameterization with Gumbel-Softmax,
        arXiv:1611.01144, section 2.2; Sonderby et al. 2017, Continuous
        Relaxation Training of Discrete Latent Variable Image Models.
    """

    relaxes = True

    def __init__(
        self, temperature: Temperature = 1.0, relaxation: Temperature = 1.0
    ) -> None:
        super().__init__(temperature)
        self.relaxation = _check_temperature("relaxation", relaxation)

    def draw(
        self,
        z: tf.Tensor,
        codebooks: tf.Tensor,
        seed: tf.Tensor,
        step: tf.Tensor,
    ) -> tuple[tf.Tensor, tf.Tensor | None]:
        temperature = _at(self.temperature, step)
        scores = _scores(z, codebooks, temperature, seed)
        codes = tf.argmax(scores, axis=-1, output_type=tf.int32)
        p = tf.nn.softmax(scores / (temperature * _at(self.relaxation, step)))
        return codes, tf.matmul(p, codebooks)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "relaxation": _plain(self.relaxation)}


def check_sampling(value: Any) -> SoftmaxSampling | None:
    """Returns None or a `SoftmaxSampling`, from itself or its config.

    Raises:
        ValueError: for anything else.
    """
    found = value
    if isinstance(value, dict) and "class_name" in value:
        found = keras.saving.deserialize_keras_object(value)
    if found is not None and not isinstance(found, SoftmaxSampling):
        raise ValueError(
            "sampling must be None, a SoftmaxSampling or a GumbelSoftmax, such "
            f"as SoftmaxSampling(0.1). Received: sampling={value!r}."
        )
    return found


def _scores(z, codebooks, temperature, seed):
    """`[G, N, K]`: -|z - e|^2 + temperature * noise, up to a constant."""
    norms = tf.reduce_sum(codebooks**2, axis=-1)[:, tf.newaxis]
    scores = 2.0 * tf.matmul(z, codebooks, transpose_b=True) - norms
    groups, values = scores.shape[0], scores.shape[2]
    rows = tf.shape(z)[1]
    u = random.uniform_rows(
        [rows, groups, values], seed, replicas.first_row(rows)
    )
    gumbel = -tf.math.log(-tf.math.log(tf.transpose(u, [1, 0, 2])))
    return scores + temperature * gumbel


def _check_temperature(name, value):
    if isinstance(value, dict) and "class_name" in value:
        value = keras.saving.deserialize_keras_object(value)
    if isinstance(value, keras.optimizers.schedules.LearningRateSchedule):
        return value
    expected = (
        f"a number in [{_LOW:g}, {_HIGH:g}] or a schedule of "
        "keras.optimizers.schedules"
    )
    return check_number(name, value, _LOW, _HIGH, expected)


def _at(temperature, step):
    """A temperature at a step, float32."""
    if isinstance(temperature, keras.optimizers.schedules.LearningRateSchedule):
        temperature = tf.cast(temperature(step), tf.float32)
        # Schedules may end at 0.
        return tf.clip_by_value(temperature, _LOW, _HIGH)
    return tf.constant(temperature, tf.float32)


def _plain(temperature):
    if isinstance(temperature, keras.optimizers.schedules.LearningRateSchedule):
        return keras.saving.serialize_keras_object(temperature)
    return temperature
