"""What counts as a training that is none any more."""

import types

import keras
import numpy as np
import pytest
import tensorflow as tf

from vqvae_tf.training.divergence import NotFinite, StopAtNotFinite, unsound


def stop(optimizer=None, steps=()):
    """A callback of a model with an optimizer, and checkpoints."""
    checkpoints = types.SimpleNamespace(
        strategy=tf.distribute.get_strategy(),
        steps=lambda: list(steps),
        directory="work/autoencoder",
    )
    callback = StopAtNotFinite(checkpoints, 3)
    callback.set_model(types.SimpleNamespace(optimizer=optimizer))
    return callback


@pytest.mark.parametrize("loss", [np.nan, np.inf, -np.inf])
def test_a_loss_that_is_not_finite_stops(loss):
    callback = stop(keras.optimizers.Adam(), steps=[2])
    callback.on_train_batch_end(0, {"loss": tf.constant([loss])})
    with pytest.raises(NotFinite, match="at step 4. The checkpoint of step 2"):
        callback.check()
    with pytest.raises(NotFinite, match="clip_norm"):
        callback.on_epoch_end(0, {"loss": float(loss)})


def test_a_finite_loss_goes_on():
    callback = stop(keras.optimizers.Adam())
    callback.check()  # before the first step
    callback.on_train_batch_end(0, {"loss": 1e30})
    callback.on_epoch_end(0, {"loss": 3.0})


def test_a_step_that_loss_scaling_leaves_out_does_not_stop(caplog):
    optimizer = keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam())
    optimizer.build([keras.Variable([1.0])])
    callback = stop(optimizer)
    callback.on_epoch_end(0, {"loss": float("nan")})
    assert "was left out" in caplog.text
    optimizer.dynamic_scale.assign(0.5)
    with pytest.raises(NotFinite):
        callback.on_epoch_end(0, {"loss": float("nan")})


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_each_variable_is_looked_at(dtype):
    """Variables of one name, too; integers are passed over."""
    sound = [
        keras.Variable([1.0, 6e4], dtype=dtype, name="a") for _ in range(3)
    ]
    sound.append(keras.Variable([2**31 - 1], dtype="int32"))
    assert unsound(sound) == []
    for bad in (np.nan, np.inf):
        sound[1].assign([1.0, bad])
        assert len(unsound(sound)) == 1
    assert unsound([]) == []
