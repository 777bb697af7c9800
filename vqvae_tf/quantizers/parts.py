"""Quantizers that a quantizer is made of: given, copied, and configured."""

from collections.abc import Sequence
from typing import Any

import keras

from vqvae_tf.quantizers.base import Quantizer
from vqvae_tf.utils.checks import check_positive

MOST_IMPLIED = 2**20


def parts_of(
    name: str,
    given: Quantizer | Sequence[Quantizer],
    count_name: str,
    count: int | None,
) -> list[Quantizer]:
    """Returns the quantizers that another one is made of.

    Args:
        name: of the argument that gives them.
        given: one quantizer, which is copied, or a list of several.
        count_name: of the argument for how many copies there are.
        count: how many, or None for a list.

    Raises:
        ValueError: for something else.
    """
    if isinstance(given, Quantizer):
        if count is None:
            raise ValueError(
                f"A single quantizer needs {count_name}, how many are made of "
                f"it. Received: {count_name}=None."
            )
        count = check_positive(count_name, count)
        return [given, *(copied(given, i) for i in range(1, count))]
    is_list = isinstance(given, Sequence) and not isinstance(given, str)
    parts = list(given) if is_list else []
    if not parts or not all(isinstance(part, Quantizer) for part in parts):
        raise ValueError(
            f"{name} must be a Quantizer, or a list of at least one. Received: "
            f"{given!r}."
        )
    if count not in (None, len(parts)):
        raise ValueError(
            f"{count_name} is for a single quantizer; a list has as many as it "
            f"has. Received: {len(parts)} with {count_name}={count}."
        )
    if len({id(part) for part in parts}) < len(parts):
        raise ValueError(
            f"{name} must be different quantizers. Received: the same one "
            f"twice, in {[part.name for part in parts]}. Give it once with "
            f"{count_name}, to have copies; a ResidualQuantizer can also have "
            "one codebook for all, with shared=True."
        )
    return parts


def check_implied(quantizer: Quantizer) -> None:
    """Raises ValueError if an implied codebook is too large to be written."""
    if quantizer.num_embeddings > MOST_IMPLIED:
        raise ValueError(
            "A codebook that is implied is only written out for up to "
            f"{MOST_IMPLIED:,} codes. Received: a {type(quantizer).__name__} "
            f"of {quantizer.num_embeddings:,}. Use decode(codes) for the "
            "vectors of some codes."
        )


def check_one_codebook(quantizer: str, options: dict[str, Any]) -> None:
    """Raises ValueError for `num_codebooks` of what has one codebook alone.

    Args:
        quantizer: the class's name.
        options: further arguments of its constructor.
    """
    if options.get("num_codebooks", 1) != 1:
        raise ValueError(
            f"{quantizer} has one codebook. Received: num_codebooks="
            f"{options['num_codebooks']!r}. Use GroupedQuantizer({quantizer}"
            "(...), num_groups) for groups of channels."
        )


def copied(quantizer: Quantizer, number: int) -> Quantizer:
    """Returns copy `number` of a quantizer, with a name and seeds of its own.

    A quantizer made of others draws with its seed which of them to drop, which
    should be the same in all copies: only the seeds of its parts change.
    """
    config = quantizer.get_config()
    name = f"{quantizer.name}_{number}"
    _renew(config, name, number * quantizer.num_codebooks)
    return type(quantizer).from_config(config)


def _renew(config, name, offset):
    config["name"] = name
    parts = config.get("stages", config.get("quantizers"))
    for part in parts or ():
        _renew(part["config"], f"{name}_{part['config']['name']}", offset)
    if not parts and isinstance(config.get("seed"), int):
        config["seed"] += offset


def to_configs(quantizers: Sequence[Quantizer]) -> list[dict[str, Any]]:
    """Returns the serialized configurations of quantizers."""
    return [keras.saving.serialize_keras_object(each) for each in quantizers]


def from_configs(
    configs: Sequence[dict[str, Any]], custom_objects: dict | None
) -> list[Quantizer]:
    """Returns quantizers made of the result of `to_configs`."""
    return [
        keras.saving.deserialize_keras_object(config, custom_objects)
        for config in configs
    ]
