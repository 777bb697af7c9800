"""The classes that a recipe names: this package's, or the user's own."""

import importlib
import inspect
import types
from collections.abc import Iterable

import keras
from ml_collections import ConfigDict

from vqvae_tf import densities, layers, networks, quantizers
from vqvae_tf.recipes import registry

# Each kind of recipe adds its own sections.
_COMMON = {
    "preprocess": (layers,),
    "encoder": (networks,),
    "decoder": (networks, densities),
    "quantizer": (quantizers,),
    "likelihood": (densities,),
    "prior": (densities,),
}


def sections() -> dict[str, tuple[types.ModuleType, ...]]:
    """Returns the sections that name a class, with the classes' modules."""
    return _COMMON | registry.parts()


def find_class(section: str, name: str) -> type:
    """Returns the class that a section's `name` refers to.

    Args:
        section: of the recipe, such as "encoder".
        name: one of this package's classes, or the path of one of your own,
            `"my_package.nets:MyEncoder"` or `"my_package.nets.MyEncoder"`,
            whose module is imported.

    Raises:
        ValueError: if there is no such class.

    Example:

    >>> find_class("encoder", "Encoder").__name__
    'Encoder'
    >>> find_class("encoder", "keras.layers:Dense").__name__
    'Dense'
    """
    if is_own(name):
        return _own_class(section, name)
    modules = sections()[section]
    for module in modules if isinstance(name, str) else ():
        found = getattr(module, name, None)
        if isinstance(found, type):
            return found
    known = [n for module in modules for n in module.__all__]
    raise ValueError(
        f"Recipe: {section}.name must be one of {', '.join(sorted(known))}, "
        f"or a class of your own, my_package.nets:MyClass. Received: {name!r}."
    )


def is_own(name: str) -> bool:
    """Returns whether a name is the path of a class of the user's own."""
    return isinstance(name, str) and (":" in name or "." in name)


def _own_class(section, name):
    module_name, _, class_name = name.replace(":", ".").rpartition(".")
    received = f"Received: {section}.name={name!r}."
    try:
        module = importlib.import_module(module_name)
    except Exception as error:  # importing runs the user's code
        raise ValueError(
            f"Recipe: the module {module_name!r} of {section}.name cannot be "
            f"imported ({type(error).__name__}: {error}). Is its folder on "
            f"PYTHONPATH? {received}"
        ) from error
    found = getattr(module, class_name, None)
    if not isinstance(found, type) or not issubclass(found, keras.Layer):
        raise ValueError(
            f"Recipe: {module_name} has no class {class_name} of layers or "
            f"models. {received}"
        )
    return found


def own_classes(config: ConfigDict) -> dict[str, type]:
    """Returns a recipe's own classes, as `custom_objects` of `presets.load`."""
    found = {}
    for section in sections():
        for name in _names(config.get(section)):
            if is_own(name):
                cls = find_class(section, name)
                found[keras.saving.get_registered_name(cls)] = cls
    return found


def _names(value):
    """Yields the classes that a section names, also within its arguments."""
    if isinstance(value, list | tuple):
        for item in value:
            yield from _names(item)
    elif isinstance(value, ConfigDict | dict) and "name" in value:
        yield value["name"]
        for item in value.values():
            yield from _names(item)


def check_given(section: str, name: str, given: Iterable[str]) -> None:
    """Raises ValueError if a class lacks a required argument.

    Args:
        section: of the recipe.
        name: of the class.
        given: the names of the arguments it is given.
    """
    parameters = inspect.signature(find_class(section, name)).parameters
    lacking = [
        key
        for key, parameter in parameters.items()
        if parameter.default is parameter.empty
        and parameter.kind
        not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
        and key not in given
    ]
    if lacking:
        raise ValueError(
            f"The recipe's {section} lacks {', '.join(lacking)}, which {name} "
            f"needs: set config.{section}.{lacking[0]}."
        )


def arguments(section: str, name: str) -> set[str]:
    """Returns the keys that a section may have: `name` and the arguments."""
    names = {"name"}
    for base in find_class(section, name).__mro__:
        package = base.__module__.partition(".")[0]
        ours = package == "vqvae_tf"
        if ours or (is_own(name) and package not in ("keras", "builtins")):
            names.update(inspect.signature(base.__init__).parameters)
    return names - {"self", "args", "kwargs"}
