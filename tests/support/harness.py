"""The checks that every layer, density and model of this package passes.

A test makes the part and its data, and calls `run_layer_test`,
`run_density_test`, `run_model_test` or `run_two_replica_test`; what is
particular to the part it asserts itself.
"""

import functools
import json
import pathlib
import tempfile

import keras
import numpy as np
import tensorflow as tf

from vqvae_tf.runtime.adam import Adam

MIXED_POLICIES = ("mixed_float16", "mixed_bfloat16")
POLICIES = (*MIXED_POLICIES, "bfloat16")


# What is compared ------------------------------------------------------------


def arrays(variables):
    """Returns the values of variables, as a list of arrays."""
    return [v.numpy() for v in variables]


def assert_same_variables(received, expected):
    """Asserts equal shapes, dtypes and values, bit for bit.

    Paths may differ: they depend on which part was built first.
    """
    assert [v.shape for v in received] == [v.shape for v in expected]
    for new, old in zip(received, expected):
        assert new.dtype == old.dtype, new.path
        np.testing.assert_array_equal(new.numpy(), old.numpy(), new.path)


def assert_finite(values, what=""):
    for value in keras.tree.flatten(values):
        value = np.asarray(tf.cast(value, tf.float32))
        assert np.all(np.isfinite(value)), what


def assert_all_get_gradients(tape, target, sources):
    """Asserts that each source has a finite gradient that is not all 0."""
    for source, gradient in zip(sources, tape.gradient(target, sources)):
        name = getattr(source, "path", "input")
        assert gradient is not None, name
        gradient = np.asarray(tf.cast(gradient, tf.float32))
        assert np.all(np.isfinite(gradient)), name
        assert np.any(gradient), name


def assert_config_round_trip(part):
    """Asserts that get_config survives JSON; returns the copy made of it."""
    config = keras.saving.serialize_keras_object(part)
    text = json.dumps(config, sort_keys=True)
    copy = keras.saving.deserialize_keras_object(json.loads(text))
    assert type(copy) is type(part)
    again = keras.saving.serialize_keras_object(copy)
    assert json.dumps(again, sort_keys=True) == text
    return copy


def saved_and_loaded(model):
    """Returns `model` after a trip through a `.keras` file."""
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "model.keras"
        model.save(path)
        return keras.saving.load_model(path)


def assert_weights_round_trip(model, fresh):
    """Asserts that a weights file restores `model`'s state in `fresh`."""
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "model.weights.h5"
        model.save_weights(path)
        assert len(fresh.variables) == len(model.variables)
        fresh.load_weights(path)
    for new, old in zip(fresh.variables, model.variables):
        np.testing.assert_array_equal(new.numpy(), old.numpy(), new.path)


def in_all_modes(function, signature, *args):
    """Yields the results of a graph with unknown sizes, and of XLA.

    XLA is called with the sizes known, as Keras compiles a step.
    """
    yield "graph", tf.function(function, input_signature=signature)(*args)
    # AutoGraph rewrote it above, if there was anything to rewrite.
    compiled = tf.function(function, jit_compile=True, autograph=False)
    yield "XLA", compiled(*args)


def unknown_sizes(array, keep=1):
    """Returns the TensorSpec of an array with all but `keep` axes unknown."""
    array = tf.convert_to_tensor(array)
    known = array.shape[len(array.shape) - keep :]
    shape = [None] * (len(array.shape) - keep) + list(known)
    return tf.TensorSpec(shape, array.dtype)


# Layers ----------------------------------------------------------------------


def run_layer_test(
    make,
    inputs,
    output_shape,
    differentiable=True,
    float32_state=False,
    rtol=1e-5,
):
    """Checks a layer `[batch, *sizes, channels]` -> one tensor.

    Args:
        make: makes the layer from keyword arguments of `keras.layers.Layer`.
        inputs: an array.
        output_shape: of the output for these inputs.
        differentiable: whether inputs have a gradient.
        float32_state: whether the layer's variables are float32 under every
            policy, or a word in the paths of those that are.
        rtol: between eager mode, graph and XLA.
    """
    keras.utils.set_random_seed(1)
    layer = make(name="tested")
    inputs = tf.convert_to_tensor(inputs)
    expected = layer(inputs)
    assert tuple(expected.shape) == tuple(output_shape)
    assert tuple(layer.compute_output_shape(inputs.shape)) == tuple(
        output_shape
    )
    assert_finite(expected)
    _check_layer_saving(make, layer, inputs, expected)
    signature = [unknown_sizes(inputs)]
    for mode, result in in_all_modes(lambda x: layer(x), signature, inputs):
        assert result.dtype == expected.dtype
        np.testing.assert_allclose(result, expected, rtol, rtol, err_msg=mode)
    if differentiable:
        _check_layer_gradients(layer, inputs)
    for policy in POLICIES:
        _check_layer_policy(make, policy, inputs, output_shape, float32_state)


