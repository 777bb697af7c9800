"""The same model in another precision."""

import keras


def portable_config(config):
    """Drops what belongs to one process: dtype, compile and build configs."""
    if isinstance(config, dict):
        if config.get("class_name") == "__keras_tensor__":
            return config  # in functional models; its dtype is needed
        dropped = ("dtype", "compile_config", "build_config")
        return {
            k: portable_config(v) for k, v in config.items() if k not in dropped
        }
    if isinstance(config, (list, tuple)):
        return [portable_config(v) for v in config]
    return config


def in_float32(model):
    """Returns the model, or a float32 copy of it with its weights."""
    if not model.built:
        model.build()
    layers = model._flatten_layers()
    if all(layer.compute_dtype == "float32" for layer in layers):
        return model
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("float32")
    try:
        return copied(model)
    finally:
        keras.config.set_dtype_policy(policy)


def copied(model):
    """Returns a copy with its weights, in the dtype policy and strategy of now.

    Args:
        model: a built model of this package.
    """
    config = portable_config(keras.saving.serialize_keras_object(model))
    copy = keras.saving.deserialize_keras_object(config)
    copy.build()
    copy.set_weights(model.get_weights())
    return copy
