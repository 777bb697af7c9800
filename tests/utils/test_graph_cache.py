"""Graphs are made once for a key, and only the last ones are kept."""

import concurrent.futures
import gc
import weakref

import tensorflow as tf

from vqvae_tf.utils.graph_cache import Graphs, call


def power(exponent, arguments):
    return arguments["x"] ** exponent


def test_the_graphs_used_last_are_kept_and_others_freed():
    graphs = Graphs(most=3)
    first = weakref.ref(graphs.get(power, 0))
    second = graphs.get(power, 1)
    for exponent in (2, 1, 3, 1, 4):
        graph = graphs.get(power, exponent)
        assert graph({"x": tf.constant(2.0)}).numpy() == 2.0**exponent
    assert len(graphs) == 3
    assert graphs.get(power, 1) is second
    gc.collect()
    assert first() is None


def test_a_key_may_be_more_than_the_arguments():
    graphs = Graphs()
    assert graphs.get(power, 2) is not graphs.get(power, 2, kind="other")
    assert graphs.get(power, 2) is graphs.get(power, 2)


def test_threads_share_a_graph():
    graphs = Graphs(most=2)
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda i: graphs.get(power, i % 2), range(64)))
    assert len({id(graph) for graph in found}) == 2


def test_free_sizes_and_missing_tensors_trace_once():
    graph = tf.function(lambda a: tf.reduce_sum(a["x"]["y"]))
    for size in (1, 5, 3):
        arguments = {"x": {"y": tf.ones([size, 2])}, "z": None}
        assert call(graph, arguments, x=[0], z=[0]) == 2.0 * size
    assert graph.experimental_get_tracing_count() == 1