def _check_layer_saving(make, layer, inputs, expected):
    assert_config_round_trip(layer)
    x = keras.Input(inputs.shape[1:], dtype=inputs.dtype.name)
    assert layer(x).shape == (None, *expected.shape[1:])
    x = keras.Input([None] * (len(inputs.shape) - 2) + [inputs.shape[-1]])
    y = layer(x)
    assert len(y.shape) == len(expected.shape)
    assert y.shape[-1] == expected.shape[-1]
    model = keras.Model(x, y)
    np.testing.assert_array_equal(model(inputs), expected)
    loaded = saved_and_loaded(model)
    np.testing.assert_array_equal(loaded(inputs), expected)
    assert_same_variables(loaded.variables, model.variables)
    if model.variables:
        keras.utils.set_random_seed(2)
        fresh = make(name="tested")
        copy = keras.Model(x, fresh(x))
        assert_weights_round_trip(model, copy)
        np.testing.assert_array_equal(copy(inputs), expected)


def _check_layer_gradients(layer, inputs):
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        outputs = layer(inputs)
        weights = np.random.default_rng(0).normal(size=outputs.shape)
        target = tf.reduce_sum(outputs * tf.cast(weights, outputs.dtype))
        target += tf.add_n([tf.zeros([]), *layer.losses])
    sources = [inputs, *layer.trainable_variables]
    assert_all_get_gradients(tape, target, sources)


def _check_layer_policy(make, policy, inputs, output_shape, float32_state):
    layer = make(dtype=policy)
    outputs = layer(inputs)
    assert tuple(outputs.shape) == tuple(output_shape)
    assert_finite(outputs, policy)
    for variable in layer.weights:
        if "float" in variable.dtype:
            wide = float32_state
            if isinstance(wide, str):
                wide = wide in variable.path
            narrow = policy == "bfloat16" and not wide
            expected = "bfloat16" if narrow else "float32"
            assert variable.dtype == expected, variable.path
    assert_config_round_trip(layer)


# Densities -------------------------------------------------------------------


def run_density_test(make, value, context, sample_shape, mask=None, fits=True):
    """Checks a density through its public interface.

    Args:
        make: makes the density, with its variables; takes keyword arguments.
        value: an array `[batch, *event]`.
        context: a dict of float arrays `[batch, ...]`, or None.
        sample_shape: of a sample for this context.
        mask: bool `[batch, *grid]`, or None where masks are refused.
        fits: whether it is trained as a whole, by its own `fit`.
    """
    keras.utils.set_random_seed(1)
    density = make(name="density")
    tensors = keras.tree.map_structure(tf.convert_to_tensor, context or {})
    expected = density.log_prob(value, tensors)
    assert expected.dtype == tf.float32
    assert expected.shape == (len(value),)
    assert_finite(expected)
    assert np.all(expected.numpy() < 0)  # a mass, not a density
    # One at a time, the others do not matter.
    first = keras.tree.map_structure(lambda x: x[:1], tensors)
    np.testing.assert_allclose(
        density.log_prob(value[:1], first), expected[:1], rtol=1e-5
    )
    if mask is not None:
        inside = density.log_prob(value, tensors, mask=mask)
        outside = density.log_prob(value, tensors, mask=~mask)
        np.testing.assert_allclose(inside + outside, expected, rtol=1e-5)
        assert np.all(inside > expected)
    _check_density_modes(density, value, tensors, expected)
    _check_density_samples(density, tensors, sample_shape)
    _check_density_saving(make, density, value, tensors, expected)
    for policy in MIXED_POLICIES:
        keras.config.set_dtype_policy(policy)
        mixed = make().log_prob(value, tensors)
        assert mixed.dtype == tf.float32
        assert_finite(mixed, policy)
    keras.config.set_dtype_policy("float32")
    if fits:
        with tf.GradientTape() as tape:
            tape.watch(tensors)
            target = density.log_prob(value, tensors)
        sources = [*tensors.values(), *density.trainable_variables]
        assert_all_get_gradients(tape, target, sources)
        check_fit_lowers_the_loss(density, value, context)


