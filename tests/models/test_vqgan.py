"""The VQGAN: which variables each loss moves, and by how much."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import vqvae_tf as vq
from support import small
from support.harness import (
    arrays,
    assert_finite,
    run_model_test,
    run_two_replica_test,
)
from vqvae_tf.models import adversarial
from vqvae_tf.models.adversarial_model import last_kernel
from vqvae_tf.runtime.adam import Adam

SIZE = 16
SMALL = dict(num_residual_layers=0, num_groups=2)


class Edges(keras.layers.Layer):
    """Stands for a perceptual distance: how far neighbours' differences are."""

    def load(self):
        pass

    def call(self, a, b):
        x = (tf.cast(a, tf.float32) - tf.cast(b, tf.float32)) / 127.5
        return tf.reduce_mean((x[:, 1:] - x[:, :-1]) ** 2, axis=(1, 2, 3))


def make(discriminator=True, perceptual=True, name="vqgan", **options):
    keras.utils.set_random_seed(0)
    network = vq.GroupNormDecoder(3, (4, 4), **SMALL)
    parts = (
        vq.GroupNormEncoder(4, (4, 4), **SMALL),
        vq.VectorQuantizer(16, 4, codebook_dim=2, distance="cosine"),
        vq.FactorizedDensity(network, vq.Gaussian()),
    )
    # Made last, so that the others' weights are the same without it.
    judge = vq.PatchDiscriminator(4, num_layers=1) if discriminator else None
    model = vq.VQGAN(
        *parts,
        event_shape=(SIZE, SIZE, 3),
        discriminator=judge,
        perceptual=Edges() if perceptual is True else perceptual or None,
        name=name,
        **options,
    )
    model.build()
    return model


def pictures(count=4):
    return small.pictures(count, SIZE)


def players(model):
    """Returns what each of the two players trains."""
    judged = model.discriminator.trainable_variables
    ids = {id(v) for v in judged}
    return [v for v in model.trainable_variables if id(v) not in ids], judged


@pytest.mark.slow
def test_all_of_a_model():
    run_model_test(lambda: make(perceptual=False), pictures())


@pytest.mark.slow
@pytest.mark.parametrize("norm", ["group", "batch"])
def test_two_replicas_train_as_one(norm):
    def compiled():
        model = make(perceptual=False, squared_weight=0.5)
        options = dict(norm=norm, spectral_norm=True)
        model = vq.VQGAN(
            model.encoder,
            model.quantizer,
            model.decoder,
            event_shape=(SIZE, SIZE, 3),
            discriminator=vq.PatchDiscriminator(4, 1, **options),
        )
        model.build()
        model.compile(keras.optimizers.SGD(0.02, momentum=0.5))
        return model

    dataset = tf.data.Dataset.from_tensor_slices(pictures(8)).batch(4)
    run_two_replica_test(compiled, dataset, epochs=2)


# One step, by hand ------------------------------------------------------------


def step_by_hand(model, x, rate):
    """Returns the variables after a step of plain gradient descent."""
    own, judged = players(model)
    target = tf.constant(x, tf.float32)
    kernel = last_kernel(model.decoder.network)
    with tf.GradientTape(persistent=True) as tape:
        found = model.passed(x, None, None, training=True)
        difference = (found.picture - target) / 127.5
        distance = tf.reduce_mean(tf.abs(difference))
        distance += 0.5 * tf.reduce_mean(difference**2)
        distance += 2.0 * tf.reduce_mean(
            model.perceptual(target, found.picture)
        )
        fake = model.discriminator(found.picture / 127.5 - 1)
        fooled = -tf.reduce_mean(fake)
    sizes = [tf.norm(tape.gradient(y, kernel)) for y in (distance, fooled)]
    weight = 0.8 * sizes[0] / (sizes[1] + 1e-4)
    with tape:
        total = distance + weight * fooled + found.extra
        total += tf.reduce_mean(found.nats)
        fake = model.discriminator(tf.stop_gradient(found.picture) / 127.5 - 1)
        real = model.discriminator(target / 127.5 - 1)
        judge = 0.5 * tf.reduce_mean(tf.nn.relu(1 - real))
        judge += 0.5 * tf.reduce_mean(tf.nn.relu(1 + fake))
    moved = [
        [v.numpy() - rate * tf.convert_to_tensor(g).numpy() for v, g in pairs]
        for pairs in (
            zip(own, tape.gradient(total, own)),
            zip(judged, tape.gradient(judge, judged)),
        )
    ]
    return moved, float(weight)


