"""VQ-VAE-2: codes by level, its loss by hand, its manners."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from support import levels
from support.harness import (
    check_saving_after_fit,
    run_model_test,
    run_two_replica_test,
)
from support.levels import SIZE, D, K, pictures
from vqvae_tf import (
    CodeEmbedding,
    CodeLevel,
    FactorizedDensity,
    Gaussian,
    HierarchicalVQVAE,
    LatentGenerator,
    VectorQuantizerEMA,
)
from vqvae_tf.densities import Categorical
from vqvae_tf.quantizers import FSQ, ResidualQuantizer

MIXED = [
    FSQ((3, 5)),
    ResidualQuantizer(VectorQuantizerEMA(K, D, name="stage"), 2),
    VectorQuantizerEMA(K, D, num_codebooks=2),
]


def copies(quantizers):
    return [type(q).from_config(q.get_config()) for q in quantizers]


@pytest.mark.slow
@pytest.mark.parametrize("options", [{}, {"level_dropout": 0.5, "seed": 3}])
def test_all_of_a_model(options):
    run_model_test(lambda: levels.model(**options), pictures())


def test_the_loss_by_hand():
    """Two levels as in the paper's algorithm 1, from the parts."""
    model = levels.model()
    top, bottom = model.levels
    x = pictures()
    model.compile("sgd")
    model.fit(x, verbose=0)  # so that the codebooks are among the latents
    logs = model.evaluate(x, verbose=0, return_dict=True)

    e_bottom = bottom.encoder(x.astype(np.float32) / 127.5 - 1)
    e_top = top.encoder(e_bottom)
    z_top = top.projection(e_top)
    codes = {"top": top.quantizer.encode(z_top)}
    q_top = top.quantizer.decode(codes["top"])
    seen = tf.concat([top.decoder(q_top), e_bottom], axis=-1)
    z_bottom = bottom.projection(seen)
    codes["bottom"] = bottom.quantizer.encode(z_bottom)
    q_bottom = bottom.quantizer.decode(codes["bottom"])
    local = tf.concat([model.upsamplings[0](q_top), q_bottom], axis=-1)
    outputs = model.decoder.network(local)
    nats = -model.decoder.likelihood.log_prob(outputs, x).numpy().mean()
    costs = [
        0.25 * np.mean((z.numpy() - q.numpy()) ** 2)
        for z, q in ((z_top, q_top), (z_bottom, q_bottom))
    ]
    np.testing.assert_allclose(logs["quantizer_loss"], sum(costs), rtol=1e-4)
    np.testing.assert_allclose(logs["loss"], nats + sum(costs), rtol=1e-5)
    # 2x2 and 4x4 codes of 3 bits.
    bits = (4 + 16) * 3 / (SIZE * SIZE * 3)
    np.testing.assert_allclose(
        logs["bits_per_dim"], logs["reconstruction"] + bits, rtol=1e-5
    )
    for name, found in model.encode(x).items():
        np.testing.assert_array_equal(found, codes[name])
        used = len(np.unique(found)) / K
        np.testing.assert_allclose(logs[f"{name}_usage"], used, rtol=1e-6)
    np.testing.assert_array_equal(model.decode(codes), model(x))


@pytest.mark.parametrize(
    "count, quantizers", [(2, None), (3, None), (3, MIXED)]
)
def test_codes_by_level(count, quantizers):
    model = levels.model(count, quantizers and copies(quantizers))
    x = pictures()
    codes = model.encode(x)
    names = ["top", "bottom"] if count == 2 else ["top", "middle", "bottom"]
    assert list(codes) == names
    for i, (name, quantizer) in enumerate(model.quantizers().items()):
        side = SIZE // 2 ** (count + 1 - i)
        assert model.downsamplings()[name] == SIZE // side
        shape = (4, side, side, quantizer.channels)
        assert codes[name].shape == quantizer.codes_shape(shape)
    assert model.downsampling == 2 ** (count + 1)
    np.testing.assert_array_equal(model.reconstruct(x), model.decode(codes))
    assert model.reconstruct(x).shape == x.shape


