"""Who am I, how many are we, and sums over us all."""

import numpy as np
import tensorflow as tf

from support.harness import two_replicas
from vqvae_tf.runtime import replicas


def test_without_a_strategy():
    assert replicas.num_replicas() == 1
    assert replicas.replica_id() == 0
    nest = {"a": tf.constant(2.0), "b": [tf.ones([3])]}
    assert replicas.sum_over_replicas(nest) is nest


def test_in_the_scope_of_a_strategy_but_in_no_replica():
    with two_replicas().scope():
        assert replicas.num_replicas() == 1
        assert replicas.replica_id() == 0


def test_in_two_replicas():
    strategy = two_replicas()
    seen = []

    @tf.function
    def run():
        def replica():
            seen.append((replicas.replica_id(), replicas.num_replicas()))
            own = tf.cast(replicas.replica_id() + 1, tf.float32)
            nest = {"a": own, "b": [own * tf.ones([2, 2])]}
            whole = tf.fill([3], replicas.replica_id() + 5)
            return {
                **replicas.sum_over_replicas(nest),
                "c": replicas.sum_over_replicas(whole),
            }

        return strategy.run(replica)

    result = run()
    assert sorted(seen) == [(0, 2), (1, 2)]
    for copy in (0, 1):
        a, b, c = (
            strategy.experimental_local_results(v)[copy]
            for v in (result["a"], *result["b"], result["c"])
        )
        assert a == 3.0
        np.testing.assert_array_equal(b, np.full([2, 2], 3.0))
        np.testing.assert_array_equal(c, [11, 11, 11])


def test_with_one_device():
    strategy = tf.distribute.OneDeviceStrategy("CPU:0")

    @tf.function
    def run():
        return strategy.run(
            lambda: (
                replicas.sum_over_replicas(tf.constant(7.0))
                + replicas.num_replicas()
                + replicas.replica_id()
            )
        )

    assert run() == 8.0
