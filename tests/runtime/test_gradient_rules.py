"""Clipping on several replicas is that of one; Keras' optimizers train."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from support import every_model
from support.harness import two_replicas
from vqvae_tf.runtime.gradient_rules import clip_sum

# Of two replicas; what they add up to is (6, 8), of norm 10, and (0, -2).
PARTS = [
    [[6.0, 0.0], [0.0, 8.0]],
    [[1.0, -2.0], [-1.0, 0.0]],
]
LIMITS = [{}, {"clipnorm": 1.0}, {"global_clipnorm": 1.0}, {"clipvalue": 0.5}]
NORM = 104**0.5
EXPECTED = [
    [[6, 8], [0, -2]],
    [[0.6, 0.8], [0, -1]],
    [[6 / NORM, 8 / NORM], [0, -2 / NORM]],
    [[0.5, 0.5], [0, -0.5]],
]


@pytest.mark.parametrize("scaled", [False, True])
@pytest.mark.parametrize("limit, expected", list(zip(LIMITS, EXPECTED)))
def test_the_sum_is_clipped(limit, expected, scaled):
    strategy = two_replicas()
    with strategy.scope():
        weights = [tf.Variable([0.0, 0.0]) for _ in range(2)]
        optimizer = keras.optimizers.SGD(1.0, **limit)
        if scaled:
            optimizer = keras.optimizers.LossScaleOptimizer(
                optimizer, initial_scale=16.0
            )
        optimizer.build(weights)
    scale = 16.0 if scaled else 1.0

    @tf.function
    def step():
        def run():
            context = tf.distribute.get_replica_context()
            number = context.replica_id_in_sync_group
            parts = [tf.gather(scale * np.float32(p), number) for p in PARTS]
            clipped = clip_sum(optimizer, [*parts, None])
            optimizer.apply(clipped[:2], weights)

        strategy.run(run)

    step()
    for weight, value in zip(weights, expected):
        for copy in strategy.experimental_local_results(weight):
            np.testing.assert_allclose(copy, -np.float32(value), 1e-6, 1e-6)


def test_one_replica_is_left_to_keras():
    gradients = [tf.constant([3.0, 4.0]), None]
    optimizer = keras.optimizers.SGD(clipnorm=1.0)
    assert clip_sum(optimizer, gradients) is gradients


# Optimizers of Keras ---------------------------------------------------------


def adafactor(**options):
    return keras.optimizers.Adafactor(**options)


@pytest.mark.parametrize("scaled", [False, True])
def test_adafactor_never_makes_weights_nan_unseen(scaled):
    model = every_model.picture_model()

    def compiled(optimizer):
        if scaled:
            optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
        model.compile(optimizer)

    compiled(adafactor())
    x = every_model.pictures(4)[0]
    with pytest.raises(ValueError, match=r"epsilon_1=1e-16.*Received: .*1e-30"):
        model.fit(x, verbose=0)
    if not scaled:
        compiled(adafactor(epsilon_1=1e-16))
        assert np.isfinite(model.fit(x, epochs=2, verbose=0).history["loss"][1])


def test_why_adafactor_is_refused():
    """Keras' own; once this fails, `check_factors` can go."""
    gradient = np.ones([4, 4], np.float32)
    gradient[1], gradient[:, 2] = 0, 0
    for epsilon, finite in ((1e-30, False), (1e-16, True)):
        weights = keras.Variable(np.ones([4, 4], np.float32))
        optimizer = adafactor(epsilon_1=epsilon)
        optimizer.apply([tf.constant(gradient)], [weights])
        assert np.all(np.isfinite(weights.numpy())) == finite


EVERY_OPTIMIZER = [
    name
    for name, cls in vars(keras.optimizers).items()
    if isinstance(cls, type)
    and issubclass(cls, keras.optimizers.Optimizer)
    # Made of others, or of none.
    and name not in ("Optimizer", "MultiOptimizer", "LossScaleOptimizer")
]


@pytest.mark.slow
@pytest.mark.parametrize("name", EVERY_OPTIMIZER)
def test_every_optimizer_of_keras_keeps_a_small_model_finite(name):
    options = {"epsilon_1": 1e-16} if name == "Adafactor" else {}
    model, x, _ = every_model.make("pictures, gradient", 4)
    model.compile(getattr(keras.optimizers, name)(**options))
    before = model.quantizer.embeddings.numpy()
    losses = model.fit(x, epochs=2, verbose=0).history["loss"]
    assert np.all(np.isfinite(losses)) and losses[0] != losses[1]
    for variable in model.variables:
        assert np.all(np.isfinite(variable.numpy())), variable.path
    assert np.any(model.quantizer.embeddings.numpy() != before)
