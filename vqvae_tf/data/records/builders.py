"""Data sets of tensorflow_datasets: builders, splits and examples."""

import os
import re
from typing import TYPE_CHECKING

import tensorflow as tf
from absl import logging

from vqvae_tf.data.options import OpenOptions
from vqvae_tf.utils.messages import first_line

if TYPE_CHECKING:
    import tensorflow_datasets as tfds


def open_builder(name: str, options: OpenOptions) -> "tfds.core.DatasetBuilder":
    """Returns the builder of a prepared data set.

    Raises:
        ValueError: no such data set, version or configuration exists.
        FileNotFoundError: it is not prepared in `options.data_dir`.
        ImportError: tensorflow_datasets is not installed.
    """
    try:
        import tensorflow_datasets as tfds
    except ImportError as error:
        raise ImportError(
            "tensorflow_datasets is needed for this source; install it with "
            f"`pip install tensorflow-datasets`. Received: tfds:{name}."
        ) from error
    data_dir = options.data_dir or os.environ.get("TFDS_DATA_DIR")
    if data_dir:  # maybe remote, such as gs://bucket
        data_dir = os.path.expanduser(data_dir)
    try:
        builder = tfds.builder(name, data_dir=data_dir)
    except tfds.core.DatasetNotFoundError:  # its message lists all data sets
        raise ValueError(
            "tensorflow_datasets has no data set of this name, and none is "
            f"prepared in {data_dir or 'its default folder'}. "
            f"Received: 'tfds:{name}'."
        ) from None
    # Unknown names, versions and configurations and damaged descriptions
    # raise AssertionError, KeyError, ParseError and more.
    except Exception as error:
        raise ValueError(
            "tensorflow_datasets cannot open this data set "
            f"({_reason(error)}). Received: 'tfds:{name}'."
        ) from error
    if options.download:
        builder.download_and_prepare()
    if not builder.is_prepared():
        raise FileNotFoundError(
            "The data set is not prepared: found nothing in "
            f"{builder.data_path}. Set data_dir or TFDS_DATA_DIR to the folder "
            "that holds it, or pass download=True. "
            f"Received: 'tfds:{name}'."
        )
    return builder


def _reason(error):
    """Returns the error's message without the arguments that tfds adds."""
    text = first_line(error)
    text = re.sub(r"^Failed to construct dataset .*?\}\": ", "", text)
    return text.partition(" Here are ")[0].rstrip(".:")


def find_split(
    builder: "tfds.core.DatasetBuilder", name: str, split: str
) -> "tfds.core.SplitInfo":
    """Returns the tfds description of a split, slice or sum of splits.

    A slice that ends beyond the last example ends there, and the log says so.

    Raises:
        ValueError: the split does not exist or has no examples.
    """
    shorter = spelled(builder, split)
    try:
        found = builder.info.splits[shorter]
        empty = not found.num_examples
    except (KeyError, ValueError):
        empty = True
    if empty:
        sizes = {k: v.num_examples for k, v in builder.info.splits.items()}
        raise ValueError(
            f"tfds:{name} has no examples for this split. Expected one of "
            f'{sizes}, "all", or a slice such as "train[:90%]". '
            f"Received: split={split!r}."
        )
    if shorter != split != "all":
        logging.warning("tfds:%s: %s is %s.", name, split, shorter)
    return found


def spelled(builder: "tfds.core.DatasetBuilder", split: str) -> str:
    """Returns a split in tfds syntax.

    "all" is the sum of all splits. As in Python, a slice that goes beyond the
    last example ends there; tfds refuses it.
    """
    if split == "all":
        return "+".join(builder.info.splits)

    def clipped(found):
        name, start, end = found.groups()
        known = builder.info.splits.get(name)
        if known is None or int(end) <= known.num_examples:
            return found[0]
        return f"{name}[{start}:{known.num_examples}]"

    return re.sub(r"([\w-]+)\[(-?[\d_]*):([\d_]+)\]", clipped, split)


def stream(builder: "tfds.core.DatasetBuilder", split: str) -> tf.data.Dataset:
    """Returns the examples of a split, decoded by tfds, in file order."""
    import tensorflow_datasets as tfds

    return builder.as_dataset(
        split=spelled(builder, split),
        shuffle_files=False,
        read_config=tfds.ReadConfig(
            interleave_cycle_length=1, try_autocache=False
        ),
    )


def named(
    features: "tfds.features.FeatureConnector",
) -> dict[str, "tfds.features.FeatureConnector"]:
    """Returns the features by name; {} if they are not a dict."""
    import tensorflow_datasets as tfds

    is_dict = isinstance(features, tfds.features.FeaturesDict)
    return dict(features.items()) if is_dict else {}


def described(features: "tfds.features.FeatureConnector") -> str:
    """Describes the features of a data set, for messages."""
    if names := sorted(named(features)):
        return f"the features {names}"
    return "the feature " + " ".join(str(features).split())
