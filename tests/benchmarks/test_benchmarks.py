"""What the benchmarks share; what they measure is never a test."""

import pathlib
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

import vqvae_tf as vq

sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "benchmarks"))

import command  # noqa: E402
import flops  # noqa: E402
import peers  # noqa: E402
import quantizer  # noqa: E402
import textbook  # noqa: E402
import timing  # noqa: E402


def test_functions_are_timed_in_turn(monkeypatch):
    calls, clock = [], iter(range(100))
    monkeypatch.setattr(timing.time, "perf_counter", lambda: next(clock))
    monkeypatch.setattr(timing, "REST_SECONDS", 0)
    functions = {name: lambda name=name: calls.append(name) for name in "AB"}
    times = timing.paired(functions, runs=3, warm_ups=2)
    assert "".join(calls) == "AABB" + "ABABAB"
    assert times == {"A": [1, 1, 1], "B": [1, 1, 1]}


def test_ratios_are_of_pairs_and_above_one_where_ours_is_faster(capsys):
    times = {"ours": [1.0, 2.0, 4.0], "theirs": [2.0, 2.0, 2.0]}
    ratios = timing.ratios(times, "ours", "theirs")
    assert ratios == [2.0, 1.0, 0.5]
    assert timing.summary(ratios) == "1 (0.5 to 2)"
    timing.report(times, "ours")
    first, second = capsys.readouterr().out.splitlines()
    assert "2e+03 (1e+03 to 4e+03)" in first and "/" not in first
    assert second.endswith("theirs / ours: 1 (0.5 to 2)")


def test_peak_memory_is_that_of_the_call():
    size = 64 * 2**20

    def allocate():
        np.ones(size, np.uint8)

    assert 60 < timing.peak_mib_of(allocate) < 80
    # Not what an earlier call needed.
    assert timing.peak_mib_of(lambda: None) < 20


def test_numbers_of_a_fresh_process():
    assert timing.in_process("-c", "print('text'); print(1, 2.5)") == [1, 2.5]
    with pytest.raises(RuntimeError, match="no such thing"):
        timing.in_process("-c", "raise SystemExit('no such thing')")


def test_a_worker_is_called_again_and_again(tmp_path):
    log = tmp_path / "log"
    code = f"""
import sys
sys.path.append({str(pathlib.Path(timing.__file__).parent)!r})
import timing
timing.serve(lambda: open({str(log)!r}, "a").write("x"))
"""
    worker = timing.Worker("-c", code)
    worker()
    worker()
    worker.close()
    assert log.read_text() == "xxx"
    with pytest.raises(RuntimeError, match="failed"):
        timing.Worker("-c", "print('other')")


def test_flops_of_a_convolution_and_its_gradients():
    x = tf.zeros([2, 8, 8, 3])
    kernel = tf.ones([4, 4, 3, 5])

    @tf.function
    def gradients(x, kernel):
        with tf.GradientTape() as tape:
            tape.watch([x, kernel])
            y = tf.nn.conv2d(x, kernel, 2, "SAME")
        return tape.gradient(y, [x, kernel])

    once = 2 * (2 * 4 * 4 * 5) * (4 * 4 * 3)
    both = gradients.get_concrete_function(x, kernel)
    # Their values do not need the forward pass, but the graph has it.
    assert flops.convolution_flops(both) == 3 * once


def test_flops_of_a_transposed_convolution():
    layer = keras.layers.Conv2DTranspose(5, 4, strides=2, padding="same")
    layer.build([2, 8, 8, 3])
    graph = tf.function(layer).get_concrete_function(tf.zeros([2, 8, 8, 3]))
    # Every input entry meets the whole kernel of its channel.
    assert flops.convolution_flops(graph) == 2 * (2 * 8 * 8 * 3) * (4 * 4 * 5)
    spec = tf.TensorSpec([None, 8, 8, 3])
    with pytest.raises(ValueError, match="must be known"):
        flops.convolution_flops(tf.function(layer).get_concrete_function(spec))


def test_the_product_of_matrices_is_counted():
    product, count = flops.gemm(tf.float32, size=16)
    assert count == 2 * 16**3
    assert np.isfinite(product())


