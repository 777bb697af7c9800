"""Everything compiles under XLA with static shapes, as a TPU needs it.

Each train step, encoder, likelihood and sampler is compiled with its batch
known, gives what graph mode gives, and its graph, with those of all loops and
branches, has sizes that are known, and no operation that XLA lacks on another
device than a CPU, or that calls back to the host.
"""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf

import vqvae_tf as vq
from support import every_model, small
from support.static_graphs import check_compiled as check, faults
from vqvae_tf.quantizers import lookup

FAULTY = {
    "calls the host": lambda x: tf.numpy_function(np.abs, [x], tf.float32),
    "no static shape": lambda x: tf.reduce_sum(tf.where(x > 0)),
    "no kernel": lambda x: tf.strings.length(tf.strings.as_string(x)),
    "Unique: (None,)": lambda x: tf.reduce_sum(tf.unique(x)[0]),
    "Reshape: (None,)": lambda x: tf.while_loop(
        lambda y: tf.size(y) < 9,
        lambda y: tf.reshape(tf.concat([y, y], 0), [-1]),
        [x],
        shape_invariants=[tf.TensorShape([None])],
    ),
}


@pytest.mark.parametrize("fault", FAULTY)
def test_what_is_looked_for_is_found(fault):
    tf.function(tf.abs, jit_compile=True, autograph=False)(
        1.0
    )  # registers XLA's kernels
    spec = tf.TensorSpec([4], tf.float32)
    concrete = tf.function(
        FAULTY[fault], autograph=False
    ).get_concrete_function(spec)
    assert any(fault in found for found in faults(concrete))


# Train steps ------------------------------------------------------------------


def steps_of(name, jit_compile, optimizer, count=2):
    """Trains from the same weights; returns logs, weights and the step."""
    keras.utils.set_random_seed(1)
    model, x, context = every_model.make(name, 4)
    model.compile(optimizer())
    model.optimizer.build(model.trainable_variables)
    weight = tf.constant([1.0, 1.0, 1.0, 0.0])

    def step(x, context, weight):
        return model.train_step((x, context, weight))

    step = tf.function(step, jit_compile=jit_compile, autograph=False)
    for _ in range(count):
        logs = step(x, context, weight)
    weights = {v.path: v.numpy() for v in model.variables}
    return logs, weights, step.get_concrete_function(x, context, weight)


def check_train_step(name, optimizer, rtol=1e-4):
    logs, weights, concrete = steps_of(name, True, optimizer)
    expected, old, _ = steps_of(name, False, optimizer)
    assert faults(concrete) == []
    assert set(logs) == set(expected)
    for key, value in expected.items():
        # Rounding decides between codes that are equally near.
        close = 0.02 if key == "perplexity" else rtol
        np.testing.assert_allclose(logs[key], value, close, 1e-6, err_msg=key)
    for (path, new), value in zip(weights.items(), old.values()):
        atol = rtol * np.max(np.abs(value))
        np.testing.assert_allclose(new, value, rtol, atol, err_msg=path)


def sgd():
    return keras.optimizers.SGD(0.01, momentum=0.9, global_clipnorm=1.0)


FAST = ("two codebooks with restarts, EMA",)
IN_HALF = (
    *FAST,
    "prior of classes and two codebooks",
    "prior of video with marginals",
    "VQ-VAE of code maps",
)


@pytest.mark.parametrize("name", FAST)
def test_train_steps(name):
    check_train_step(name, sgd)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(set(every_model.EVERY) - set(FAST)))
