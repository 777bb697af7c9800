"""Adam with TensorFlow's own kernel for a variable's update."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable("vqvae_tf")
class Adam(keras.optimizers.Adam):
    """`keras.optimizers.Adam`, with one operation for each variable.

    Keras' own writes some forty, most of them for the bias correction, which
    is the same for all variables. The arguments and the variables are those of
    Keras, and steps are equal but for rounding. With `amsgrad`, for sparse
    gradients (of embeddings, of which Keras updates the rows in use), and for
    variables that are narrower than float32, it is Keras' own.

    Args:
        args, kwargs: as for `keras.optimizers.Adam`.
        ema_of_run: bool, False by default: with `use_ema`, whether the averages
            are those of one long run. Keras puts them in place of the weights
            whenever a fit ends, so that another one starts from them, and they
            start at the weights of the first step. If this is True, weights
            stay as the last step made them, and after t steps the momentum is
            `(1 + t) / (10 + t)` where that is less, so that first weights are
            soon forgotten (`training.averaging` puts averages in place).

    Example:

    >>> optimizer = Adam(learning_rate=0.1)
    >>> weight = keras.Variable([1.0, 2.0])
    >>> optimizer.apply([tf.constant([0.5, -3.0])], [weight])
    >>> weight.numpy().round(4)
    array([0.9, 2.1], dtype=float32)

    References:
        Kingma and Ba 2015, arXiv:1412.6980, algorithm 1, in the form that ends
        its section 2.
    """

    _powers = None

    def __init__(
        self, *args: Any, ema_of_run: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self.ema_of_run = bool(ema_of_run)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "ema_of_run": self.ema_of_run}

    def apply(
        self,
        grads: Sequence[tf.Tensor],
        trainable_variables: Sequence[keras.Variable] | None = None,
    ) -> None:
        step = tf.cast(self.iterations, tf.float32) + 1.0
        self._powers = tf.pow(self.beta_1, step), tf.pow(self.beta_2, step)
        try:
            super().apply(grads, trainable_variables)
        finally:
            self._powers = None  # tensors of one graph

    def finalize_variable_values(
        self, var_list: Sequence[keras.Variable]
    ) -> None:
        if not self.ema_of_run:
            super().finalize_variable_values(var_list)

    def _update_model_variables_moving_average(self, trainable_variables):
        # Keras has no public way to change the momentum from step to step.
        if not self.use_ema or not self.ema_of_run:
            super()._update_model_variables_moving_average(trainable_variables)
            return
        steps = tf.cast(self.iterations, tf.float32)
        momentum = tf.minimum(self.ema_momentum, (1 + steps) / (10 + steps))
        momentum = tf.where(steps > 0, momentum, 0.0)
        for weight, average in zip(
            trainable_variables, self._model_variables_moving_average
        ):
            share = tf.cast(momentum, weight.dtype)
            average.assign(share * average + (1 - share) * weight)

    def update_step(
        self,
        gradient: tf.Tensor,
        variable: tf.Variable,
        learning_rate: tf.Tensor,
    ) -> None:
        sparse = isinstance(gradient, tf.IndexedSlices)
        if self.amsgrad or sparse or variable.dtype != tf.float32:
            super().update_step(gradient, variable, learning_rate)
            return
        index = self._get_variable_index(variable)
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle,
            m=self._momentums[index].value.handle,
            v=self._velocities[index].value.handle,
            beta1_power=self._powers[0],
            beta2_power=self._powers[1],
            lr=learning_rate,
            beta1=self.beta_1,
            beta2=self.beta_2,
            epsilon=self.epsilon,
            grad=gradient,
        )