def test_a_step_by_hand():
    options = dict(squared_weight=0.5, perceptual_weight=2.0)
    model, x = make(**options), pictures()
    copy = make(**options)
    copy.set_weights(model.get_weights())
    (own, judged), weight = step_by_hand(copy, x, rate=0.1)
    model.compile(keras.optimizers.SGD(0.1))
    logs = model.train_on_batch(x, return_dict=True)
    assert logs["adversarial_weight"] == pytest.approx(weight, rel=1e-4)
    for variables, expected in zip(players(model), (own, judged)):
        for variable, value in zip(variables, expected):
            np.testing.assert_allclose(
                variable, value, rtol=1e-4, atol=1e-5, err_msg=variable.path
            )


@pytest.mark.parametrize("adaptive", [True, False])
def test_neither_player_moves_the_other(adaptive):
    """Each rests if only its own step is of length 0."""
    for rates in ((0.1, 0.0), (0.0, 0.1)):
        model = make(adaptive_weight=adaptive)
        before = [arrays(part) for part in players(model)]
        model.compile(
            keras.optimizers.SGD(rates[0]),
            discriminator_optimizer=keras.optimizers.SGD(rates[1]),
        )
        model.train_on_batch(pictures())
        for part, old, rate in zip(players(model), before, rates):
            changed = [np.any(v != o) for v, o in zip(arrays(part), old)]
            assert any(changed) == (rate > 0)


def test_a_weight_of_0_is_no_adversary():
    """The generator's step is then that without a discriminator."""
    x, found = pictures(), []
    for options in (
        dict(adversarial_weight=0.0),
        dict(adversarial_start=5),
        dict(discriminator=False),
    ):
        model = make(**options)
        model.compile(keras.optimizers.SGD(0.1))
        model.train_on_batch(x)
        found.append(
            arrays([*model.encoder.variables, *model.decoder.variables])
        )
    for other in found[1:]:
        for a, b in zip(found[0], other):
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7)


def test_start_and_ramp():
    model = make(
        adaptive_weight=False,
        adversarial_start=2,
        adversarial_ramp=2,
        discriminator_start=1,
    )
    model.compile(keras.optimizers.SGD(0.1))
    weights, rests = [], []
    for _ in range(5):
        before = arrays(players(model)[1])
        logs = model.train_on_batch(pictures(), return_dict=True)
        weights.append(logs["adversarial_weight"])
        model.reset_metrics()
        after = arrays(players(model)[1])
        rests.append(not any(np.any(a != b) for a, b in zip(before, after)))
    assert weights == pytest.approx([0, 0, 0.4, 0.8, 0.8])
    assert rests == [True, False, False, False, False]


def test_a_discriminator_learns_to_tell_noise_from_photos():
    """A toy with a known answer: a generator that rests."""
    model = make(perceptual=False)
    for part in (model.encoder, model.quantizer, model.decoder):
        part.trainable = False
    model.adaptive_weight = False
    model.compile(Adam(0.02))
    logs = model.fit(pictures(8), batch_size=8, epochs=40, verbose=0).history
    assert logs["discriminator_loss"][0] > 0.8
    assert logs["discriminator_loss"][-1] < 0.2
    assert logs["real_logits"][-1] > 0.5 and logs["fake_logits"][-1] < -0.5


@pytest.mark.slow
def test_the_gradient_penalty_keeps_it_flat():
    x = tf.constant(pictures(8), tf.float32) / 127.5 - 1
    found = []
    for penalty in (0.0, 10.0):
        model = make(perceptual=False, gradient_penalty=penalty)
        model.compile(Adam(0.01))
        model.fit(pictures(8), batch_size=8, epochs=20, verbose=0)
        size = adversarial.gradient_penalty(model.discriminator, x)
        found.append(float(tf.reduce_mean(size)))
    assert found[1] < 0.5 * found[0]


