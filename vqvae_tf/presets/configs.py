"""Building a model of known classes and bounded size from a configuration."""

import copy
import inspect
import math
import os
import sys

import keras
import tensorflow as tf

from vqvae_tf.presets import checks
from vqvae_tf.presets.checks import PresetError
from vqvae_tf.utils.messages import first_line, with_article

# Keras modules with parts of models. Others download, read files or execute
# code.
_KERAS = tuple(
    prefix + name
    for prefix in ("keras.", "keras.src.")
    for name in (
        "activations",
        "constraints",
        "dtype_policies",
        "initializers",
        "layers",
        "models",
        "ops",
        "optimizers.schedules",
        "random",
        "regularizers",
    )
)
# Classes in these modules that read other files or contain code.
_NOT_OF_KERAS = (
    "FlaxLayer",
    "IntegerLookup",
    "JaxLayer",
    "Lambda",
    "StringLookup",
    "TFSMLayer",
    "TextVectorization",
    "TorchModuleWrapper",
)
# Arguments of this package's classes that are numbers of layers.
_NUMBERS_OF_LAYERS = (
    "local_layers num_downsamples num_layers num_output_layers "
    "num_residual_layers num_upsamples"
).split()
# Arguments that are not sizes.
_NOT_SIZES = (
    "accumulation_steps",
    "capacity_steps",
    "restart_after",
    "sample_rate",
    "seed",
)
# Sizes up to this are always accepted, since those of windows and waveforms
# appear in no array of weights.
_MAX_SIZE = 2**16
# Allowance for metrics, which are not saved and hold a few numbers per code.
_MORE_VARIABLES = 2**20


# Classes ---------------------------------------------------------------------


def own_classes(custom_objects: dict | None) -> dict:
    """Returns the caller's classes by every name that a file may use for them.

    Args:
        custom_objects: classes (or functions) by name, registered or plain;
            or None.

    Raises:
        ValueError: `custom_objects` is anything else.
    """
    if not isinstance(custom_objects, dict | None):
        raise ValueError(
            "custom_objects must be a dict of classes by their names. "
            f"Received: {custom_objects!r}."
        )
    found = {}
    for name, value in (custom_objects or {}).items():
        if not isinstance(name, str) or not callable(value):
            raise ValueError(
                "custom_objects must map names to classes, such as "
                f"{{'my_package>Encoder': Encoder}}. Received: {name!r}: "
                f"{value!r}."
            )
        found[name] = value
        found.setdefault(keras.saving.get_registered_name(value), value)
    return found


def _entries(config):
    """Yields every part that Keras deserializes to an object, at any depth."""
    values = [config]
    while values:
        value = values.pop()
        if isinstance(value, dict):
            if "class_name" in value and "config" in value:
                yield value
            values.extend(value.values())
        elif isinstance(value, (list, tuple)):
            values.extend(value)


def foreign_entries(config: object) -> list[dict]:
    """Returns the parts of a configuration (any JSON value) of other packages.

    That is, those whose classes belong to neither vqvae_tf nor Keras.
    """
    return [entry for entry in _entries(config) if not _is_known(entry)]


def _is_known(entry):
    name, module = entry["class_name"], entry.get("module")
    registered = _registered(entry)
    if name == "__keras_tensor__":  # in functional models; not a class
        return True
    if name == "function":
        return str(module).startswith(
            ("keras.activations", "keras.ops")
        ) and entry.get("registered_name") in (None, entry["config"])
    if name.startswith("__"):
        return False
    if str(registered).startswith("vqvae_tf>"):
        return keras.saving.get_registered_object(registered) is not None
    return (
        (module == "keras" or str(module).startswith(_KERAS))
        and registered in (None, name)
        and name not in _NOT_OF_KERAS
    )


def _registered(entry):
    """Returns the name under which Keras looks up a registered class."""
    return entry.get("registered_name", entry["class_name"])


def _name(entry):
    """Returns the name of a class or function in `custom_objects`."""
    if entry["class_name"] == "function":
        return entry["config"]
    return _registered(entry) or entry["class_name"]


