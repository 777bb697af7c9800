"""The contractive penalty on the sensitivity of a representation."""

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from vqvae_tf.layers.row_noise import RowNoise
from vqvae_tf.runtime import replicas
from vqvae_tf.utils.checks import check_not_negative, check_positive

METHODS = ("exact", "hutchinson")


@keras.saving.register_keras_serializable("vqvae_tf")
class Contractive(RowNoise):
    """Penalizes the squared Frobenius norm of the encoder's Jacobian.

    For inputs x `[B, *sizes, channels]` and representations h(x) `[B, ...]` it
    is `weight * sum_ij (d h_i / d x_j)^2` of each example, in nats. It is
    differentiable with respect to the encoder's variables.

    Args:
        weight: float, the paper's lambda, at least 0.
        method: "exact" (the default) computes the whole Jacobian, with one
            backward pass per unit of h, all at once: memory and time grow with
            the units, so it suits small or dense encoders. "hutchinson" is an
            unbiased estimate of the norm, the mean of `|v^T J|^2` over probes
            v of random signs, with one backward pass per probe. The variance
            of one probe is 2 sum_(i != k) (J J^T)_ik^2.
        num_probes: int, the number of probes for "hutchinson"; 1 by default.
        seed: int, of the probes in training; a random one by default.
        relative: bool, whether to divide by the sum of the variances of the
            units of h over the *global* batch, which makes the penalty
            independent of the scale of h; False by default. The paper ties the
            decoder's weights to the encoder's; with free weights h could
            shrink at no cost, without contracting anything. A batch of one
            costs 0.

    Call arguments:
        encode: a function of float inputs that returns h, each row from its
            own input alone (no batch normalization).
        inputs: float `[B, *sizes, channels]`.
        training: bool, whether to draw new probes; otherwise each call uses
            the same ones.
        weight: None, or `[B]`, 0 for rows of padding, which are excluded from
            the variances.

    Returns:
        float32 [B] nats.

    Raises:
        ValueError: for an unknown method, a negative weight, or an encoder
            whose result does not depend on its input.

    Example:

    >>> encode = keras.layers.Dense(2, kernel_initializer="ones")
    >>> Contractive(0.5)(encode, tf.zeros([1, 3])).numpy()  # 0.5 * 2 * 3
    array([3.], dtype=float32)

    References:
        Rifai et al. 2011, "Contractive auto-encoders: explicit invariance
        during feature extraction", eq. 1.
        Hutchinson 1990, "A stochastic estimator of the trace of the influence
        matrix", applied to the trace of J J^T.
    """

    def __init__(
        self,
        weight: float,
        method: str = "exact",
        num_probes: int = 1,
        seed: int | None = None,
        relative: bool = False,
        **kwargs: Any,
    ) -> None:
        if method not in METHODS:
            raise ValueError(
                f"method must be one of {', '.join(METHODS)}. "
                f"Received: method={method!r}."
            )
        kwargs = {"autocast": False, "dtype": "float32", **kwargs}
        super().__init__(seed, noisy=method == "hutchinson", **kwargs)
        self.weight = check_not_negative("weight", weight)
        self.method = method
        self.num_probes = check_positive("num_probes", num_probes)
        self.relative = bool(relative)
        self.built = True

    # Not `call`: Keras allows only tensors as positional arguments.
    def __call__(
        self,
        encode: Callable[[tf.Tensor], tf.Tensor],
        inputs: tf.Tensor,
        training: bool = False,
        weight: tf.Tensor | None = None,
    ) -> tf.Tensor:
        inputs = tf.convert_to_tensor(inputs)
        if self.method == "exact":
            norm, units = self._exact(encode, inputs)
        else:
            seed = self.next_seed() if training else self.seed or 0
            norm, units = self._estimate(encode, inputs, seed)
        if self.relative:
            norm = tf.math.divide_no_nan(norm, _variance(units, weight))
        return self.weight * norm

    def _exact(self, encode, inputs):
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(inputs)
            units = _flat(encode(inputs))
        # batch_jacobian returns zeros where there is no gradient.
        _dependent(tape.gradient(units, inputs))
        return _squares(tape.batch_jacobian(units, inputs)), units

    def _estimate(self, encode, inputs, seed):
        with tf.GradientTape(persistent=self.num_probes > 1) as tape:
            tape.watch(inputs)
            units = _flat(encode(inputs))
        shape = tf.shape(units)
        shape = [shape[0], self.num_probes, shape[1]]
        signs = tf.where(self.uniform(shape, seed) < 0.5, -1.0, 1.0)
        total = 0.0
        for i in range(self.num_probes):
            probe = tf.cast(signs[:, i], units.dtype)
            total += _squares(_dependent(tape.gradient(units, inputs, probe)))
        return total / self.num_probes, units


def _flat(units):
    """`[B, ...]` to `[B, U]`."""
    size = units.shape[1:].num_elements()
    return tf.reshape(units, [tf.shape(units)[0], -1 if size is None else size])


def _squares(x):
    """The sum of squares of each row of `[B, ...]`, float32 [B]."""
    x = tf.cast(x, tf.float32)
    return tf.reduce_sum(x**2, axis=list(range(1, len(x.shape))))


def _variance(units, weight):
    """The sum of the variances of the units of `[B, U]` over all replicas."""
    units = tf.cast(units, tf.float32)
    if weight is None:
        weight = tf.ones([tf.shape(units)[0]])
    weight = tf.cast(tf.reshape(weight, [-1, 1]), tf.float32)
    total, count = replicas.sum_over_replicas(
        [tf.reduce_sum(units * weight, axis=0), tf.reduce_sum(weight)]
    )
    mean = tf.math.divide_no_nan(total, count)
    squares = tf.reduce_sum(weight * (units - mean) ** 2)
    return tf.math.divide_no_nan(replicas.sum_over_replicas(squares), count)


def _dependent(gradient):
    if gradient is None:
        raise ValueError(
            "The representation must be a differentiable function of the "
            "inputs. Received: an `encode` without a gradient; pass a function "
            "of float tensors, not of codes or arrays."
        )
    return gradient