@pytest.mark.parametrize("num_embeddings", [16, 1024])
def test_textbook_quantizer_agrees_with_ours(num_embeddings):
    arrays = quantizer.data(300, num_embeddings)
    ours, book = peers.ours(*arrays), peers.textbook(*arrays)
    for _ in range(3):  # the codebooks move alike
        np.testing.assert_array_equal(ours.codes(), book.codes())
        np.testing.assert_allclose(
            ours.step(), book.step(), rtol=1e-4, atol=1e-7
        )


def test_textbook_state_and_output_are_ours():
    latents = tf.random.stateless_normal([4, 5, 6, 8], [1, 2])
    ours = vq.VectorQuantizerEMA(12, 8)
    book = textbook.TextbookQuantizer(12, 8)
    ours.build(latents.shape)
    book.build(latents.shape)
    book.codebook.assign(ours.codebook)
    book.sums.assign(ours.codebook)
    quantized = ours(latents, training=True)
    np.testing.assert_allclose(
        book(latents, training=True), quantized, atol=1e-6
    )
    np.testing.assert_allclose(book.losses[0], ours.losses[0], rtol=1e-5)
    np.testing.assert_allclose(book.counts, ours.ema_counts[0], rtol=1e-5)
    np.testing.assert_allclose(book.codebook, ours.codebook, atol=1e-6)


def test_other_codes_and_gradients_are_found(capsys):
    latents, weights, codebook = quantizer.data(50, 16)
    # Between two embeddings; which of them is rounding's affair.
    latents[7] = (codebook[3] + codebook[5]) / 2
    arrays = (latents, weights, codebook)

    def check(**changes):
        ours, other = peers.ours(*arrays), peers.ours(*arrays)
        changes = {
            k: change(getattr(other, k)) for k, change in changes.items()
        }
        other = other._replace(**changes)
        quantizer.check_equal({"ours": ours, "other": other}, latents, codebook)

    def moved(row):
        def change(codes):
            place = np.arange(50) == row
            return lambda: np.where(place, 8 - codes(), codes())

        return change

    check()
    assert "ours, other" in capsys.readouterr().out
    check(codes=moved(7))
    assert "1 codes by another rounding" in capsys.readouterr().out
    with pytest.raises(SystemExit, match="other codes"):
        check(codes=moved(8))
    with pytest.raises(SystemExit, match="another gradient"):
        check(step=lambda step: lambda: 1.01 * step())


def test_the_keras_model_has_our_layers():
    likelihood = vq.Gaussian()
    ours = vq.VQVAE(
        vq.Encoder(64, hidden_channels=16, residual_channels=8),
        vq.VectorQuantizerEMA(512, 64),
        vq.FactorizedDensity(
            vq.Decoder(3, hidden_channels=16, residual_channels=8), likelihood
        ),
    )
    ours.build()
    book = textbook.textbook_model(hidden=16, residual_channels=8)

    def shapes(model):
        # Without our likelihood's scale, a scalar.
        shapes = [tuple(v.shape) for v in model.trainable_variables]
        return sorted(shape for shape in shapes if shape)

    assert shapes(book) == shapes(ours)


def test_a_peer_that_is_not_installed_is_left_out(monkeypatch, capsys):
    monkeypatch.setitem(peers.NEEDED, "other", ["no_such_package", "numpy"])
    assert peers.installed("ours")
    assert not peers.installed("other")
    assert "for want of no_such_package: pip" in capsys.readouterr().out


def test_means_of_runs_have_the_interval_of_few_of_them():
    assert command.mean([]) == command.mean([None]) == ""
    assert command.mean([1.5, None], ".1f") == "1.5"
    # Student's t of two degrees of freedom: 4.303 / sqrt(3).
    assert command.mean([1.0, 2.0, 3.0], ".2f") == "2.00 ± 2.48"


def test_models_are_saved_only_where_asked(tmp_path):
    model = keras.Sequential([keras.Input([2]), keras.layers.Dense(1)])
    command.save(model, "", "one")
    assert not list(tmp_path.iterdir())
    command.save(model, str(tmp_path / "new"), "one")
    assert [p.name for p in tmp_path.rglob("*.keras")] == ["one.keras"]
