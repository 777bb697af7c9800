"""The comparison of priors' samples: a run, its table and its sheets."""

import json
import pathlib
import sys
import types

import numpy as np
import tensorflow as tf

from support import small
from vqvae_tf.media import sheets
from vqvae_tf.models.feature_networks import FeatureNetwork

sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "benchmarks"))

import prior_samples  # noqa: E402


def test_a_run(monkeypatch, tmp_path):
    monkeypatch.setattr(prior_samples, "BATCH", 4)
    generator = small.generator(num_classes=2)
    generator.build()
    network = FeatureNetwork(
        "means",
        lambda x: tf.reduce_mean(tf.cast(x, tf.float32), [1, 2]),
        lambda x: tf.tile([[0.9, 0.1]], [len(x), 1]),
    )
    labels = {"global": tf.one_hot([0, 1, 0, 1, 0, 0], 2)}
    batch = tf.constant(small.pictures(6)), labels, tf.ones([6])
    arguments = types.SimpleNamespace(samples=8, temperature=1.0)
    found = prior_samples.run(generator, network, ([batch], [batch]), arguments)
    assert found["samples"] == 8 and found["network"] == "means"
    # The network names the first class alone, of 4 in 6; of samples 5 in 8.
    assert found["real_named_rightly"] == 4 / 6
    assert found["named_rightly"] == 5 / 8
    assert found["samples_per_second"] > 0
    path = tmp_path / "toy.json"
    path.write_text(json.dumps({"preset": "toy", "row": "PixelCNN", **found}))
    line = prior_samples.table(tmp_path).splitlines()[2]
    assert line.startswith("| toy | PixelCNN |") and "62 %" in line
    prior_samples.write_sheets(generator, "toy", batch, tmp_path / "sheets")
    sheet = small.read_picture(tmp_path / "sheets" / "toy-completions.png")
    # Originals; what is kept and two completions of each mask, enlarged.
    side = 7 * (small.SIZE + sheets.GAP) + sheets.GAP
    assert sheet.shape[0] == 4 * side
    assert (tmp_path / "sheets" / "toy-samples.png").exists()
    assert not np.array_equal(sheet[: side // 7], sheet[-side // 7 :])
