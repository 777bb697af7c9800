"""The small variant of a recipe: the same parts, trained in about a minute."""

from ml_collections import ConfigDict

from vqvae_tf.recipes.schema import is_training

# Follows a recipe's name or file.
SUFFIX = ":small"
STEPS, BATCH_SIZE = 60, 8
# Examples of the training split and of the evaluation split.
EXAMPLES, HELD_OUT = 400, 20


def make_small(config: ConfigDict) -> ConfigDict:
    """Returns a recipe with few steps and examples.

    It shows that all stages work, also on one's own data; its figures are
    meaningless. Models keep their sizes.

    Args:
        config: a recipe, which is not changed.
    """
    config = config.copy_and_resolve_references()
    for section in config.values():
        if isinstance(section, ConfigDict) and is_training(section):
            _shorten(section)
    data = config.data
    if data.source.startswith("tfds:"):  # other sources have no slices
        data.train_split = _first(data.train_split, EXAMPLES)
        data.eval_split = _first(data.eval_split, HELD_OUT)
    figures = dict(bound_samples=1, neighbour_pictures=0, feature_network=None)
    for key, value in figures.items():
        if key in data:
            data[key] = value
    if "adversarial" in config:  # both players, from the start
        for key in config.adversarial:
            if key.endswith(("_start", "_ramp")):
                config.adversarial[key] = 0
    if data.get("max_recordings", EXAMPLES) != EXAMPLES:
        data.max_recordings = EXAMPLES
    if "max_sequences" in data:
        data.max_sequences = HELD_OUT
    return config


def _shorten(section):
    steps = min(section.steps, STEPS)
    section.update(
        steps=steps,
        batch_size=min(section.batch_size, BATCH_SIZE),
        steps_per_epoch=max(steps, 1),
        warmup_steps=min(section.warmup_steps, steps // 4),
    )
    if "encode_passes" in section:
        section.encode_passes = 1


def _first(split, count):
    """Returns the beginning of a split, or of a slice of one."""
    name, _, part = split.partition("[")
    start = part.partition(":")[0]
    first = int(start) if start.isdecimal() else 0
    if part and not start.isdecimal() and start:
        return split  # a slice in percent, or from the end
    return f"{name}[{first or ''}:{first + count}]"