def test_evaluation_has_no_adversary_in_its_loss():
    model, x = make(perceptual_weight=3.0), pictures()
    model.compile("sgd")
    logs = model.evaluate(x, verbose=0, return_dict=True)
    expected = logs["pixel_distance"] + 3 * logs["perceptual_distance"]
    expected += logs["quantizer_loss"]
    assert logs["loss"] == pytest.approx(expected, rel=1e-5)
    y = model.decoder.likelihood.location_and_scale(
        model.decoder.parameters({"local": model.quantizer(model.latents(x))})
    )[0]
    l1 = np.abs(x.astype(np.float32) - y.numpy()).mean() / 127.5
    assert logs["pixel_distance"] == pytest.approx(l1, rel=1e-4)


def test_only_the_scale_follows_the_likelihood():
    model, x = make(), pictures()
    with tf.GradientTape() as tape:
        nats = tf.reduce_sum(model.passed(x, None, None, False).nats)
    variables = model.trainable_variables
    moved = [
        v.path
        for v, g in zip(variables, tape.gradient(nats, variables))
        if g is not None and np.any(g)
    ]
    assert [path.rpartition("/")[2] for path in moved] == ["log_scale"]


@pytest.mark.slow
@pytest.mark.parametrize(
    "policy", ["float32", "mixed_float16", "mixed_bfloat16"]
)
def test_2000_steps_stay_finite(policy):
    keras.config.set_dtype_policy(policy)
    options = dict(adversarial_start=200, gradient_penalty=0.1)
    model = make(perceptual=False, **options)
    model.compile(Adam(2e-3, beta_1=0.5, beta_2=0.9))
    x = tf.data.Dataset.from_tensor_slices(pictures(8)).batch(4).repeat()
    logs = model.fit(x, steps_per_epoch=500, epochs=4, verbose=0).history
    assert_finite(logs)
    assert_finite([tf.convert_to_tensor(v) for v in model.variables])
    assert logs["pixel_distance"][-1] < 0.7 * logs["pixel_distance"][0]


def scaled(model):
    """Compiles with a loss scale, as mixed_float16 would; returns both."""
    pair = [
        keras.optimizers.LossScaleOptimizer(
            keras.optimizers.SGD(0.1), initial_scale=2.0**10
        )
        for _ in range(2)
    ]
    model.compile(pair[0], discriminator_optimizer=pair[1])
    return pair


def test_a_discriminator_that_waits_keeps_its_loss_scale_in_bounds():
    """Gradients that cannot overflow would double it without end."""
    model = make(perceptual=False, discriminator_start=10**6)
    _, second = scaled(model)
    model.train_on_batch(pictures())
    second.dynamic_scale.assign(float("inf"))
    before = arrays(players(model)[1])
    model.train_on_batch(pictures())
    # The step was found to overflow, and nothing has moved.
    assert int(second.step_counter) == 0
    for a, b in zip(arrays(players(model)[1]), before):
        np.testing.assert_array_equal(a, b)


def test_an_adversary_whose_gradient_overflows_makes_the_step_one():
    model = make(perceptual=False)
    first, _ = scaled(model)
    model.train_on_batch(pictures())
    before = arrays(players(model)[0])
    scale = float(first.dynamic_scale)
    # Of the decoder's last kernel alone: what is huge is its gradient.
    strength = model.strength

    def overflowing(tape, picture, pull, other, kernel):
        return strength(tape, picture, pull, other * float("inf"), kernel)

    model.strength = overflowing
    model.train_function = None
    model.reset_metrics()
    logs = model.train_on_batch(pictures(), return_dict=True)
    assert logs["adversarial_weight"] == 0
    assert float(first.dynamic_scale) == scale / 2
    for a, b in zip(arrays(players(model)[0]), before):
        np.testing.assert_array_equal(a, b)


@pytest.mark.slow
def test_rows_of_weight_0_do_not_matter():
    """Nor in the statistics of a discriminator's batch normalization."""
    found = []
    for x, weight in (
        (pictures(4)[:2], None),
        (pictures(4), np.array([1, 1, 0, 0], np.float32)),
    ):
        model = make(perceptual=False)
        model = vq.VQGAN(
            model.encoder,
            model.quantizer,
            model.decoder,
            event_shape=(SIZE, SIZE, 3),
            discriminator=vq.PatchDiscriminator(4, 1, norm="batch"),
        )
        keras.utils.set_random_seed(1)
        model.build()
        model.compile(keras.optimizers.SGD(0.1))
        model.train_on_batch(x, sample_weight=weight)
        found.append(arrays(model.variables))
    for a, b in zip(*found):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