def _check_density_modes(density, value, context, expected):
    signature = [
        unknown_sizes(value),
        keras.tree.map_structure(unknown_sizes, context),
    ]
    for mode, result in in_all_modes(
        density.log_prob, signature, value, context
    ):
        np.testing.assert_allclose(result, expected, rtol=1e-5, err_msg=mode)


def _check_density_samples(density, context, sample_shape):
    def draw(context, seed):
        return density.sample(context=context, seed=seed)

    sample = draw(context, 3)
    assert tuple(sample.shape) == tuple(sample_shape)
    np.testing.assert_array_equal(draw(context, 3), sample)
    assert np.any(draw(context, 4) != sample)
    np.testing.assert_array_equal(tf.function(draw)(context, 3), sample)
    mode = density.mode(context)
    assert mode.shape == sample.shape and mode.dtype == sample.dtype


def _check_density_saving(make, density, value, context, expected):
    assert_config_round_trip(density)
    loaded = saved_and_loaded(density)
    np.testing.assert_array_equal(loaded.log_prob(value, context), expected)
    assert_same_variables(loaded.variables, density.variables)
    keras.utils.set_random_seed(2)
    # As a preset is loaded: from its configuration, without data.
    fresh = type(density).from_config(density.get_config())
    fresh.build()
    assert_weights_round_trip(density, fresh)
    np.testing.assert_array_equal(fresh.log_prob(value, context), expected)


# Models ----------------------------------------------------------------------


def light_optimizer(rate=0.1):
    """Returns SGD with momentum and short steps, whatever the loss's scale.

    It has a state as Adam has, and half of a train step's operations less.
    """
    return keras.optimizers.SGD(rate, momentum=0.5, global_clipnorm=1.0)


def check_fit_lowers_the_loss(model, x, context=None, epochs=12):
    """Fits the model on one batch; the loss falls, and evaluate agrees."""
    model.compile(Adam(0.01))
    batch = dict(x=x, y=context, batch_size=len(x), verbose=0)
    losses = model.fit(epochs=epochs, **batch).history["loss"]
    assert_finite(losses)
    assert losses[-1] < losses[0] - 0.01 * abs(losses[0])
    logs = model.evaluate(return_dict=True, **batch)
    assert set(model.loss_names) <= set(logs)
    assert logs["loss"] < losses[0]
    return losses


def run_model_test(make, x, context=None):
    """Checks a `StepModel`: saving, training, policies, padding, XLA.

    Args:
        make: makes the model with its variables, the same at each call.
        x: data of 4 examples, as stored.
        context: a dict of arrays, or None.
    """
    assert len(x) == 4
    copy = assert_config_round_trip(make())
    if not copy.built:
        copy.build()
    model = make()
    assert_weights_round_trip(model, copy)
    plain = _check_resumed_training(model, x, context)
    compiled = make()
    compiled.compile(light_optimizer(), jit_compile=True)
    logs = _fit_step(compiled, x, context)
    for name, value in plain.items():
        np.testing.assert_allclose(logs[name], value, 1e-4, 1e-6, err_msg=name)
    _check_padding(model, x, context)
    for policy in MIXED_POLICIES:
        keras.config.set_dtype_policy(policy)
        mixed = make()
        mixed.compile(light_optimizer())
        scaled = isinstance(
            mixed.optimizer, keras.optimizers.LossScaleOptimizer
        )
        assert scaled == (policy == "mixed_float16")
        before = arrays(mixed.trainable_variables)
        assert_finite(_fit_step(mixed, x, context), policy)
        for old, variable in zip(before, mixed.trainable_variables):
            assert variable.dtype == "float32"
            assert_finite(variable, variable.path)
            assert np.any(old != variable.numpy()), variable.path
    keras.config.set_dtype_policy("float32")
    check_fit_lowers_the_loss(make(), x, context)


