"""The checks that every quantizer of this package passes, in one call.

What is particular to a quantizer, its equations for instance, its own test
asserts.
"""

import keras
import numpy as np
import tensorflow as tf

from support.harness import (
    POLICIES,
    arrays,
    assert_all_get_gradients,
    assert_close,
    assert_config_round_trip,
    assert_finite,
    assert_same_variables,
    assert_weights_round_trip,
    in_all_modes,
    saved_and_loaded,
    two_replicas,
    unknown_sizes,
)

SIZES = (4, 3, 5)  # batch, and a grid


def run_quantizer_test(
    cls,
    init_kwargs,
    scale=0.1,
    identity_gradient=True,
    exact=True,
    searches=1,
    drawn=False,
):
    """Checks a quantizer through its public interface.

    Args:
        cls: a subclass of `Quantizer`.
        init_kwargs: of its constructor; makes the same layer each time.
        scale: of the latents, which are normal: about that of the codebook.
        identity_gradient: whether the gradient of the quantized latents is
            that of the latents; else it is only finite and not 0.
        exact: whether vectors are only looked up; if they are computed, XLA
            may round them otherwise.
        searches: how often a call searches each part; 0 if it does so by
            itself.
        drawn: whether training draws codes, by the place of a latent in the
            batch, instead of searching them.
    """
    make = _Maker(cls, init_kwargs)
    layer = make(name="tested")
    x = _latents(layer.channels, scale)
    layer.build(x.shape)
    config = layer.get_config()
    given = {name: _plain(value) for name, value in init_kwargs.items()}
    assert {**config, **given} == config
    _check_codes(layer, scale)
    _check_loss(layer, x)
    _check_gradients(layer, x, identity_gradient)
    _check_masks(layer, x, drawn)
    _check_state_at_rest(layer, x)
    _check_modes(layer, x, exact, 0 if drawn else searches)
    _check_saving(make, layer, x)
    for policy in POLICIES:
        _check_policy(make, policy, x, identity_gradient)
    check_replicas(make, x)


def _plain(value):
    """An option as it is in a config."""
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if hasattr(value, "get_config"):
        return keras.saving.serialize_keras_object(value)
    return value


class _Maker:
    def __init__(self, cls, init_kwargs):
        self.cls, self.init_kwargs = cls, init_kwargs

    def __call__(self, **kwargs):
        return self.cls(**self.init_kwargs, **kwargs)


def _latents(channels, scale, sizes=SIZES):
    values = np.random.default_rng(0).normal(size=[*sizes, channels])
    return tf.constant(scale * values, tf.float32)


def _restore(layer, values):
    """Puts back what `arrays(layer.variables)` were, and tells nobody."""
    for variable, value in zip(layer.variables, values, strict=True):
        variable.value.assign(value)


def _state(layer):
    """All that the layer carries from step to step, metrics apart."""
    metrics = {id(v) for v in layer.metrics_variables}
    return arrays(v for v in layer.variables if id(v) not in metrics)


def _assert_close(received, expected, what):
    received, expected = map(keras.tree.flatten, (received, expected))
    for a, b in zip(received, expected, strict=True):
        assert_close(np.asarray(a), np.asarray(b), what)


def _stages(layer):
    """The quantizers that a layer consists of: itself, or its parts'."""
    parts = getattr(layer, "stages", getattr(layer, "quantizers", None))
    if parts is None:
        return [layer]
    found = [stage for part in parts for stage in _stages(part)]
    return list({id(stage): stage for stage in found}.values())  # some shared


def _losses(layer):
    return tf.add_n([tf.zeros([]), *layer.losses])


# Codes and quantized latents --------------------------------------------------


def _check_codes(layer, scale):
    groups = layer.num_codebooks
    end = (groups,) * (groups > 1)
    for sizes in ((5,), (2, 6), (2, 2, 3, 2), (0, 5)):
        x = _latents(layer.channels, scale, sizes)
        quantized, codes = layer(x, return_codes=True)
        assert quantized.shape == x.shape and quantized.dtype == x.dtype
        assert codes.shape == (*sizes, *end) and codes.dtype == tf.int32
        assert layer.codes_shape(x.shape) == codes.shape
        assert tuple(layer.compute_output_shape(x.shape)) == tuple(x.shape)
        each = np.reshape(codes, [-1, groups])
        assert np.all((each >= 0) & (each < layer.num_codes))
        np.testing.assert_array_equal(layer(x), quantized)
        np.testing.assert_array_equal(layer.encode(x), codes)
        decoded = layer.decode(codes)
        assert decoded.shape == x.shape and decoded.dtype == tf.float32
        np.testing.assert_array_equal(decoded, quantized)
        assert_finite([quantized, layer.losses])
    assert len(np.unique(layer.encode(_latents(layer.channels, scale)))) > 1


