"""Copies of a model in another precision."""

import contextlib
from collections.abc import Iterator

import keras
import tensorflow as tf

from vqvae_tf.utils.configs import portable_config


@contextlib.contextmanager
def float32_policy() -> Iterator[None]:
    """Makes new layers without an explicit policy compute in float32."""
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("float32")
    try:
        yield
    finally:
        keras.config.set_dtype_policy(policy)


def in_float32(model: keras.Model) -> keras.Model:
    """Returns the model if it computes in float32, else a float32 copy."""
    if not model.built:
        model.build()
    layers = model._flatten_layers()
    if all(layer.compute_dtype == "float32" for layer in layers):
        return model
    with float32_policy():
        return copied(model)


def copied(model: keras.Model) -> keras.Model:
    """Returns a copy of a built model in the current policy and strategy."""
    config = portable_config(keras.saving.serialize_keras_object(model))
    copy = keras.saving.deserialize_keras_object(config)
    copy.build()
    copy.set_weights(model.get_weights())
    return copy


def check_moments(
    optimizer: keras.optimizers.Optimizer, variables: list[keras.Variable]
) -> None:
    """Raises ValueError for an Adam that cannot train bfloat16 weights.

    Its moments have the dtype of the weights, in which `beta_2=0.999` rounds
    to 1: Adam would divide by 1 - beta_2 ** steps = 0.
    """
    beta = getattr(optimizer, "beta_2", None)
    narrow = any(v.dtype == "bfloat16" for v in variables)
    if narrow and beta is not None and tf.cast(beta, tf.bfloat16) == 1:
        raise ValueError(
            f"{type(optimizer).__name__}(beta_2={beta}) cannot train bfloat16 "
            "weights, since beta_2 rounds to 1. Use beta_2=0.99, or the policy "
            f"mixed_bfloat16. Received: beta_2={beta}, bfloat16 weights."
        )