def test_each_level_learns_from_all_below_it():
    """The top gets gradients of the bottom's choice and of the decoder."""
    model = levels.model(3, level_dropout=0.0)
    x = pictures()
    with tf.GradientTape() as tape:
        loss, extra, _ = model.compute_losses(x, training=True)
        loss = tf.reduce_mean(loss) + extra
    found = tape.gradient(loss, model.trainable_variables)
    for variable, gradient in zip(model.trainable_variables, found):
        assert gradient is not None, variable.path
        assert np.any(gradient.numpy() != 0), variable.path


def test_missing_levels_are_zeros():
    model = levels.model()
    codes = levels.codes(model)
    none = np.full_like(codes["bottom"], -1)
    np.testing.assert_array_equal(
        model.decode({"top": codes["top"]}),
        model.decode({"top": codes["top"], "bottom": none}),
    )
    alone = model.decode({"bottom": codes["bottom"]})
    assert alone.shape == (3, SIZE, SIZE, 3)
    assert np.any(alone.numpy() != model.decode(codes).numpy())


def test_the_decoder_may_see_only_the_lower_levels():
    model = levels.model(3, decoder_levels=2)
    codes = levels.codes(model)
    expected = model.decode(codes).numpy()
    other = {**codes, "top": (codes["top"] + 1) % K}
    np.testing.assert_array_equal(model.decode(other), expected)
    other = {**codes, "middle": (codes["middle"] + 1) % K}
    assert np.any(model.decode(other).numpy() != expected)
    copy = HierarchicalVQVAE.from_config(model.get_config())
    assert copy.decoder_levels == 2


def test_dropped_levels_are_zeros_from_below():
    """Each number of levels that is kept occurs about equally often."""
    model = levels.model(3, level_dropout=1.0, seed=2)
    ones = {name: tf.ones([600, 2, 2, D]) for name in model.quantizers()}
    kept = model._dropped(ones)
    shares = [float(tf.reduce_mean(kept[name])) for name in kept]
    np.testing.assert_allclose(shares, [1, 2 / 3, 1 / 3], atol=0.06)
    assert np.all(kept["bottom"].numpy() <= kept["middle"].numpy())
    assert not np.array_equal(
        kept["bottom"].numpy(), model._dropped(ones)["bottom"].numpy()
    )


def test_dropped_levels_are_zeros_to_the_decoder():
    model = levels.model(2, level_dropout=1.0, seed=0)
    local, _, _ = model.quantized_latents(pictures(), training=True)
    whole, _, _ = model.quantized_latents(pictures(), training=False)
    rows = [np.any(row != 0) for row in local.numpy()[..., D:]]
    assert any(rows) and not all(rows)
    assert np.all(np.any(whole.numpy()[..., D:] != 0, axis=(1, 2, 3)))


