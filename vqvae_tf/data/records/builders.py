"""Stock tensorflow_datasets: the builder of a set, its splits, its examples."""

import os
import re

import tensorflow as tf

from vqvae_tf.data.options import OpenOptions
from vqvae_tf.utils.messages import first_line


def open_builder(name: str, options: OpenOptions):
    """Returns the builder of a prepared data set.

    Raises:
        ValueError: tensorflow_datasets knows no such set, version or
            configuration.
        FileNotFoundError: it is not prepared in `options.data_dir`.
    """
    try:
        import tensorflow_datasets as tfds
    except ImportError as error:
        raise ImportError(
            "tensorflow_datasets is needed for this source; install it with "
            f"`pip install tensorflow-datasets`. Received: tfds:{name}."
        ) from error
    data_dir = options.data_dir or os.environ.get("TFDS_DATA_DIR")
    if data_dir:  # perhaps on another machine, such as gs://bucket
        data_dir = os.path.expanduser(data_dir)
    try:
        builder = tfds.builder(name, data_dir=data_dir)
    except tfds.core.DatasetNotFoundError:  # its message lists all data sets
        raise ValueError(
            "tensorflow_datasets knows no data set of this name, and none is "
            f"prepared in {data_dir or 'its default folder'}. "
            f"Received: 'tfds:{name}'."
        ) from None
    # Names, versions and configurations that do not exist, and damaged
    # descriptions, are AssertionError, KeyError, ParseError and more.
    except Exception as error:
        raise ValueError(
            "tensorflow_datasets cannot open this data set "
            f"({_reason(error)}). Received: 'tfds:{name}'."
        ) from error
    if options.download:
        builder.download_and_prepare()
    if not builder.is_prepared():
        raise FileNotFoundError(
            f"The data set is not prepared: nothing in {builder.data_path}. "
            "Give the folder that holds it as data_dir or TFDS_DATA_DIR, or "
            f"let it be downloaded (download=True). Received: 'tfds:{name}'."
        )
    return builder


def _reason(error):
    """Returns what is wrong: the message without tfds' own arguments."""
    text = first_line(error)
    text = re.sub(r"^Failed to construct dataset .*?\}\": ", "", text)
    return text.partition(" Here are ")[0].rstrip(".:")


def find_split(builder, name: str, split: str):
    """Returns tfds' description of a split, slice or sum of splits."""
    try:
        found = builder.info.splits[spelled(builder, split)]
        empty = not found.num_examples
    except (KeyError, ValueError):
        empty = True
    if empty:
        sizes = {k: v.num_examples for k, v in builder.info.splits.items()}
        raise ValueError(
            f"tfds:{name} has no examples for this split. Expected one of "
            f'{sizes}, "all", or a slice as "train[:90%]". '
            f"Received: split={split!r}."
        )
    return found


def spelled(builder, split: str) -> str:
    """Returns a split as tfds writes it: "all" is the sum of all."""
    return "+".join(builder.info.splits) if split == "all" else split


def stream(builder, split: str) -> tf.data.Dataset:
    """Returns tfds' own dataset of a split, in the order of its files."""
    import tensorflow_datasets as tfds

    return builder.as_dataset(
        split=spelled(builder, split),
        shuffle_files=False,
        read_config=tfds.ReadConfig(
            interleave_cycle_length=1, try_autocache=False
        ),
    )


def named(features) -> dict:
    """Returns the features by their names: none where there is but one."""
    import tensorflow_datasets as tfds

    is_dict = isinstance(features, tfds.features.FeaturesDict)
    return dict(features.items()) if is_dict else {}


def described(features) -> str:
    """Returns what the features of a data set are, for messages."""
    if names := sorted(named(features)):
        return f"the features {names}"
    return "the feature " + " ".join(str(features).split())
