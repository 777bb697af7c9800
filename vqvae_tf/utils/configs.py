"""Configurations of Keras objects for JSON."""

from typing import Any


def portable_config(config: Any) -> Any:
    """Removes dtype, compile and build configs at any depth.

    They are specific to one process.

    Args:
        config: result of `keras.saving.serialize_keras_object`, or a part of
            it.
    """
    if isinstance(config, dict):
        if config.get("class_name") == "__keras_tensor__":
            return config  # in functional models, which need its dtype
        dropped = ("dtype", "compile_config", "build_config")
        return {
            k: portable_config(v) for k, v in config.items() if k not in dropped
        }
    if isinstance(config, (list, tuple)):
        return [portable_config(v) for v in config]
    return config