def _check_form(config, path):
    if not isinstance(config, dict) or not {"class_name", "config"} <= set(
        config
    ):
        raise PresetError(
            f"{path} does not contain a model. Expected an object with "
            f"class_name and config. Received: {repr(config)[:80]}."
        )
    for entry in _entries(config):
        names = [
            entry["class_name"],
            entry.get("module") or "",
            entry.get("registered_name") or "",
        ]
        if entry["class_name"] == "function":
            names.append(entry["config"])
        if not all(isinstance(name, str) for name in names):
            raise PresetError(
                f"{path} is damaged: class names must be strings. Received: "
                f"{repr(names)[:80]}."
            )


def _check_classes(config, path, own):
    """Raises PresetError for classes that are neither known nor in `own`."""
    missing = {
        _name(entry): entry.get("module") or "an unknown module"
        for entry in foreign_entries(config)
        if _name(entry) not in own or entry["class_name"].startswith("__")
    }
    if not missing:
        return
    names = sorted(missing)
    listed = ", ".join(f"{name!r} of {missing[name]!r}" for name in names[:10])
    if all(name.startswith("vqvae_tf>") for name in names):
        raise PresetError(
            f"{path} names classes that this version of vqvae_tf does not "
            f"have: {listed}. Update vqvae_tf."
        )
    first = names[0]
    raise PresetError(
        f"{path} names the class {listed}. A preset may name only classes of "
        "vqvae_tf and keras, and those passed as custom_objects. If you trust "
        "their author, import them and load the preset in Python with "
        f"from_preset(..., custom_objects={{{first!r}: "
        f"{first.rpartition('>')[2]}}})."
    )


# Sizes -----------------------------------------------------------------------


def _check_sizes(config, path, weights):
    """Raises PresetError for numbers far beyond what the weights hold."""
    largest = max(weights.elements, _MAX_SIZE)
    entries = layers = 0
    for entry in _entries(config):
        entries += 1
        ours = str(_registered(entry)).startswith("vqvae_tf>")
        if not ours or not isinstance(entry["config"], dict):
            continue
        layers += _count_layers(entry["config"])
        for name, value in entry["config"].items():
            if name in _NOT_SIZES:
                continue
            for number in value if isinstance(value, list) else [value]:
                if isinstance(number, int) and abs(number) > largest:
                    _too_large(path, f"{name}={value}"[:80], largest)
    if layers > weights.arrays:
        _too_large(path, f"{layers} layers", weights.arrays)
    if entries > 50 * weights.arrays + 1000:
        _too_large(path, f"{entries} objects", 50 * weights.arrays + 1000)


def _count_layers(config):
    """Returns how many layers one of our classes makes of its arguments."""

    def number(name, default=0):
        value = config.get(name, default)
        return value if isinstance(value, int) else 0

    numbers = [number(name) for name in _NUMBERS_OF_LAYERS]
    if {"num_stacks", "layers_per_stack"} & set(config):
        numbers.append(number("num_stacks", 2) * number("layers_per_stack", 10))
    if "num_blocks" in config:
        numbers.append(number("num_blocks", 4) * number("num_layers", 4))
    if "blocks_per_stage" in config:
        stages = config.get("stage_channels")
        stages = len(stages) if isinstance(stages, list | tuple) else 1
        numbers.append(number("blocks_per_stage") * stages)
    count = sum(max(each, 0) for each in numbers)
    # A head has layers per codebook, a quantizer one array for all.
    if {"head_channels", "feature_channels"} & set(config):
        count += max(number("num_codebooks", 1), 0)
    return count


def _too_large(path, received, most):
    raise PresetError(
        f"{path} asks for {received}, far more than the preset's weights "
        f"hold: at most {most:,}. It is damaged or malicious; get the preset "
        "again from a trusted source."
    )


class _Limit:
    """Counts the elements of variables before they are created."""

    def __init__(self, most):
        self.most, self.count, self.exceeded = most, 0, False

    def creator(self, next_creator, **kwargs):
        self.count += _size(kwargs["initial_value"])
        if self.count > self.most:
            self.exceeded = True
            raise PresetError("Too many parameters.")
        return next_creator(**kwargs)


