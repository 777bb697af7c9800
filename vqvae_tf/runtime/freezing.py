"""Freezing parts of models, so that it takes effect and is saved."""

import keras


def trainable_state(model: keras.Model) -> int:
    """Returns a hash of which layers and variables are trainable."""
    return hash(
        tuple(
            (id(layer), layer.trainable, *(v.trainable for v in own))
            for layer in model._flatten_layers()
            for own in [layer._trainable_variables]
        )
    )


# Optimizers -------------------------------------------------------------------


def build_optimizer(
    optimizer: keras.optimizers.Optimizer, variables: list[keras.Variable]
) -> None:
    """Builds an optimizer for variables, or rebuilds it for other variables.

    A rebuilt optimizer keeps the number of steps, and the moments and averages
    of variables that are still trained. Those of others are dropped.

    Args:
        optimizer: built or not.
        variables: the variables to train from now on.
    """
    if not optimizer.built:
        optimizer.build(variables)
        return
    known = optimizer._trainable_variables
    if [id(v) for v in known] == [id(v) for v in variables]:
        return
    inner = getattr(optimizer, "inner_optimizer", None)
    if inner is None:
        _rebuild(optimizer, variables)
    else:  # loss scaling, which has no state per variable
        build_optimizer(inner, variables)
        optimizer._trainable_variables_indices.clear()
        keras.optimizers.Optimizer.build(optimizer, variables)


_AVERAGES = "_model_variables_moving_average"  # of `use_ema=True`


def _rebuild(optimizer, variables):
    places = dict(optimizer._trainable_variables_indices)
    slots = _slots(optimizer)
    single = {
        name: value
        for name, value in vars(optimizer).items()
        if isinstance(value, keras.Variable)
    }
    for variable in [v for row in slots.values() for v in row]:
        if variable is not None:
            optimizer._untrack_variable(variable)
    optimizer._trainable_variables_indices.clear()
    optimizer.built = False
    optimizer.build(variables)
    for name, row in _slots(optimizer).items():
        for variable, new in zip(variables, row):
            place = places.get(optimizer._var_key(variable))
            if new is not None and place is not None:
                new.assign(slots[name][place])
            elif new is not None and name == _AVERAGES:
                # Starting at 0, the average would overwrite the weights.
                new.assign(variable)
    for name, old in single.items():
        if getattr(optimizer, name) is not old:
            getattr(optimizer, name).assign(old)


def _slots(optimizer):
    """Returns the optimizer's lists with one entry per trained variable."""
    count = len(optimizer._trainable_variables)
    others = ("_variables", "_trainable_variables")
    return {
        name: list(value)
        for name, value in vars(optimizer).items()
        if isinstance(value, list)
        and name not in others
        and len(value) == count
        and all(v is None or isinstance(v, keras.Variable) for v in value)
    }


# Configurations ---------------------------------------------------------------


def trainable_parts(model: keras.layers.Layer) -> dict[str, bool]:
    """Returns the layers whose `trainable` differs from their parent's.

    Returns:
        `{path: trainable}`, where a path joins the attributes that lead from
        the model to a layer by dots. A nested model handles its own layers.
    """
    return {
        path: layer.trainable
        for path, layer, parent in _walk(model)
        if layer.trainable != parent.trainable
    }


def set_trainable_parts(
    model: keras.layers.Layer, parts: dict[str, bool] | None
) -> None:
    """Restores which layers are trainable, from `trainable_parts`.

    Args:
        model: a model or layer.
        parts: `{path: trainable}`; None, for configs without them, only
            applies `freeze_inside`.
    """
    if parts is None:
        freeze_inside(model)
        return
    for path, layer, parent in _walk(model):
        trainable = parts.get(path, parent.trainable)
        if trainable and layer.trainable:
            continue
        # The setter would also change the layers inside.
        layer._trainable = trainable
        for variable in layer._trainable_variables:
            variable.trainable = trainable


def freeze_inside(layer: keras.layers.Layer) -> None:
    """Freezes the layers that a frozen layer creates itself.

    The setter of `trainable` freezes them, but `trainable=False` in the
    constructor or a config does not. If some are frozen already, the setter
    was used, and nothing changes.
    """
    children = [child for _, child in _children(layer)]
    if not layer.trainable and all(child.trainable for child in children):
        for child in children:
            child.trainable = False
    for child in children:
        if not isinstance(child, keras.Model):
            freeze_inside(child)


class Composite(keras.layers.Layer):
    """A layer that creates others, which are frozen if it is."""

    def _post_build(self):
        super()._post_build()
        freeze_inside(self)


def _walk(layer, prefix=""):
    """Yields path, layer and parent of all layers in a layer, top down."""
    for name, child in _children(layer):
        yield prefix + name, child, layer
        if not isinstance(child, keras.Model):
            yield from _walk(child, f"{prefix}{name}.")


def _children(layer):
    """Returns (attribute, layer) of each layer in a layer, without repeats."""
    found = {}
    for name, value in vars(layer).items():
        many = isinstance(value, (list, tuple)) and name != "_layers"
        for i, one in enumerate(value if many else [value]):
            if isinstance(one, keras.layers.Layer):
                path = f"{name}.{i}" if many else name
                found.setdefault(id(one), (path, one))
    return list(found.values())