def test_the_loss_by_hand_with_padding():
    """The right half is padding: nothing of it counts, at either level."""
    model = levels.model()
    top, bottom = model.levels
    x = pictures()
    mask = np.ones([4, SIZE, SIZE], np.float32)
    mask[:, :, SIZE // 2 :] = 0
    kept = np.where(mask[..., None] > 0, x, 0)
    model.compile("sgd")
    logs = model.evaluate(
        x, None, sample_weight=mask, verbose=0, return_dict=True
    )
    masks = {"top": mask[:, ::8, ::8, None], "bottom": mask[:, ::4, ::4, None]}

    e_bottom = bottom.encoder(kept.astype(np.float32) / 127.5 - 1)
    z_top = top.projection(top.encoder(e_bottom))
    q_top = top.quantizer.decode(top.quantizer.encode(z_top)) * masks["top"]
    seen = tf.concat([top.decoder(q_top), e_bottom], axis=-1)
    z_bottom = bottom.projection(seen)
    q_bottom = bottom.quantizer.decode(bottom.quantizer.encode(z_bottom))
    q_bottom *= masks["bottom"]
    local = tf.concat([model.upsamplings[0](q_top), q_bottom], axis=-1)
    local *= masks["bottom"]
    outputs = model.decoder.network(local)
    masses = model.decoder.likelihood.log_prob(outputs, kept).numpy()
    bits = -masses[:, :, : SIZE // 2].mean() / np.log(2)
    np.testing.assert_allclose(logs["reconstruction"], bits, rtol=1e-5)
    cost = 0.0
    for z, q in ((z_top, q_top), (z_bottom, q_bottom)):
        error = (z.numpy() - q.numpy())[:, :, : q.shape[2] // 2]
        cost += 0.25 * np.mean(error**2)
    np.testing.assert_allclose(logs["quantizer_loss"], cost, rtol=1e-4)
    # Half as many codes, of half as many dimensions.
    code_bits = (2 + 8) * 3 / (SIZE * SIZE / 2 * 3)
    np.testing.assert_allclose(
        logs["bits_per_dim"], bits + code_bits, rtol=1e-4
    )


def test_rows_of_weight_0_are_as_if_they_were_not_there():
    model = levels.model()
    model.compile("sgd")
    x = pictures()
    weight = np.array([1.0, 1.0, 1.0, 0.0], np.float32)
    options = dict(verbose=0, return_dict=True)
    padded = model.evaluate(x, None, sample_weight=weight, **options)
    whole = model.evaluate(x[:3], **options)
    for name, value in whole.items():
        np.testing.assert_allclose(padded[name], value, 1e-5, err_msg=name)


def test_a_generator_and_evaluate_agree_on_padding():
    """Codes of padding are not paid for, and nothing depends on them."""
    model = levels.model()
    generator = LatentGenerator(model, levels.chain(model))
    x = pictures()
    mask = np.ones([4, SIZE, SIZE], np.float32)
    mask[:, :, SIZE // 2 :] = 0
    model.compile("sgd")
    logs = model.evaluate(
        x, None, sample_weight=mask, verbose=0, return_dict=True
    )
    bits = generator.bits_per_dim(x, mask=mask)
    np.testing.assert_allclose(
        np.mean(bits["reconstruction"]), logs["reconstruction"], rtol=1e-5
    )
    other = np.where(mask[..., None] > 0, x, 255 - x)
    for name, value in generator.bits_per_dim(other, mask=mask).items():
        np.testing.assert_array_equal(value, bits[name])
    codes = model.codes_of(np.where(mask[..., None] > 0, x, 0), mask)
    kept = model.code_mask(mask)
    blank = {k: tf.where(kept[k] > 0, codes[k], 0) for k in codes}
    log_pz = generator.prior.log_prob(blank, mask=kept)
    size = x[0].size / 2 * np.log(2)
    np.testing.assert_allclose(bits["prior"], -log_pz / size, rtol=1e-5)


class Measured(keras.layers.Layer):
    """A network with a loss of its own."""

    def __init__(self, inner, downsampling=None, upsampling=None):
        super().__init__()
        self.inner = inner
        if downsampling is not None:
            self.downsampling = downsampling
        if upsampling is not None:
            self.upsampling = upsampling

    def call(self, x):
        found = self.inner(x)
        self.add_loss(tf.reduce_mean(tf.abs(found)))
        return found


def test_losses_of_all_networks_count():
    """Of encoders, and of the decoders between levels."""
    top, bottom = levels.levels()
    named = {"e_top": top.encoder, "e_bottom": bottom.encoder}
    model = _with_levels(
        [
            CodeLevel(
                Measured(top.encoder, 2),
                top.quantizer,
                Measured(top.decoder, upsampling=2),
            ),
            CodeLevel(Measured(bottom.encoder, 4), bottom.quantizer),
        ]
    )
    model.build()
    x = pictures()
    _, _, costs = model.quantized_latents(x)
    e_bottom = named["e_bottom"](x.astype(np.float32) / 127.5 - 1)
    e_top = named["e_top"](e_bottom)
    q_top = top.quantizer.decode(model.encode(x)["top"])
    expected = sum(
        float(tf.reduce_mean(tf.abs(value)))
        for value in (e_bottom, e_top, top.decoder(q_top))
    )
    np.testing.assert_allclose(costs["regularization"], expected, rtol=1e-5)


def test_saving_after_fit():
    fresh = HierarchicalVQVAE.from_config(
        levels.model(3, copies(MIXED), level_dropout=0.3).get_config()
    )
    check_saving_after_fit(fresh, pictures())


def test_unknown_sizes_in_a_graph():
    model = levels.model(event_shape=(None, None, 3))
    spec = tf.TensorSpec([None, None, None, 3], tf.uint8)
    encode = tf.function(model.encode, input_signature=[spec])
    for size in (SIZE, 2 * SIZE):
        x = pictures(2, size)
        for name, found in encode(x).items():
            np.testing.assert_array_equal(found, model.encode(x)[name])
        assert model.decode(encode(x)).shape == x.shape


@pytest.mark.slow
def test_two_replicas():
    def compiled():
        model = levels.model(level_dropout=0.5, seed=1)
        model.compile(keras.optimizers.SGD(0.01))
        return model

    run_two_replica_test(compiled, tf.data.Dataset.from_tensors(pictures()))


# Bad input --------------------------------------------------------------------


def _with_levels(found):
    density = FactorizedDensity(levels.decoder(3, 2), Gaussian())
    return HierarchicalVQVAE(found, density)


@pytest.mark.parametrize(
    "found, message",
    [
        (lambda: levels.levels()[1:], "two or more CodeLevels"),
        (lambda: levels.levels()[::-1], "needs a decoder to the grid below"),
        (
            lambda: levels.levels(
                quantizers=[VectorQuantizerEMA(K, D, name="q") for _ in "ab"]
            ),
            "quantizers called q, q",
        ),
        (
            lambda: [
                CodeLevel(keras.layers.Conv2D(3, 3), VectorQuantizerEMA(K, D))
            ],
            "the attribute `downsampling`",
        ),
        (
            lambda: [
                CodeLevel(
                    levels.encoder(1),
                    VectorQuantizerEMA(K, D),
                    levels.decoder(D, 2),
                ),
                levels.levels()[1],
            ],
            "an encoder of factor 2 and a decoder of factor 4",
        ),
    ],
)
def test_levels_that_do_not_fit(found, message):
    with pytest.raises(ValueError, match=message):
        _with_levels(found())


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda codes: codes["top"], "a dict by level.*top, bottom"),
        (lambda codes: {}, r"levels \(none\)"),
        (lambda codes: {"middle": codes["top"]}, "the levels middle"),
        (lambda codes: {"top": codes["top"][0, 0]}, "2 grid axes"),
    ],
)
def test_codes_that_do_not_fit(change, message):
    model = levels.model()
    with pytest.raises(ValueError, match=message):
        model.decode(change(levels.codes(model)))


@pytest.mark.parametrize(
    "codes, message",
    [
        (dict(top=(2, 2), bottom=(4, 6)), r'codes\["bottom"\] must be on'),
        (dict(bottom=(3, 4)), "no multiple of 8"),
    ],
)
def test_grids_that_do_not_fit(codes, message):
    model = levels.model(event_shape=(None, None, 3))
    codes = {k: np.zeros([1, *grid], np.int32) for k, grid in codes.items()}
    with pytest.raises(ValueError, match=message):
        model.decode(codes)


def test_a_quantizer_whose_name_begins_another_metric():
    quantizers = [
        VectorQuantizerEMA(K, D, name=name) for name in ("quantizer", "q_1")
    ]
    model = levels.model(quantizers=quantizers)
    model.compile("sgd")
    logs = model.evaluate(pictures(), verbose=0, return_dict=True)
    assert {"quantizer_loss", "top_usage", "bottom_usage"} <= set(logs)


def test_codes_of_another_model_as_data():
    """Of rank 2, although they have no channels."""
    model = HierarchicalVQVAE(
        levels.levels(),
        FactorizedDensity(levels.decoder(K, 2), Categorical(K)),
        preprocess=CodeEmbedding(K, 3),
        event_shape=(SIZE, SIZE),
    )
    x = np.random.default_rng(0).integers(0, K, [2, SIZE, SIZE])
    assert model.encode(x)["top"].shape == (2, 2, 2)


def test_pictures_of_sizes_that_the_top_cannot_have():
    with pytest.raises(ValueError, match="multiples of .* 8"):
        levels.model(event_shape=(None, None, 3)).encode(pictures()[:, :12])