def _check_loss(layer, x):
    """A mean over the batch, whatever its size, and 0 where there is none."""
    layer(x)
    once = _losses(layer)
    layer(tf.concat([x, x], axis=0))
    np.testing.assert_allclose(_losses(layer), once, rtol=1e-6)
    layer(x[:0])
    assert _losses(layer) == 0


def _check_gradients(layer, x, identity_gradient):
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(x)
        quantized = layer(x)
        ramp = tf.range(1.0, 1.0 + layer.channels)
        target = tf.reduce_sum(quantized * tf.cast(ramp, x.dtype))
        whole = tf.cast(target, tf.float32) + _losses(layer)
    received = tape.gradient(target, x)
    assert received.dtype == x.dtype
    if identity_gradient:
        expected = np.broadcast_to(ramp, x.shape)
        np.testing.assert_array_equal(tf.cast(received, tf.float32), expected)
    assert np.all(received != 0)
    sources = [x, *layer.trainable_variables]
    assert_all_get_gradients(tape, whole, sources)


# Masks and state --------------------------------------------------------------


def _check_masks(layer, x, drawn):
    """Latents that are masked out are quantized, and count nowhere."""
    before, plain = arrays(layer.variables), layer(x)
    initialized = any(
        getattr(stage, "initialization", "uniform") != "uniform"
        for stage in _stages(layer)
    )
    rng = np.random.default_rng(1)
    mask = rng.integers(0, 2, x.shape[:-1]).astype(bool)
    rows = np.array([1.0, 0.0, 1.0, 1.0], np.float32)
    of_rows = np.broadcast_to(rows[:, None, None], mask.shape).astype(bool)
    # Without the latents that are masked out, others are in their places.
    masks = () if drawn else ((mask, mask), (rows, of_rows))
    for given, of_latents in masks:
        results = []
        for latents, weights in (
            (x, given),
            (tf.boolean_mask(x, of_latents), None),
        ):
            _restore(layer, before)
            quantized = layer(latents, training=True, mask=weights)
            results.append([_losses(layer), *arrays(layer.variables)])
            expected = plain if weights is given else plain[of_latents]
            if not initialized:
                np.testing.assert_array_equal(quantized, expected)
        for whole, part in zip(*results, strict=True):
            np.testing.assert_allclose(whole, part, 1e-6, 1e-8)
    _restore(layer, before)
    codes = layer.encode(x)
    _, marked = layer(x, mask=mask, return_codes=True, mask_codes=True)
    apart = mask.reshape(mask.shape + (1,) * (len(codes.shape) - mask.ndim))
    np.testing.assert_array_equal(marked, np.where(apart, codes, -1))
    np.testing.assert_array_equal(layer.encode(x, mask), marked)
    expected = np.where(mask[..., None], plain, 0)
    np.testing.assert_array_equal(layer.decode(marked), expected)
    layer(x, training=True, mask=np.zeros(mask.shape))
    assert _losses(layer) == 0
    np.testing.assert_array_equal(layer.decode(codes), plain)
    _restore(layer, before)


def _check_state_at_rest(layer, x):
    """Frozen or not trained, it only counts its codes."""
    before, counts = arrays(layer.variables), layer.usage_metric.counts
    for trainable, training in ((False, True), (True, False), (True, None)):
        layer.trainable = trainable
        old = np.sum(counts)
        state = _state(layer)
        for _ in range(3):
            layer(x + 1.0, training=training)
        for new, value in zip(_state(layer), state, strict=True):
            np.testing.assert_array_equal(new, value)
        added = np.prod(SIZES) * layer.num_codebooks
        assert np.sum(counts) - old == 3 * added
    _restore(layer, before)


# Modes ------------------------------------------------------------------------


def _check_modes(layer, x, exact, searches):
    """A training step is the same eagerly, in a graph and under XLA."""
    before = arrays(layer.variables)
    end = [layer.num_codebooks] * (layer.num_codebooks > 1)
    calls = []

    def step(x, mask):
        decoded = layer.decode(layer.encode(x, mask))
        calls.clear()
        with tf.GradientTape() as tape:
            tape.watch(x)
            quantized, codes = layer(
                x, training=True, mask=mask, return_codes=True, mask_codes=True
            )
            target = tf.reduce_sum(quantized) + _losses(layer)
        assert len(calls) == searches * len(stages)
        for found in (decoded, quantized):
            assert found.shape.as_list() == x.shape.as_list()
        assert codes.shape.as_list() == [*x.shape[:-1], *end]
        gradients = tape.gradient(target, [x, *layer.trainable_variables])
        gradients = [tf.convert_to_tensor(gradient) for gradient in gradients]
        return (decoded, quantized, codes), (target, gradients)

    stages = _stages(layer)
    for stage in stages:
        stage.search = _noted(stage.search, calls)
    mask = tf.cast(np.arange(np.prod(SIZES)).reshape(SIZES) % 4 > 0, tf.float32)
    found, rounded = step(x, mask)
    after = arrays(layer.variables)
    _restore(layer, before)
    signature = [unknown_sizes(x), unknown_sizes(mask, keep=0)]
    for mode, results in in_all_modes(step, signature, x, mask):
        if exact:
            for received, expected in zip(results[0], found, strict=True):
                np.testing.assert_array_equal(received, expected, mode)
        np.testing.assert_array_equal(results[0][-1], found[-1], mode)
        _assert_close(
            (results[0][:-1], results[1]), (found[:-1], rounded), mode
        )
        _assert_close(arrays(layer.variables), after, mode)
        _restore(layer, before)
    for stage in stages:
        del stage.search


