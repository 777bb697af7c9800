"""Episodes in RLDS format, as prepared by tensorflow_datasets.

An episode is a nested dataset `steps`; a step has `observation`, the `action`
that was taken there, `is_first` and `is_last` (Ramos et al. 2021,
arXiv:2111.02767; https://github.com/google-research/rlds).
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import tensorflow as tf

from vqvae_tf.data.decoding import convert_channels
from vqvae_tf.data.episodes.episodes import Episodes
from vqvae_tf.data.options import CACHE_BYTES, OpenOptions, split_source
from vqvae_tf.data.records import builders, sequential as records

if TYPE_CHECKING:
    import tensorflow_datasets as tfds

STEPS = "steps"
_FORM = 'source must be "tfds:NAME", a prepared data set in RLDS format.'
_ALL = 2**30  # batch size that fits all steps of an episode


def is_rlds(builder: "tfds.core.DatasetBuilder") -> bool:
    """Returns whether the data set's examples are episodes."""
    import tensorflow_datasets as tfds

    steps = builders.named(builder.info.features).get(STEPS)
    return isinstance(steps, tfds.features.Dataset) and isinstance(
        steps.feature, tfds.features.FeaturesDict
    )


def open_episodes(
    source: str,
    split: str,
    data_dir: str | None = None,
    on_corrupt: str = "error",
    progress: bool = True,
    channels: int = 3,
    download: bool = False,
    cache_bytes: int = CACHE_BYTES,
) -> Episodes:
    """Opens episodes of frames with the actions between them.

    Args:
        source: "tfds:NAME", a tensorflow_datasets set in RLDS format with one
            uint8 picture per step, such as
            `"tfds:rlu_dmlab_explore_object_rewards_few"`.
        split: "train", "test", or a slice such as "train[:10%]" (of episodes).
        data_dir, progress, channels, download: as in `open_images`.
        on_corrupt: "error" (default) refuses an episode with a missing step or
            a bad picture; "skip" omits it and logs a warning.
        cache_bytes: largest total size of the frames, all of which are kept
            in memory (default 512 MiB).

    Returns:
        `Episodes` of frames, uint8 `[steps, height, width, channels]`; without
        actions if a step has no `action` or if it is a dict.

    Raises:
        ValueError: another kind of source, an unknown split, a missing step,
            frames beyond `cache_bytes`, or not one picture per step.
        FileNotFoundError: the set is not prepared.

    Example:

    >>> episodes = open_episodes("tfds:dmlab_episodes", "test")
    >>> episodes.values.shape, episodes.actions.shape, episodes.num_actions
    ((1920, 84, 84, 3), (1920,), 9)
    """
    _, name = split_source(source, ("tfds",), (), _FORM)
    options = OpenOptions(
        split, data_dir, on_corrupt, progress, channels, download, cache_bytes
    )
    builder = builders.open_builder(name, options)
    found = builders.find_split(builder, name, split)
    if not is_rlds(builder):
        raise ValueError(
            f"A data set of episodes (RLDS, with `{STEPS}`) was expected. "
            f"Received: {source!r} with "
            f"{builders.described(builder.info.features)}."
        )
    return load(builder, found, name, options)


def load(
    builder: "tfds.core.DatasetBuilder",
    split: "tfds.core.SplitInfo",
    name: str,
    options: OpenOptions,
) -> Episodes:
    """Reads all episodes of a split into memory.

    Args:
        builder: builder of the data set.
        split: description of the split.
        name: name of the data set, for messages.
        options: as in `open_episodes`.

    Raises:
        ValueError: not one uint8 picture per step, a missing step, or frames
            beyond `options.cache_bytes`.
    """
    title, count = f"tfds:{name} ({options.split})", split.num_examples
    path = picture_path(builder.info.features[STEPS].feature, title)
    examples = builders.stream(builder, options.split)
    frames, actions, lengths, size = [], [], [], 0
    with options.bar(count, unit="episodes") as bar:
        read = read_episodes(examples, path, options, title)
        for number, found in enumerate(read):
            bar.update(1)
            fault = found if isinstance(found, str) else find_fault(found)
            if fault:
                options.refuse(f"Episode {number} of {title} {fault}.")
                continue
            size += found["frames"].nbytes
            _check_size(size, number, count, title, options)
            frames.append(found["frames"])
            actions.append(found.get("action"))
            lengths.append(len(found["frames"]))
    if not frames:
        raise ValueError(
            "At least one whole episode was expected. "
            f"Received: {title} with none."
        )
    shapes = {f.shape[1:] for f in frames}
    if len(shapes) != 1:
        raise ValueError(
            "Episodes whose frames all have one size were expected. "
            f"Received: {title} with the shapes {sorted(shapes)}."
        )
    return Episodes(
        title,
        np.concatenate(frames),
        None if actions[0] is None else np.concatenate(actions),
        lengths,
    )


