"""Streams of data: cut into ranges, batched, computed ahead in threads."""

import collections
import concurrent.futures
import queue
import threading
from collections.abc import Callable, Iterable, Iterator

import numpy as np

_END = object()


def shard_ranges(units: int, num_shards: int) -> list[tuple[int, int]]:
    """Divides `units` into ranges whose lengths differ by at most one.

    Example:

    >>> shard_ranges(10, 3)
    [(0, 3), (3, 6), (6, 10)]
    """
    edges = [i * units // num_shards for i in range(num_shards + 1)]
    return list(zip(edges, edges[1:]))


def batched(pieces: Iterable[dict], batch_size: int) -> Iterator[dict]:
    """Rearranges pieces of rows into batches; the last may be smaller.

    Args:
        pieces: dicts of arrays with equally many rows. If the shape of rows
            changes, a new batch begins.
        batch_size: rows of a batch.

    Example:

    >>> pieces = [{"a": np.arange(3)}, {"a": np.arange(3, 5)}]
    >>> [batch["a"].tolist() for batch in batched(pieces, 2)]
    [[0, 1], [2, 3], [4]]
    """
    kept, rows = [], 0
    for piece in pieces:
        if kept and _row_shapes(piece) != _row_shapes(kept[0]):
            if rows:
                yield _joined(kept)
            kept, rows = [], 0
        kept.append(piece)
        rows += len(next(iter(piece.values())))
        while rows >= batch_size:
            whole = _joined(kept)
            yield {k: v[:batch_size] for k, v in whole.items()}
            kept = [{k: v[batch_size:] for k, v in whole.items()}]
            rows -= batch_size
    if rows:
        yield _joined(kept)


def _row_shapes(piece):
    return {name: column.shape[1:] for name, column in piece.items()}


def _joined(pieces):
    if len(pieces) == 1:
        return pieces[0]
    return {k: np.concatenate([p[k] for p in pieces]) for k in pieces[0]}


def ahead(items: Iterable, size: int = 2) -> Iterator:
    """Yields the items of an iterable, which a thread computes in advance.

    At most `size` items wait. An error in the iterable is raised here; when the
    generator is closed, the thread ends.

    Example:

    >>> list(ahead(range(3)))
    [0, 1, 2]
    """
    waiting, stopped = queue.Queue(size), threading.Event()

    def put(item):
        while not stopped.is_set():
            try:
                return waiting.put(item, timeout=0.1)
            except queue.Full:
                continue

    def work():
        try:
            for item in items:
                put((item, None))
                if stopped.is_set():
                    return
            put((_END, None))
        except BaseException as error:  # raised again in the other thread
            put((_END, error))
        finally:
            if hasattr(items, "close"):
                items.close()

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        while True:
            item, error = waiting.get()
            if error is not None:
                raise error
            if item is _END:
                return
            yield item
    finally:
        stopped.set()
        thread.join()


def mapped(function: Callable, items: Iterable, workers: int = 2) -> Iterator:
    """Yields `function(item)` in order, computed in several threads.

    Threads compute `workers` results at once, and one more waits. This helps if
    the function releases Python's lock, as TensorFlow's graphs do: while one
    thread waits for the lock, another's graph keeps the cores busy. An error in
    the iterable is raised after the results of the items before it.

    Example:

    >>> list(mapped(abs, [-1, 2, -3]))
    [1, 2, 3]
    """
    pool = concurrent.futures.ThreadPoolExecutor(workers)
    pending, failure = collections.deque(), []
    try:
        for item in _until_error(items, failure):
            pending.append(pool.submit(function, item))
            if len(pending) > workers:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
        if failure:
            raise failure[0]
    finally:
        pool.shutdown(cancel_futures=True)


def _until_error(items, failure):
    """Yields the items; an error that ends them is appended to `failure`."""
    try:
        yield from items
    except Exception as error:
        failure.append(error)
