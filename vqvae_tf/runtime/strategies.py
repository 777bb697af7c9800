"""Strategies of `tf.distribute`: the devices and machines to train on."""

import contextlib
import functools
import json
import os
from collections.abc import Callable, Iterator

import tensorflow as tf

from vqvae_tf.utils.errors import ExplainedError
from vqvae_tf.utils.messages import first_line

Strategy = tf.distribute.Strategy
NAMES = ("one", "mirrored", "multiworker", "tpu")


def make_strategy(name: str = "one", tpu: str | None = None) -> Strategy:
    """Returns a strategy by name; call it before any other TensorFlow code.

    Args:
        name: "one" (one device of this machine, the default), "mirrored" (all
            accelerators of this machine, or all its logical CPU devices),
            "multiworker" (the machines in TF_CONFIG, including this one) or
            "tpu".
        tpu: for "tpu", its name or address; None (default) uses TPU_NAME, or
            the TPU of this virtual machine.

    Returns:
        A strategy for `tasks.run.train`, or for `with strategy.scope():` around
        creating and compiling a model.

    Raises:
        ValueError: an unknown name, a TF_CONFIG that does not list the
            machines, or no TPU.

    Example:

    >>> make_strategy("one").num_replicas_in_sync
    1
    """
    if name == "one":
        return tf.distribute.get_strategy()
    if name == "mirrored":
        kind = "GPU" if tf.config.list_logical_devices("GPU") else "CPU"
        devices = tf.config.list_logical_devices(kind)
        return tf.distribute.MirroredStrategy([d.name for d in devices])
    if name == "multiworker":
        _check_tf_config()
        return tf.distribute.MultiWorkerMirroredStrategy()
    if name == "tpu":
        return _tpu_strategy(tpu)
    raise ValueError(
        f"strategy must be one of {', '.join(NAMES)}. Received: {name!r}."
    )


def _check_tf_config():
    text = os.environ.get("TF_CONFIG")
    expected = (
        'Expected TF_CONFIG like {"cluster": {"worker": ["host1:port", '
        '"host2:port"]}, "task": {"type": "worker", "index": 0}}, with the '
        "index of this machine. Received: "
    )
    if not text:
        raise ValueError(f"{expected}none.")
    try:
        found = json.loads(text)
        workers = found["cluster"]["worker"]
        index = int(found["task"]["index"])
        known = found["task"]["type"] == "worker" and 0 <= index < len(workers)
        known = known and set(found["cluster"]) == {"worker"}
    except (ValueError, KeyError, TypeError):
        known = False
    if not known:
        raise ValueError(expected + text)


def _tpu_strategy(tpu):
    tpu = tpu or os.environ.get("TPU_NAME") or "local"
    try:
        resolver = tf.distribute.cluster_resolver.TPUClusterResolver(tpu)
        tf.config.experimental_connect_to_cluster(resolver)
        tf.tpu.experimental.initialize_tpu_system(resolver)
    except (ValueError, RuntimeError, tf.errors.OpError) as error:
        raise ValueError(
            "No TPU can be reached; run on a TPU virtual machine with "
            "TensorFlow's TPU build, or set TPU_NAME. Received: "
            f"tpu={tpu!r} ({first_line(error)})."
        ) from error
    return tf.distribute.TPUStrategy(resolver)


class WorkerLost(ExplainedError):
    """Another process of the training has stopped."""


@contextlib.contextmanager
def telling_lost_workers(strategy: Strategy | None) -> Iterator[None]:
    """Turns errors caused by a lost worker into `WorkerLost`."""
    try:
        yield
    except (tf.errors.UnavailableError, tf.errors.AbortedError) as error:
        if not is_multi_worker(strategy):
            raise
        raise WorkerLost(
            "Another worker has stopped, or cannot be reached "
            f"({first_line(error)}). Restart all workers with the same "
            "command: they resume from the last checkpoint."
        ) from error


# The functions below take None for the current strategy.


def is_multi_worker(strategy: Strategy | None = None) -> bool:
    """Returns whether several processes train together."""
    strategy = strategy or tf.distribute.get_strategy()
    return (
        isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy)
        and num_workers(strategy) > 1
    )


def num_workers(strategy: Strategy | None = None) -> int:
    """Returns how many processes train together."""
    strategy = strategy or tf.distribute.get_strategy()
    resolver = strategy.cluster_resolver
    if resolver is None or isinstance(strategy, tf.distribute.TPUStrategy):
        return 1
    return max(1, len(resolver.cluster_spec().as_dict().get("worker", ())))


def worker_index(strategy: Strategy | None = None) -> int:
    """Returns the index of this process; the chief, or a single one, is 0."""
    strategy = strategy or tf.distribute.get_strategy()
    if not is_multi_worker(strategy):
        return 0
    return strategy.cluster_resolver.task_id


def is_chief(strategy: Strategy | None = None) -> bool:
    """Returns whether this process writes files for all workers."""
    return worker_index(strategy) == 0


def of_all_workers(value: int, strategy: Strategy | None = None) -> list[int]:
    """Gathers an integer from each replica; waits for all workers."""
    strategy = strategy or tf.distribute.get_strategy()
    if not is_multi_worker(strategy):
        return [int(value)]
    with telling_lost_workers(strategy):
        gathered = _gather(strategy)(tf.constant(value, tf.int64))
    return strategy.experimental_local_results(gathered)[0].numpy().tolist()


@functools.lru_cache(maxsize=1)
def _gather(strategy):
    """Returns a function that gathers the replicas' integers in a vector."""

    def replica(value):
        context = tf.distribute.get_replica_context()
        own = tf.one_hot(
            context.replica_id_in_sync_group,
            context.num_replicas_in_sync,
            dtype=tf.int64,
        )
        return context.all_reduce(tf.distribute.ReduceOp.SUM, own * value)

    return tf.function(
        lambda value: strategy.run(replica, (value,)), autograph=False
    )


def wait_for_all(strategy: Strategy | None = None) -> None:
    """Blocks until every worker has called this."""
    of_all_workers(0, strategy)


def distributed(
    make_dataset: Callable[..., tf.data.Dataset],
    strategy: Strategy | None = None,
) -> tf.data.Dataset | tf.distribute.DistributedDataset:
    """Returns batches of which each worker reads only its own rows.

    Args:
        make_dataset: called with a worker's `part=(index, count)`; returns its
            rows of each global batch.
        strategy: None (default) is the current one.

    Returns:
        A dataset for `fit` within the strategy.
    """
    strategy = strategy or tf.distribute.get_strategy()
    if not is_multi_worker(strategy):
        return make_dataset(part=(0, 1))
    count = num_workers(strategy)
    replicas = strategy.num_replicas_in_sync // count

    def own(context):
        part = (context.input_pipeline_id, context.num_input_pipelines)
        return _split(make_dataset(part=part), replicas)

    return strategy.distribute_datasets_from_function(own)


def _split(dataset, parts):
    """Splits each batch into equal parts, in order."""
    if parts == 1:
        return dataset

    def split(tensor):
        shape = [parts, tensor.shape[0] // parts, *tensor.shape[1:]]
        return tf.reshape(tensor, shape)

    split_all = functools.partial(tf.nest.map_structure, split)
    return dataset.map(lambda *batch: split_all(batch)).unbatch()