def read_episodes(
    examples: tf.data.Dataset,
    path: tuple[str, ...],
    options: OpenOptions,
    title: str,
) -> Iterator[dict | str]:
    """Yields each episode's arrays `[steps, ...]`, or why it is unreadable."""

    def whole(episode):  # much faster than fetching it step by step
        steps = episode[STEPS].batch(_ALL).get_single_element()
        return _wanted(steps, path, options.channels)

    iterator = examples.map(whole).as_numpy_iterator()
    while True:
        try:
            yield next(iterator)
        except StopIteration:
            return
        except tf.errors.InvalidArgumentError as error:
            reason = error.message.splitlines()[0].rsplit(": ", 1)[-1]
            yield f"cannot be read: {reason.rstrip('.')}"
        except records.DAMAGE as error:
            raise records.damaged(title, error) from error


def _wanted(steps, path, channels):
    """Returns the parts of the steps that are used, as far as they exist."""
    frames = steps
    for key in path:
        frames = frames[key]
    observation = steps.get("observation")
    parts = {key: steps.get(key) for key in ("action", "is_first", "is_last")}
    if isinstance(observation, dict):
        parts["last_action"] = observation.get("last_action")
    parts = {
        key: value
        for key, value in parts.items()
        if tf.is_tensor(value) and value.dtype != tf.string
    }
    return {"frames": convert_channels(frames, channels), **parts}


def find_fault(found: dict[str, np.ndarray]) -> str | None:
    """Returns what is wrong with an episode, or None if it is complete."""
    first, last = found.get("is_first"), found.get("is_last")
    if first is not None and (not first[0] or first[1:].any()):
        return (
            "must have one first step: is_first is true at the steps "
            f"{np.flatnonzero(first).tolist()}, expected [0]"
        )
    end = len(found["frames"]) - 1
    if last is not None and (not last[-1] or last[:-1].any()):
        return (
            "must have one last step: is_last is true at the steps "
            f"{np.flatnonzero(last).tolist()}, expected [{end}]"
        )
    action, last_action = found.get("action"), found.get("last_action")
    if action is None or last_action is None:
        return None
    if action.shape != last_action.shape:
        return None
    same = np.isclose(  # one of the two may be stored at lower precision
        action[:-1].astype(float), last_action[1:], 1e-4, 1e-4, equal_nan=True
    )
    wrong = np.flatnonzero(~same.all(axis=tuple(range(1, same.ndim))))
    if len(wrong):
        return (
            f"lacks a step: the action of step {wrong[0]} differs from the "
            f"last_action of step {wrong[0] + 1}, as do {len(wrong)} of {end} "
            "pairs"
        )
    return None


def picture_path(
    features: "tfds.features.FeaturesDict", title: str
) -> tuple[str, ...]:
    """Returns the path of keys to the one uint8 picture of a step."""
    paths = sorted(_pictures(features, ()))
    named = [path for path in paths if path[-1] in ("pixels", "image")]
    paths = named if len(named) == 1 else paths
    if len(paths) != 1:
        raise ValueError(
            "Episodes with one uint8 picture per step were expected, in "
            "steps/observation, or with several of which one is called pixels "
            f"or image. Received: {title} with the pictures "
            f"{['/'.join(p) for p in paths]}. To use another one, load the set "
            "with tensorflow-datasets and make data.Episodes from it."
        )
    return paths[0]


def _pictures(features, path):
    import tensorflow_datasets as tfds

    for key, feature in features.items():
        if isinstance(feature, tfds.features.FeaturesDict):
            yield from _pictures(feature, (*path, key))
        elif isinstance(feature, tfds.features.Image):
            if feature.np_dtype == np.uint8:
                yield (*path, key)


def _check_size(size, number, count, title, options):
    """Raises ValueError if the episodes up to `number` exceed the bound."""
    if size > options.cache_bytes:
        whole = size / (number + 1) * count
        raise ValueError(
            f"The frames of {title} need about {whole / 2**20:,.0f} MiB, more "
            f"than cache_bytes allows ({options.cache_bytes / 2**20:,.0f} "
            f"MiB). Only the first {number} of its {count} episodes fit; use "
            "a slice of the split, or raise cache_bytes."
        )