def test_other_train_steps(name):
    # VIMCO learns from differences of bounds, each of thousands of nats.
    check_train_step(name, sgd, rtol=1e-2 if name == "VIMCO" else 1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
@pytest.mark.parametrize("name", IN_HALF)
def test_train_steps_in_half_precision(name, policy):
    """With the loss scaling's condition, and Adam; XLA rounds elsewhere."""
    keras.config.set_dtype_policy(policy)
    logs, _, concrete = steps_of(name, True, keras.optimizers.Adam)
    expected, *_ = steps_of(name, False, keras.optimizers.Adam)
    assert faults(concrete) == []
    np.testing.assert_allclose(logs["loss"], expected["loss"], 0.02)


# Encoders, decoders, likelihoods ----------------------------------------------


def test_encode_decode_and_log_prob():
    model = small.generator(num_codebooks=2, num_classes=2)
    x = tf.constant(small.pictures(4))
    context = {"global": tf.one_hot([0, 1, 1, 0], 2)}
    codes = check(model.encode, x)
    assert len(np.unique(codes)) > 2
    check(model.decode, codes)
    check(model.bits_per_dim, x, context)


@pytest.mark.slow
def test_reconstruct_and_log_prob():
    model = small.generator(num_classes=2)
    x = tf.constant(small.pictures(4))
    check(model.reconstruct, x)
    check(model.log_prob, x, {"global": tf.one_hot([0, 1, 1, 0], 2)})


@pytest.mark.parametrize("num_embeddings", [8, 1024])
def test_chunked_look_up(num_embeddings, monkeypatch):
    """A loop with a TensorArray, where distances need much memory."""
    monkeypatch.setattr(lookup, "MAX_DISTANCE_BYTES", 1)
    layer = vq.VectorQuantizer(num_embeddings, 4)
    latents = tf.random.stateless_normal([3, 5, 10, 4], [1, 2])
    assert len(np.unique(check(layer.encode, latents))) > 4


LIKELIHOODS = (
    vq.Gaussian,
    functools.partial(vq.Gaussian, scale="predicted"),
    vq.DiscretizedLogistic,
    vq.DiscretizedLogisticMixture,
    vq.Categorical,
    vq.Bernoulli,
)


@pytest.mark.parametrize(
    "make", LIKELIHOODS, ids=lambda x: getattr(x, "__name__", "predicted")
)
def test_likelihoods(make):
    likelihood = make()
    likelihood.build(None)
    shape = [2, 4, 4, likelihood.num_parameters(3)]
    parameters = 0.3 * tf.random.stateless_normal(shape, [1, 2])
    value = tf.constant(small.pictures(2, 4))

    def all_of_it(parameters, value):
        drawn = likelihood.sample(parameters, tf.constant([3, 4]))
        mode = likelihood.mode(parameters)
        log_prob = likelihood.log_prob(parameters, value)
        return tf.cast(drawn, tf.int32), tf.cast(mode, tf.int32), log_prob

    drawn, mode, _ = check(all_of_it, parameters, value)
    assert np.any(drawn.numpy() != mode.numpy())


# Samplers ---------------------------------------------------------------------

OPTIONS = {
    "plain": {},
    "temperature 0": {"temperature": 0.0},
    "filtered": {"top_k": 5, "top_p": 0.7, "temperature": 0.8},
}


def prior_and_context():
    prior = small.prior(
        2, global_channels=3, local_channels=5, local_upsampling=2
    )
    context = {
        "global": tf.one_hot([0, 1, 2, 1], 3),
        "local": tf.random.stateless_normal([4, 2, 2, 5], [1, 2]),
    }
    return prior, context


@pytest.mark.parametrize(
    "options",
    ["filtered"]
    + [pytest.param(o, marks=pytest.mark.slow) for o in list(OPTIONS)[:2]],
)
def test_samples_of_a_prior(options):
    prior, context = prior_and_context()

    def draw(context):
        return prior.sample(context=context, seed=3, **OPTIONS[options])

    assert len(np.unique(check(draw, context))) > 3


@pytest.mark.slow
def test_completed_samples_of_a_prior():
    prior, context = prior_and_context()
    given = tf.random.stateless_uniform([4, 4, 4, 2], [1, 2], 0, 8, tf.int32)
    keep = tf.random.stateless_uniform([4, 4, 4], [5, 6]) < 0.5

    def draw(context, given, keep):
        return prior.sample(
            context=context, seed=3, given=given, given_mask=keep
        )

    drawn = check(draw, context, given, keep)
    np.testing.assert_array_equal(drawn[keep], given[keep])
    assert np.any(drawn != given)


@pytest.mark.slow
def test_samples_of_a_generator():
    model = small.generator(num_classes=2)
    context = {"global": tf.one_hot([0, 1, 1], 2)}
    given = tf.constant(small.pictures(3))
    keep = np.zeros([3, small.SIZE, small.SIZE], bool)
    keep[:, :8] = True
    options = dict(context=context, decoder_temperature=0.5, top_p=0.9)

    def draw(given, keep):
        return model.sample(
            seed=3, given=given, given_mask=keep, **options
        ), model.sample(seed=4, **options)

    completed, _ = check(draw, given, tf.constant(keep))
    np.testing.assert_array_equal(completed[keep], given[keep])


@pytest.mark.slow
def test_samples_of_two_levels():
    model = small.two_levels()
    pictures = tf.constant(small.pictures(2))
    check(model.log_prob, pictures)
    drawn = check(lambda seed: model.sample(2, seed=seed, top_k=4), 3)
    assert np.any(drawn[0] != drawn[1])


@pytest.mark.slow
@pytest.mark.parametrize("marginals", [{}, {"marginal_channels": 8}])
def test_rollouts(marginals):
    model = small.video(**marginals)
    frames = tf.constant(np.stack([small.pictures(2)] * 2))
    actions = tf.constant([[0, 1, 2], [4, 3, 2]])

    def roll(frames, actions):
        return model.rollout(frames, actions, num_futures=2, seed=3)

    drawn = check(roll, frames, actions)
    assert drawn.shape == (4, 3, small.SIZE, small.SIZE, 3)
    assert np.any(drawn[0] != drawn[1])


@pytest.mark.slow
@pytest.mark.parametrize("options", ["temperature 0", "filtered"])
@pytest.mark.parametrize("marginals", [{}, {"marginal_channels": 8}])
def test_rollouts_with_options(marginals, options):
    model = small.video(**marginals)
    frames = tf.constant(np.stack([small.pictures(2)] * 2))

    def roll(frames):
        options_ = OPTIONS[options]
        return model.rollout(frames, num_frames=3, seed=3, **options_)

    assert check(roll, frames).shape == (2, 3, small.SIZE, small.SIZE, 3)


# A user's own model -----------------------------------------------------------


@pytest.mark.parametrize(
    "limit",
    [lookup.MAX_DISTANCE_BYTES, pytest.param(1, marks=pytest.mark.slow)],
)
def test_a_functional_model_with_a_short_last_batch(limit, monkeypatch):
    """Both look-ups are compiled where the batch is unknown: one is too big."""
    monkeypatch.setattr(lookup, "MAX_DISTANCE_BYTES", limit)
    inputs = keras.Input((None, None, 4))
    quantizer = vq.VectorQuantizerEMA(8, 4, name="vq", restart_after=2)
    outputs, codes = quantizer(inputs, return_codes=True)
    model = keras.Model(inputs, [keras.layers.Dense(4)(outputs), codes])
    x = np.random.default_rng(0).normal(size=[11, 5, 6, 4], scale=0.1)
    x = x.astype(np.float32)
    start, results = model.get_weights(), []
    for jit in (False, True):
        model.set_weights(start)
        model.compile(keras.optimizers.SGD(0.1), ["mse", None], jit_compile=jit)
        logs = model.fit(x, [x, x], batch_size=4, verbose=0).history
        logs |= model.evaluate(x, [x, x], 4, verbose=0, return_dict=True)
        results.append((logs, model.predict(x, batch_size=4, verbose=0)))
    (logs, predicted), (new_logs, new) = results
    for name, value in logs.items():
        np.testing.assert_allclose(new_logs[name], value, 1e-4, err_msg=name)
    np.testing.assert_allclose(new[0], predicted[0], rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(new[1], predicted[1])
