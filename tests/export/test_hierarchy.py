"""SavedModels of hierarchical codes: answers, refusals, warm-up requests."""

import re

import numpy as np
import pytest
import tensorflow as tf

from support import levels
from support.export_harness import call, run_export_test, run_warmup_test
from vqvae_tf import LatentGenerator
from vqvae_tf.export.saved_model import export


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    model = levels.model(event_shape=(levels.SIZE, levels.SIZE, 3))
    generator = LatentGenerator(model, levels.chain(model, num_classes=3))
    folder = tmp_path_factory.mktemp("served") / "levels"
    batches = [levels.pictures(4), levels.pictures(1)]
    labels = [[0, 2, 1, 0], [2]]
    return generator, run_export_test(generator, folder, batches, labels)


@pytest.fixture(scope="module")
def signatures(served):
    return tf.saved_model.load(served[1]).signatures


def test_signatures_name_the_levels(signatures):
    shapes = signatures["encode"].output_shapes
    assert set(shapes) == {"codes_top", "codes_bottom"}
    found = signatures["decode_top"].structured_input_signature[1]
    assert set(found) == {"codes_top"}


@pytest.mark.parametrize(
    "change, message",
    [
        ({"codes_top": np.full([1, 2, 2], 8)}, "codes_top in 0..7"),
        ({"codes_bottom": np.full([1, 4, 4], -1)}, "codes_bottom in 0..7"),
        (
            {"codes_bottom": np.zeros([1, 4, 6])},
            "bottom.* does not fit the grid",
        ),
        ({"codes_top": np.zeros([0, 2, 2])}, "at least one grid of codes"),
    ],
)
def test_codes_that_do_not_fit(signatures, change, message):
    codes = {
        "codes_top": np.zeros([1, 2, 2]),
        "codes_bottom": np.zeros([1, 4, 4]),
    }
    codes = {k: v.astype(np.int32) for k, v in {**codes, **change}.items()}
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        call(signatures, "decode", codes)


def test_pictures_must_fit_the_top(signatures):
    with pytest.raises(
        tf.errors.InvalidArgumentError, match=re.escape("multiples of 8")
    ):
        call(signatures, "encode", {"images": levels.pictures()[:, :12]})


def test_limits_count_pixels_by_the_level(tmp_path):
    """16 bottom codes are as many pixels as 4 top codes."""
    model = levels.model()
    options = dict(max_pixels=16 * 16)
    found = tf.saved_model.load(export(model, tmp_path / "m", **options))
    one = {
        "codes_top": np.zeros([1, 2, 2], np.int32),
        "codes_bottom": np.zeros([1, 4, 4], np.int32),
    }
    call(found.signatures, "decode", one)
    two = {name: own.repeat(2, 0) for name, own in one.items()}
    with pytest.raises(tf.errors.InvalidArgumentError, match="max_pixels"):
        call(found.signatures, "decode", two)


def test_warm_up_requests(served, signatures):
    run_warmup_test(served[1], signatures)
