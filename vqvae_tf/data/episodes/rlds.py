"""Episodes of the RLDS form, as tensorflow_datasets prepares them.

An episode is a nested dataset `steps`; a step has `observation`, the `action`
that was taken there, `is_first` and `is_last` (Ramos et al. 2021,
arXiv:2111.02767; https://github.com/google-research/rlds).
"""

from collections.abc import Iterator

import numpy as np
import tensorflow as tf

from vqvae_tf.data.decoding import convert_channels
from vqvae_tf.data.episodes.episodes import Episodes
from vqvae_tf.data.options import CACHE_BYTES, OpenOptions, split_source
from vqvae_tf.data.records import builders, sequential as records

STEPS = "steps"
_FORM = (
    'Episodes are opened from "tfds:NAME", a prepared data set in RLDS form.'
)
_ALL = 2**30  # a batch of all the steps of an episode


def is_rlds(builder) -> bool:
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
        source: "tfds:NAME", a set of tensorflow_datasets in RLDS form with one
            uint8 picture a step, such as "tfds:rlu_dmlab_explore_object_"
            "rewards_few".
        split: "train", "test", or a slice as "train[:10%]" (of episodes).
        data_dir, progress, channels, download: as for `open_images`.
        on_corrupt: "error" refuses an episode with a missing step or a bad
            picture; "skip" leaves it out with a logged warning.
        cache_bytes: all frames are kept in memory, up to this size.

    Returns:
        `Episodes` of frames, uint8 `[steps, height, width, channels]`; without
        actions where a step's `action` is missing, or a dict.

    Raises:
        ValueError: another source, unknown split, episodes without one
            picture a step, with a missing step, or too big for the memory.
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


def load(builder, split, name: str, options: OpenOptions) -> Episodes:
    """Reads all episodes of a split into memory.

    Args:
        builder: of tensorflow_datasets.
        split: its description of the split.
        name: of the data set.
        options: `OpenOptions`.

    Raises:
        ValueError: for episodes without one uint8 picture a step, one with a
            missing step, or more than `options.cache_bytes`.
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
    _check_shapes(frames, title)
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
    """Yields each episode's arrays `[steps, ...]`, or why it has none."""

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
    """Returns the parts of the steps that are used, those that are there."""
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
    """Returns what is wrong with an episode, None for nothing."""
    first, last = found.get("is_first"), found.get("is_last")
    if first is not None and (not first[0] or first[1:].any()):
        return (
            "misses its first step, or has two: is_first is true at the steps "
            f"{np.flatnonzero(first).tolist()}, expected [0]"
        )
    end = len(found["frames"]) - 1
    if last is not None and (not last[-1] or last[:-1].any()):
        return (
            "misses its last step, or has two: is_last is true at the steps "
            f"{np.flatnonzero(last).tolist()}, expected [{end}]"
        )
    action, last_action = found.get("action"), found.get("last_action")
    if action is None or last_action is None:
        return None
    if action.shape != last_action.shape:
        return None
    same = np.isclose(  # one of the two may be kept in fewer bits
        action[:-1].astype(float), last_action[1:], 1e-4, 1e-4, equal_nan=True
    )
    wrong = np.flatnonzero(~same.all(axis=tuple(range(1, same.ndim))))
    if len(wrong):
        return (
            f"misses a step: the action of step {wrong[0]} is not the "
            f"last_action of step {wrong[0] + 1}, as in "
            f"{len(wrong)} of {end} places"
        )
    return None


def picture_path(features, title: str) -> tuple[str, ...]:
    """Returns the keys that lead to a step's one uint8 picture."""
    paths = sorted(_pictures(features, ()))
    named = [path for path in paths if path[-1] in ("pixels", "image")]
    paths = named if len(named) == 1 else paths
    if len(paths) != 1:
        raise ValueError(
            "Episodes with one uint8 picture a step were expected, in "
            "steps/observation, or several of which one is called pixels or "
            "image. Received: "
            f"{title} with the pictures {['/'.join(p) for p in paths]}. "
            "Open the set with tensorflow-datasets and make data.Episodes of "
            "the one that is meant."
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
    """Raises ValueError if episode `number` is the first not to fit."""
    if size > options.cache_bytes:
        whole = size / (number + 1) * count
        raise ValueError(
            f"The frames of {title} need some {whole / 2**20:,.0f} MiB, more "
            f"than the {options.cache_bytes / 2**20:,.0f} MiB that are kept in "
            f"memory. Only the first {number} of its {count} episodes fit; "
            "take a slice of the split, or raise cache_bytes."
        )


def _check_shapes(frames, title):
    if not frames:
        raise ValueError(
            "At least one whole episode was expected. "
            f"Received: {title} with none."
        )
    shapes = {f.shape[1:] for f in frames}
    if len(shapes) != 1:
        raise ValueError(
            "Episodes of frames of one size were expected. Received: "
            f"{title} with the sizes {sorted(shapes)}."
        )
