"""Configurations of Keras objects, as JSON has them."""


def portable_config(config):
    """Drops what belongs to one process: dtype, compile and build configs.

    Args:
        config: what `keras.saving.serialize_keras_object` returned, or a part
            of it.

    Returns:
        The same without these entries, in any depth.
    """
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