def check_saving_after_fit(model, x, context=None):
    """A model that was only fitted is saved whole, and goes on alike.

    Args:
        model: a `StepModel` that nothing has built or compiled yet.
        x, context: one batch.
    """
    assert not model.built
    model.compile(light_optimizer())
    for _ in range(3):
        _fit_step(model, x, context)
    assert model.built
    loaded = saved_and_loaded(model)
    assert int(loaded.optimizer.iterations) == 3
    assert_same_variables(loaded.variables, model.variables)
    assert_same_variables(loaded.optimizer.variables, model.optimizer.variables)
    expected = _fit_step(model, x, context)
    for name, value in _fit_step(loaded, x, context).items():
        np.testing.assert_allclose(value, expected[name], 1e-6, err_msg=name)
    fresh = type(model).from_config(model.get_config())
    fresh.build()
    assert_weights_round_trip(model, fresh)


def _fit_step(model, x, context, weight=None):
    history = model.fit(x, context, 4, sample_weight=weight, verbose=0)
    return {name: value[0] for name, value in history.history.items()}


def _check_resumed_training(model, x, context):
    """A loaded model is the saved one, its optimizer too, and goes on alike."""
    model.compile(light_optimizer())
    first = _fit_step(model, x, context)
    loaded = saved_and_loaded(model)
    assert_same_variables(loaded.variables, model.variables)
    assert_same_variables(loaded.optimizer.variables, model.optimizer.variables)
    np.testing.assert_array_equal(loaded(x, context), model(x, context))
    expected = _fit_step(model, x, context)
    for name, value in _fit_step(loaded, x, context).items():
        np.testing.assert_allclose(value, expected[name], 1e-6, err_msg=name)
    return first


def _check_padding(model, x, context):
    """Rows of weight 0 count nowhere: neither in metrics nor in training."""

    def padded(array):
        return np.concatenate([array, array[::-1] // 2])

    expected = model.evaluate(
        x, context, batch_size=4, verbose=0, return_dict=True
    )
    logs = model.evaluate(
        padded(x),
        context and keras.tree.map_structure(padded, context),
        sample_weight=np.repeat([1.0, 0.0], 4),
        batch_size=8,
        verbose=0,
        return_dict=True,
    )
    assert set(logs) == set(expected)
    for name, value in expected.items():
        np.testing.assert_allclose(logs[name], value, 1e-5, err_msg=name)


# Replicas --------------------------------------------------------------------


@functools.cache
def two_replicas():
    """Returns the one MirroredStrategy over the two logical CPUs.

    There must not be a second one in a process: both would number their
    collectives from 1, and the runtime takes equal numbers for the same.
    """
    return tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])


def run_two_replica_test(make, dataset, epochs=4, steps=5):
    """Checks that two replicas of B examples train as one with 2 B.

    Args:
        make: makes and compiles a model, the same at each call.
        dataset: batches of 2 B.
        epochs, steps: `epochs * steps` training steps.

    Returns:
        The model and the history of one device.
    """
    options = dict(epochs=epochs, steps_per_epoch=steps, shuffle=False)
    dataset = dataset.repeat()
    one = make()
    before = arrays(one.variables)
    history = one.fit(dataset, verbose=0, **options).history
    with two_replicas().scope():
        two = make()
    mirrored = two.fit(dataset, verbose=0, **options).history
    assert set(mirrored) == set(history)
    for name, values in history.items():
        assert_close(mirrored[name], values, name)
    changed = 0
    for a, b, old in zip(one.variables, two.variables, before):
        assert_close(b.numpy(), a.numpy(), a.path)
        changed += np.any(a.numpy() != old)
        copies = two_replicas().experimental_local_results(b.value)
        assert len(copies) == 2
        np.testing.assert_array_equal(*copies, err_msg=a.path)
    assert changed > len(one.trainable_variables) // 2
    results = [
        m.evaluate(dataset, steps=3, verbose=0, return_dict=True)
        for m in (one, two)
    ]
    for name, value in results[0].items():
        assert_close(results[1][name], value, name)
    return one, history


def assert_close(received, expected, name=""):
    """Asserts equality to rtol 1e-5 + atol 1e-6 times the largest entry."""
    atol = 1e-6 * np.max(np.abs(expected), initial=0.0)
    np.testing.assert_allclose(received, expected, 1e-5, atol, err_msg=name)
