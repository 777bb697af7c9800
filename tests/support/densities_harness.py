"""What the tests of densities of codes share."""

import itertools

import keras
import numpy as np
import tensorflow as tf

from support.harness import run_density_test, run_two_replica_test

CONDITIONAL = {
    "global_channels": 4,
    "local_channels": 6,
    "local_upsampling": 2,
}


def perturbed(density, scale=0.2, seed=7):
    """Builds a density with weights and biases larger than at the start."""
    density.build()
    rng = np.random.default_rng(seed)
    for v in density.trainable_variables:
        v.assign(v + scale * rng.normal(size=v.shape))
    return density


def random_codes(density, batch, grid=None, seed=0):
    """Returns codes int32 `[batch, *grid]`, or with an axis of codebooks."""
    groups = density.num_codebooks
    shape = [batch, *(grid or density.event_shape)]
    shape += [groups] if groups > 1 else []
    rng = np.random.default_rng(seed)
    return rng.integers(0, min(density.num_codes), shape, dtype=np.int32)


def random_context(density, batch, grid=None):
    """Returns the entries that the density expects, as arrays."""
    rng = np.random.default_rng(1)
    factor = density.local_upsampling
    sizes = [size // factor for size in grid or density.event_shape]
    context = {}
    if density.global_channels:
        shape = [batch, density.global_channels]
        context["global"] = rng.normal(size=shape).astype(np.float32)
    if density.local_channels:
        shape = [batch, *sizes, density.local_channels]
        context["local"] = rng.normal(size=shape).astype(np.float32)
    return context


def check_contract(make, maskable=True, **options):
    """Runs `harness.run_density_test` on random codes and contexts.

    Args:
        make: makes a density from options, and those of a layer.
        maskable: whether `log_prob` of masked positions can be left out.
        **options: of the density.
    """
    density = make(**options)
    codes = random_codes(density, 4)
    context = random_context(density, 4)
    shape = codes.shape if context else (1, *codes.shape[1:])
    mask = np.random.default_rng(2).integers(0, 2, [4, *density.event_shape])
    run_density_test(
        lambda **kwargs: make(**options, **kwargs),
        codes,
        context or None,
        shape,
        mask.astype(bool) if maskable else None,
    )


def check_replicas(make):
    """Two replicas train as one device, with dropout and both contexts."""

    def compiled():
        density = make(scale=0.1, dropout=0.1, **CONDITIONAL)
        density.compile(keras.optimizers.SGD(0.05))
        return density

    density = make(**CONDITIONAL)
    batch = random_codes(density, 4), random_context(density, 4)
    dataset = tf.data.Dataset.from_tensor_slices(batch).batch(4)
    run_two_replica_test(compiled, dataset)


def check_exported_sampler(density, folder, grids=((4, 4), (8, 6))):
    """A SavedModel draws what the density draws, of any batch and grid."""
    draw = exported_sampler(density, folder)
    for grid, batch, temperature in zip(grids, (3, 1), (0.9, 0.0)):
        context = random_context(density, 1, grid)
        context = {k: tf.constant(v) for k, v in context.items()}
        expected = density.sample(
            batch, context, temperature=temperature, seed=9
        )
        received = draw(batch, temperature, 9, context)
        np.testing.assert_array_equal(received, expected)


def check_sees_all_of_the_past(density):
    """Each code's logits depend on all earlier codes, and on no other.

    Args:
        density: a `CodeNetwork` without contexts.
    """
    codes = random_codes(density, 1)
    codes = codes.reshape(1, *density.event_shape, density.num_codebooks)
    embedded = density.embed(tf.constant(codes))
    weights = np.random.default_rng(0).normal(size=density.num_embeddings)
    weights = tf.constant(weights, tf.float32)

    def function(embedded):
        logits = density.of_embedded(embedded)
        return tf.reshape(tf.linalg.matvec(logits, weights), [-1])

    order = np.arange(codes.size)
    np.testing.assert_array_equal(
        dependence(function, embedded), order[:, None] > order
    )


def check_cached_equals_naive(density, grid, jit_compile=False, atol=1e-5):
    """The sampler's logits are those of a forward pass."""
    codes, context = (
        random_codes(density, 2, grid),
        random_context(density, 2, grid),
    )
    naive, cached = (
        tf.function(function, jit_compile=jit_compile, autograph=False)
        for function in (density.logits, density._cached_logits)
    )
    expected = naive(codes, context)
    assert np.std(expected) > 0.3
    result = cached(codes, context)
    np.testing.assert_allclose(result, expected, atol=atol, rtol=0)


def check_probabilities_sum_to_one(density, grid):
    """Over all codes of a small grid; contexts are random."""
    groups, size = density.num_codebooks, density.num_embeddings
    shape = [*grid, groups] if groups > 1 else grid
    every = itertools.product(range(size), repeat=int(np.prod(shape)))
    values = np.array(list(every), np.int32).reshape(-1, *shape)
    context = random_context(density, 1, grid)
    context = {k: np.repeat(v, len(values), 0) for k, v in context.items()}
    log_prob = density.log_prob(values, context).numpy().astype(np.float64)
    np.testing.assert_allclose(np.exp(log_prob).sum(), 1, atol=1e-5)
    assert np.exp(log_prob).max() > 1.5 / len(values)  # not just uniform


def check_sampling(density, naive_sampler):
    """Samples, completions and options; cached equals naive.

    Args:
        density: one with `CONDITIONAL` contexts.
        naive_sampler: `NaiveSampler` of benchmarks/naive_sampling.py.
    """
    context = random_context(density, 2)
    drawn = density.sample(context=context, seed=5)
    expected = naive_sampler(density, context)(2, [5])[0]
    np.testing.assert_array_equal(drawn, expected)
    options = dict(temperature=0.8, top_k=4, top_p=0.9)
    drawn = density.sample(context=context, seed=5, **options)
    expected = naive_sampler(density, context, **options)(2, [5])[0]
    np.testing.assert_array_equal(drawn, expected)
    greedy = density.sample(context=context, temperature=0.0)
    best = np.argmax(density.logits(greedy, context), axis=-1)
    np.testing.assert_array_equal(greedy, best)
    # Completion: what is given stays, the rest is the best given it.
    given, keep = random_codes(density, 2), np.zeros(drawn.shape[:3], bool)
    keep[:, 1::2] = True
    done = density.sample(
        context=context, given=given, given_mask=keep, temperature=0.0
    ).numpy()
    np.testing.assert_array_equal(done[keep], given[keep])
    best = np.argmax(density.logits(done, context), axis=-1)
    np.testing.assert_array_equal(done[~keep], best[~keep])


def dependence(function, inputs):
    """Returns whether each output depends on each position of the inputs.

    Args:
        function: maps `[1, ..., channels]` to `[n]`.
        inputs: float `[1, ..., channels]`, the channels being one position's.

    Returns:
        bool `[n, positions]`: where the gradient is not 0.
    """
    inputs = tf.convert_to_tensor(inputs, tf.float32)

    @tf.function
    def jacobian():
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            outputs = function(inputs)
        return tape.jacobian(outputs, inputs, unconnected_gradients="zero")

    result = jacobian().numpy()
    assert np.all(np.isfinite(result))
    return np.any(result.reshape(len(result), -1, inputs.shape[-1]), axis=-1)


def exported_sampler(density, folder):
    """Writes a SavedModel of a density that is given both contexts.

    Args:
        density: one of codes; nothing but its channels is fixed.
        folder: where to export to.

    Returns:
        A function of batch, temperature, seed and context that returns what
        the SavedModel draws.
    """
    grid = [None] * len(density.grid_axes)

    @tf.function(
        input_signature=[
            tf.TensorSpec([], tf.int32),
            tf.TensorSpec([], tf.float32),
            tf.TensorSpec([], tf.int32),
            tf.TensorSpec([None, density.global_channels]),
            tf.TensorSpec([None, *grid, density.local_channels]),
        ]
    )
    def sample(num_samples, temperature, seed, label, local):
        context = {"global": label, "local": local}
        codes = density.sample(
            num_samples, context, temperature=temperature, seed=seed
        )
        return {"codes": codes}

    archive = keras.export.ExportArchive()
    archive.track(density)
    archive.add_endpoint("sample", sample)
    archive.write_out(str(folder), verbose=False)
    loaded = tf.saved_model.load(str(folder))

    def draw(batch, temperature, seed, context):
        return loaded.signatures["sample"](
            num_samples=tf.constant(batch),
            temperature=tf.constant(temperature),
            seed=tf.constant(seed),
            label=context["global"],
            local=context["local"],
        )["codes"]

    return draw
