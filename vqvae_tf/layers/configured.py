"""A `get_config` made from the constructor's arguments."""

import inspect
from typing import Any

import keras


class Configured(keras.layers.Layer):
    """A layer whose config is made of its constructors' arguments.

    The config has every argument, of the class's constructor and those of its
    bases, that is stored in an attribute of the same name. Subclasses override
    `get_config` only for other arguments.

    Example:

    >>> class Scaling(Configured):
    ...     def __init__(self, factor, **kwargs):
    ...         super().__init__(**kwargs)
    ...         self.factor = factor
    >>> Scaling.from_config(Scaling(2.0).get_config()).factor
    2.0
    """

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        for base in reversed(type(self).__mro__):
            if issubclass(base, Configured) and "__init__" in vars(base):
                for name in inspect.signature(base.__init__).parameters:
                    # What is there already, such as parts of a model, is
                    # serialized.
                    if hasattr(self, name) and name not in config:
                        config[name] = getattr(self, name)
        return config