# Files and errors -------------------------------------------------------------


def test_both_optimizers_are_in_a_file(tmp_path):
    model, x = make(perceptual=False), pictures()
    model.compile(Adam(0.01), discriminator_optimizer=Adam(0.03))
    model.fit(x, batch_size=2, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert float(loaded.discriminator_optimizer.learning_rate) == (
        pytest.approx(0.03)
    )
    for one in (model, loaded):
        one.fit(x, batch_size=2, shuffle=False, verbose=0)
    for a, b in zip(model.variables, loaded.variables):
        np.testing.assert_array_equal(a, b, err_msg=a.path)


def test_the_second_optimizer_is_one_like_the_first():
    model = make()
    model.compile(Adam(0.01, beta_1=0.5))
    second = model.discriminator_optimizer
    assert second is not model.optimizer and type(second) is Adam
    assert second.beta_1 == 0.5
    keras.config.set_dtype_policy("mixed_float16")
    model = make()
    model.compile("adam")
    scaled = keras.optimizers.LossScaleOptimizer
    assert isinstance(model.discriminator_optimizer, scaled)


def test_files_of_half_precision_are_read_in_any():
    """What scales the loss is the policy's, not the file's."""
    keras.config.set_dtype_policy("mixed_float16")
    model = make(perceptual=False)
    model.compile("adam")
    config = model.get_compile_config()["discriminator_optimizer"]
    assert config["class_name"] == "Adam"


def test_a_file_is_read_where_its_network_is_not(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name, *_: None)
    other = make(perceptual=False)
    other.compile("sgd")
    model = make(perceptual=vq.PerceptualDistance("efficientnet_lite0"))
    model.compile_from_config(other.get_compile_config())  # as of a file
    assert model.optimizer is not None
    with pytest.raises(OSError, match="the weights that a package ships"):
        model.compile("sgd")


def test_optimizers_that_do_not_fit():
    model = make()
    with pytest.raises(ValueError, match="ema_of_run=True"):
        model.compile(keras.optimizers.Adam(use_ema=True))
    adam = Adam()
    with pytest.raises(ValueError, match="an optimizer of its own"):
        model.compile(adam, discriminator_optimizer=adam)
    with pytest.raises(ValueError, match="Only a model with a discriminator"):
        make(discriminator=False).compile("adam", discriminator_optimizer="sgd")


def test_a_preset_of_one(tmp_path):
    model, x = make(perceptual=False), pictures()
    model.save_to_preset(tmp_path / "preset")
    loaded = vq.VQGAN.from_preset(tmp_path / "preset")
    np.testing.assert_array_equal(loaded.reconstruct(x), model.reconstruct(x))


def test_bad_input():
    with pytest.raises(ValueError, match="Gaussian or DiscretizedLogistic"):
        vq.VQGAN(
            vq.Encoder(4),
            vq.VectorQuantizer(8, 4),
            vq.FactorizedDensity(vq.Decoder(3), vq.Bernoulli()),
        )
    with pytest.raises(ValueError, match="scale must be .learned"):
        vq.VQGAN(
            vq.Encoder(4),
            vq.VectorQuantizer(8, 4),
            vq.FactorizedDensity(vq.Decoder(6), vq.Gaussian("predicted")),
        )
    with pytest.raises(ValueError, match="discriminator of a VQGAN must be"):
        vq.VQGAN(
            vq.Encoder(4),
            vq.VectorQuantizer(8, 4),
            vq.FactorizedDensity(vq.Decoder(3), vq.Gaussian()),
            discriminator=vq.Gaussian(),
        )
    for options, text in (
        (dict(pixel_weight=-1), "pixel_weight must be"),
        (dict(adversarial_start=1.5), "adversarial_start must be"),
        (dict(adversarial_loss="wgan"), "must be one of hinge, non_saturating"),
    ):
        with pytest.raises(ValueError, match=text):
            make(**options)
    model = make()
    model.compile("sgd")
    mask = np.ones([4, SIZE, SIZE], np.float32)
    with pytest.raises(
        ValueError, match=r"sample_weight \[batch\].*only a VQVAE"
    ):
        model.train_on_batch(pictures(), sample_weight=mask)
    frozen = make()
    frozen.decoder.trainable = False
    with pytest.raises(ValueError, match="Set adaptive_weight=False"):
        last_kernel(frozen.decoder.network)
