"""Averaged weights: what they are, when they are used, and going on."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import vqvae_tf as vq
from support import small
from support.harness import two_replicas
from vqvae_tf import data, recipes
from vqvae_tf.recipes import building
from vqvae_tf.runtime.adam import Adam
from vqvae_tf.tasks import run
from vqvae_tf.training import averaging, fitting
from vqvae_tf.training.stages import PRIOR, steps_text

CODES = np.random.default_rng(0).integers(0, 4, [16, 3, 3]).astype(np.int32)
MOMENTUM = 0.8


class Killed(Exception):
    """Ends a training without further ado."""


def section(momentum=MOMENTUM):
    made = recipes.defaults("pictures").training
    made.update(
        steps=10,
        batch_size=4,
        learning_rate=0.02,
        warmup_steps=2,
        steps_per_epoch=4,
        checkpoint_minutes=0.0,
        ema_momentum=momentum,
    )
    return made


def prior():
    keras.utils.set_random_seed(0)
    made = vq.PixelCNN(
        4, (3, 3), hidden_channels=4, num_layers=1, head_channels=4
    )
    made.build()
    return made


def values(model):
    return [v.numpy() for v in model.trainable_variables]


def fitted(folder, momentum=MOMENTUM, pictures=dict, model=None):
    model = model or prior()
    fitting.fit(
        model,
        section(momentum),
        lambda **options: data.array_batches(CODES, 4, 0, **options),
        folder / "prior",
        pictures,
    )
    return model


def after_each_step(monkeypatch, act):
    """Has `act(model, step)` called after each step is saved."""
    keep = fitting.Keeper.on_train_batch_end

    def on_train_batch_end(self, batch, logs=None):
        keep(self, batch, logs)
        act(self.model, self.step)

    monkeypatch.setattr(
        fitting.Keeper, "on_train_batch_end", on_train_batch_end
    )


def assert_equal(weights, expected, **tolerance):
    for found, wanted in zip(weights, expected, strict=True):
        np.testing.assert_allclose(found, wanted, **tolerance)


def test_weights_end_as_the_average_of_all_steps(tmp_path, monkeypatch):
    steps = []
    after_each_step(monkeypatch, lambda model, _: steps.append(values(model)))
    model = fitted(tmp_path)
    assert len(steps) == 10
    average = [np.float64(value) for value in steps[0]]
    for t, step in enumerate(steps[1:], start=1):
        momentum = min(MOMENTUM, (1 + t) / (10 + t))
        average = [
            momentum * a + (1 - momentum) * w for a, w in zip(average, step)
        ]
    assert_equal(values(model), average, atol=1e-6)
    assert np.any(values(model)[0] != steps[-1][0])
    # A finished stage, which a run that goes on finds, ends in the same way.
    assert_equal(values(fitted(tmp_path)), values(model), rtol=0)


def test_without_momentum_weights_are_those_of_the_last_step(
    tmp_path, monkeypatch
):
    steps = []
    after_each_step(monkeypatch, lambda model, _: steps.append(values(model)))
    assert_equal(values(fitted(tmp_path, None)), steps[-1], rtol=0)


def test_a_training_that_was_killed_ends_in_the_same_averages(
    tmp_path, monkeypatch
):
    expected = values(fitted(tmp_path / "whole"))

    def kill(_, step):
        if step == 6:  # within an epoch
            raise Killed

    with monkeypatch.context() as patch:
        after_each_step(patch, kill)
        with pytest.raises(Killed):
            fitted(tmp_path / "killed")
    assert_equal(values(fitted(tmp_path / "killed")), expected, rtol=0)


def test_pictures_are_of_averages_and_training_of_weights(tmp_path):
    seen, model = [], prior()

    def pictures():
        seen.append(values(model))
        return {}

    fitted(tmp_path, pictures=pictures, model=model)
    assert len(seen) == 3
    assert_equal(seen[-1], values(model), rtol=0)
    # Training went on from the weights: the pictures changed nothing.
    expected = values(fitted(tmp_path / "without"))
    assert_equal(values(model), expected, rtol=0)


def test_averages_are_put_aside_again():
    model = prior()
    model.compile(building.make_optimizer(section()))
    first = values(model)
    with averaging.averaged(model):  # before the first step there are none
        assert_equal(values(model), first, rtol=0)
    model.fit(CODES, batch_size=4, verbose=0)
    weights = values(model)
    with pytest.raises(Killed), averaging.averaged(model):
        assert np.any(values(model)[0] != weights[0])
        raise Killed
    assert_equal(values(model), weights, rtol=0)


def test_replicas_have_the_averages_of_one_device():
    def trained(strategy):
        with strategy.scope():
            model = prior()
            options = dict(use_ema=True, ema_momentum=MOMENTUM)
            model.compile(Adam(0.02, ema_of_run=True, **options))
        batches = tf.data.Dataset.from_tensor_slices(CODES).batch(8)
        model.fit(batches, epochs=3, verbose=0)
        weights = values(model)
        averaging.use_averages(model)
        assert np.any(values(model)[0] != weights[0])
        return values(model)

    alone = trained(tf.distribute.get_strategy())
    assert_equal(trained(two_replicas()), alone, atol=1e-5)


def test_keras_own_meaning_holds_where_nothing_is_set():
    model = prior()
    model.compile(Adam(0.02, use_ema=True, ema_momentum=MOMENTUM))
    model.fit(CODES, batch_size=4, verbose=0)
    weights = values(model)
    averaging.use_averages(model)
    assert_equal(values(model), weights, rtol=0)


@pytest.mark.parametrize("key", ["ema_momentum", "weight_decay"])
def test_changes_that_bfloat16_rounds_away_are_refused_first(key, tmp_path):
    """Before the autoencoder is trained, which has none."""
    small.write_data(tmp_path)
    config = small.recipe(num_classes=2)
    config.dtype_policy = "bfloat16"
    config.prior_training[key] = 0.9
    message = f"would not move.*prior_training.{key}=0.9"
    with pytest.raises(ValueError, match=message):
        run.train(config, tmp_path / "work", str(tmp_path))


def test_what_an_optimizer_does_with_averages_is_saved():
    optimizer = building.make_optimizer(section())
    copy = type(optimizer).from_config(optimizer.get_config())
    assert copy.ema_of_run and copy.use_ema and copy.ema_momentum == MOMENTUM


def test_first_weights_are_forgotten():
    """Of 100 steps with momentum 0.999 Keras' average is 90 % the first."""
    model = prior()
    options = dict(use_ema=True, ema_momentum=0.999)
    optimizer = Adam(1e-3, ema_of_run=True, **options)
    model.compile(optimizer)
    optimizer.build(model.trainable_variables)
    weight = model.trainable_variables[0]
    zeros = [tf.zeros(v.shape) for v in model.trainable_variables]
    weight.assign(tf.ones(weight.shape))
    optimizer.apply(zeros, model.trainable_variables)
    for _ in range(99):
        weight.assign(tf.zeros(weight.shape))
        optimizer.apply(zeros, model.trainable_variables)
    averaging.use_averages(model)
    assert np.max(np.abs(weight)) < 1e-4


def test_a_wrapped_optimizer():
    """As Keras wraps it in mixed_float16."""
    model = prior()
    inner = building.make_optimizer(section())
    model.compile(keras.optimizers.LossScaleOptimizer(inner))
    model.fit(CODES, batch_size=4, verbose=0)
    weights = values(model)
    averaging.use_averages(model)
    assert np.any(values(model)[0] != weights[0])


def test_the_card_says_so():
    config = recipes.defaults("pictures")
    config.prior_training.update(steps=9, batch_size=4, ema_momentum=0.99)
    assert steps_text(config, (PRIOR,)) == (
        ", the prior 9 of 4 with averaged weights (momentum 0.99)"
    )