def _size(initial_value):
    if callable(initial_value):
        # Keras' initial values are closures over their variable, which has a
        # shape. Tracing them in a graph would not compute values either, but
        # double the time of loading.
        closure = inspect.getclosurevars(initial_value).nonlocals
        if isinstance(closure.get("self"), keras.Variable):
            return math.prod(closure["self"].shape)
        with tf.Graph().as_default():
            initial_value = tf.convert_to_tensor(initial_value())
    return math.prod(initial_value.shape)


# Building --------------------------------------------------------------------


def check_config(
    config: object, path: str | os.PathLike, weights: checks.Weights, own: dict
) -> None:
    """Raises PresetError unless a configuration is safe to build.

    Args:
        config: any JSON value.
        path: its file, for messages.
        weights: how much its file of weights holds.
        own: the caller's classes, from `own_classes`.
    """
    _check_form(config, path)
    _check_classes(config, path, own)
    _check_sizes(config, path, weights)


def build(
    config: dict, path: str | os.PathLike, weights: checks.Weights, own: dict
) -> keras.Model:
    """Returns the built model of a configuration that was checked.

    Args:
        config, path, weights, own: same as for `check_config`.

    Raises:
        PresetError: a class refuses its arguments, or the model would have far
            more parameters than the file of weights.
    """
    limit = _Limit(2 * weights.elements + _MORE_VARIABLES)
    try:
        with (
            tf.variable_creator_scope(limit.creator),
            keras.saving.custom_object_scope(own),
        ):
            model = keras.saving.deserialize_keras_object(config)
            if not isinstance(model, keras.Model):
                raise TypeError(f"{with_article(model)} is not a model")
            model.build()
    except Exception as error:  # classes may raise any kind of error
        if limit.exceeded:
            _too_large(path, f"{limit.count:,} parameters", limit.most)
        raise PresetError(
            f"{path} does not describe a model that vqvae_tf and Keras "
            f"{keras.__version__} can build. It is damaged or from another "
            f"version: {first_line(_cause(error))}"
        ) from error
    return model


def _cause(error):
    # Keras' messages about a failed from_config quote whole configurations.
    of_keras = ("could not be deserialized", "Error when deserializing")
    while error.__context__ and any(x in str(error) for x in of_keras):
        error = error.__context__
    return error


# Saving ----------------------------------------------------------------------


def check_saved(model: keras.Model, config: dict, name: str) -> None:
    """Raises PresetError for a model that could not be loaded again.

    Models of only our own classes always can. Others are built from their
    configuration to find out.

    Args:
        model: the built model.
        config: its configuration as it will be written.
        name: name of the file, for messages.
    """
    if all(
        str(_registered(x)).startswith("vqvae_tf>") for x in _entries(config)
    ):
        return
    classes = {type(x).__name__: type(x) for x in model._flatten_layers()}
    own = {}
    for entry in foreign_entries(config):
        found = _object_of(entry, classes)
        if found is None:
            _refuse_to_save(f"{_name(entry)!r} could not be found again")
        own[_name(entry)] = found
    count = model.count_params()
    weights = checks.Weights(sys.maxsize, count)
    try:
        # Of a copy, since Keras modifies configurations while reading them.
        again = build(copy.deepcopy(config), name, weights, own)
    except PresetError as error:
        _refuse_to_save(first_line(_cause(error.__cause__ or error)))
    if again.count_params() != count:
        _refuse_to_save(
            f"build() creates only {again.count_params():,} of its {count:,} "
            "parameters"
        )


def _refuse_to_save(reason):
    raise PresetError(
        f"The model could not be loaded again: {reason}. Your own parts must "
        "be classes with get_config() and build(), registered by "
        "keras.saving.register_keras_serializable; lambdas and Lambda layers "
        "cannot be saved."
    )


def _object_of(entry, classes):
    """Returns the object in this process that an entry names, or None."""
    name, module = entry["class_name"], entry.get("module")
    if name.startswith("__") or name in _NOT_OF_KERAS:
        return None
    registered = _name(entry)
    found = keras.saving.get_registered_object(registered)
    if found is None and name != "function":
        found = classes.get(name)
    plain = registered.rpartition(">")[2]
    return found or getattr(sys.modules.get(module), plain, None)
