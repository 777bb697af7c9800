"""The comparison of VQGAN with a VQ-VAE, at toy size."""

import argparse
import json
import pathlib
import sys

import numpy as np
import pytest
import tensorflow as tf

import vqvae_tf as vq
from support import small
from vqvae_tf import recipes

sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "benchmarks"))

import vqgan  # noqa: E402


def arguments(folder, **options):
    return argparse.Namespace(
        **{
            **dict(minutes=0.02, whole=0.08, data_dir=str(folder), scratch=""),
            **options,
        }
    )


def config(folder):
    small.write_data(folder)
    made = small.vqgan_recipe()
    made.adversarial.update(adversarial_start=8, adversarial_ramp=4)
    return recipes.check_recipe(made)


def test_rows_have_the_parts_of_the_recipe(tmp_path):
    whole = config(tmp_path)
    models = {row: vqgan.made(whole, row, 0) for row in vqgan.ROWS}
    assert type(models["VQ-VAE"]) is vq.VQVAE
    assert getattr(models["no adversary"], "discriminator", None) is None
    assert not models["fixed weight"].adaptive_weight
    weights = models["VQGAN"].encoder.get_weights()
    for model in models.values():
        # The same first weights, too.
        for a, b in zip(model.encoder.get_weights(), weights, strict=True):
            np.testing.assert_array_equal(a, b)


def test_beta_is_where_the_row_says(tmp_path):
    quantizer = vqgan.made(config(tmp_path), "misplaced beta", 0).quantizer
    z = tf.random.stateless_normal([6, 4], [0, 1])
    usual = vq.VectorQuantizer.from_config(quantizer.get_config())
    usual.build((None, 4))
    usual.set_weights(quantizer.get_weights())
    gradients = []
    for layer in (quantizer, usual):
        with tf.GradientTape() as tape:
            tape.watch(z)
            layer(z, training=True)
            loss = tf.add_n(layer.losses)
        gradients.append(tape.gradient(loss, [z, layer.embeddings]))
    beta = quantizer.commitment_cost
    # Of the commitment 1 / beta times as much, of the codebook beta times.
    np.testing.assert_allclose(
        gradients[0][0], gradients[1][0] / beta, rtol=1e-4, atol=1e-7
    )
    np.testing.assert_allclose(
        gradients[0][1], beta * gradients[1][1], rtol=1e-4, atol=1e-7
    )


@pytest.mark.parametrize("row", ["VQGAN", "VQ-VAE"])
def test_a_run_and_the_table(row, tmp_path, monkeypatch):
    monkeypatch.setattr(vqgan, "EPOCH", 2)
    given = arguments(tmp_path, scratch=str(tmp_path / "scratch"))
    found, model = vqgan.run(config(tmp_path), row, 0, given)
    assert found["steps"] >= 1 and len(found["curve"]) >= 1
    assert "psnr" in found["figures"]
    vqgan.command.write(tmp_path / "runs" / "a.json", found)
    again, _ = vqgan.run(config(tmp_path), row, 0, given)
    assert again["steps"] == found["steps"]
    assert again["figures"] == found["figures"]
    text = vqgan.table(tmp_path / "runs")
    assert f"| {row} | 0.02 | 1 |" in text
    assert json.loads((tmp_path / "runs" / "a.json").read_text()) == found


def test_the_adversary_starts_at_the_same_share():
    given = arguments(None, recipe="vqgan_grocery128", minutes=24, whole=96)
    made, whole = (
        vqgan.config_of(given),
        recipes.load_recipe("vqgan_grocery128"),
    )
    start = whole.adversarial.adversarial_start
    assert made.adversarial.adversarial_start == start // 4
    assert made.prior.name is None