def _noted(search, calls):
    return lambda z: calls.append(z) or search(z)


def _check_policy(make, policy, x, identity_gradient):
    """Codes are those of float32, and narrow latents have narrow gradients."""
    keras.config.set_dtype_policy(policy)
    layer, plain = make(), make(dtype="float32")
    np.testing.assert_array_equal(layer.encode(x), plain.encode(x))
    np.testing.assert_array_equal(layer(x), plain(x))
    np.testing.assert_array_equal(_losses(layer), _losses(plain))
    for variable in layer.weights:
        assert variable.dtype in ("float32", "int32"), variable.path
    assert_config_round_trip(layer)
    half = "float16" if policy == "mixed_float16" else "bfloat16"
    _check_gradients(layer, tf.cast(x, half), identity_gradient)
    keras.config.set_dtype_policy("float32")


# Saving -----------------------------------------------------------------------


def _check_saving(make, layer, x):
    """Configuration, weights and a functional model with all it can return."""
    assert_config_round_trip(layer)
    layer(x, training=True)  # so that its state is its own
    inputs = keras.Input((*[None] * (len(x.shape) - 2), layer.channels))
    model = _functional(layer, inputs)
    expected = model(x)
    counts = np.sum(layer.usage_metric.counts)
    model(x)
    assert len(model.losses) == 1  # of the call alone, which also counts
    added = np.sum(layer.usage_metric.counts) - counts
    assert added == np.prod(SIZES) * layer.num_codebooks
    for name, value in expected.items():
        promised = model.output[name]
        assert value.dtype.name == promised.dtype, name
        assert len(value.shape) == len(promised.shape), name
        of_codes = name in ("codes", "encoded")
        wanted = layer.encode(x) if of_codes else layer(x)
        np.testing.assert_array_equal(value, wanted, name)
    loaded = saved_and_loaded(model)
    fresh = _functional(make(name="tested"), inputs)
    assert_weights_round_trip(model, fresh)
    assert_same_variables(loaded.variables, model.variables)
    for copy in (loaded, fresh):
        keras.tree.map_structure(
            np.testing.assert_array_equal, copy(x), expected
        )


def _functional(layer, inputs):
    quantized, codes = layer(inputs, return_codes=True)
    outputs = {
        "quantized": quantized,
        "codes": codes,
        "encoded": layer.encode(inputs),
        "decoded": layer.decode(codes),
    }
    return keras.Model(inputs, outputs)


# Replicas ---------------------------------------------------------------------


def check_replicas(make, x):
    """Two replicas with half a batch each are one with all of it."""
    strategy, half = two_replicas(), len(x) // 2
    one = make()
    one.build(x.shape)
    with strategy.scope():
        two = type(one).from_config(one.get_config())
        two.build(x.shape)

    def step(layer, x):
        with tf.GradientTape() as tape:
            quantized = layer(x, training=True)
            loss = _losses(layer)
            target = loss + tf.reduce_mean(quantized)
        gradients = tape.gradient(target, layer.trainable_variables)
        return loss, [tf.convert_to_tensor(g) for g in gradients]

    @tf.function(autograph=False)
    def on_both(x):
        def run():
            context = tf.distribute.get_replica_context()
            halves = tf.stack([x[:half], x[half:]])
            return step(two, halves[context.replica_id_in_sync_group])

        return strategy.run(run)

    def mean(parts):
        return np.mean(strategy.experimental_local_results(parts), axis=0)

    for i in range(4):
        latents = x + 0.1 * i
        received = keras.tree.map_structure(mean, on_both(latents))
        _assert_close(received, step(one, latents), "replicas")
    for a, b in zip(one.weights, two.weights, strict=True):
        assert_close(b.numpy(), a.numpy(), a.path)
        copies = strategy.experimental_local_results(b.value)
        np.testing.assert_array_equal(*copies, err_msg=a.path)
    counts = (layer.usage_metric.counts.numpy() for layer in (one, two))
    np.testing.assert_array_equal(*counts)
