"""Figures of hierarchical codes, against NumPy, on padded batches."""

import numpy as np
import pytest

from support import levels
from vqvae_tf import LatentGenerator, data
from vqvae_tf.evaluation import levels as evaluation, pictures
from vqvae_tf.evaluation.figures import compare, table


@pytest.fixture(scope="module")
def generator():
    model = levels.model()
    return LatentGenerator(model, levels.chain(model))


@pytest.fixture(scope="module")
def images():
    return levels.pictures(5)


@pytest.fixture(scope="module")
def figures(generator, images):
    counts = pictures.count_codes(
        generator.autoencoder, batches(images), progress=False
    )
    found = pictures.evaluate(generator, batches(images), counts, False)
    return {**found, **evaluation.evaluate(generator, batches(images), False)}


def batches(images):
    return data.array_evaluation_batches(images, 3)


def psnr(a, b):
    mse = np.mean((np.asarray(a, float) - np.asarray(b, float)) ** 2)
    return 10 * np.log10(255**2 / mse)


def test_bits_of_each_level(generator, images, figures):
    codes = generator.encode(images)
    log_pz = generator.prior.log_probs(codes)
    bits = {k: -np.mean(v) / np.log(2) for k, v in log_pz.items()}
    for name, count in (("top", 4), ("bottom", 16)):
        assert figures[f"prior_bits_per_code_of_{name}"] == pytest.approx(
            bits[name] / count, rel=1e-5
        )
    assert figures["prior_bits_per_code"] == pytest.approx(
        sum(bits.values()) / 20, rel=1e-5
    )
    total = generator.bits_per_dim(images)["total"].numpy().mean()
    assert figures["bits_per_dim"] == pytest.approx(total, rel=1e-5)
    uniform = figures["reconstruction_bits_per_dim"] + 20 * 3 / images[0].size
    assert figures["bits_per_dim_uniform"] == pytest.approx(uniform)


def test_usage_of_each_level(generator, images, figures):
    found = {}
    for name, codes in generator.encode(images).items():
        found[name] = len(np.unique(codes)) / levels.K
        assert figures[f"usage_of_{name}"] == pytest.approx(found[name])
    assert figures["usage"] == pytest.approx(np.mean(list(found.values())))
    each = [figures[f"unigram_bits_per_code_of_{name}"] for name in found]
    assert figures["unigram_bits_per_code"] == pytest.approx(
        np.average(each, weights=[4, 16])
    )


def test_levels_alone_and_of_others(generator, images, figures):
    codes = {k: v.numpy() for k, v in generator.encode(images).items()}
    for name, own in codes.items():
        alone = generator.decode({name: own})
        assert figures[f"psnr_alone_of_{name}"] == pytest.approx(
            psnr(alone, images), rel=1e-5
        )
        order = np.random.default_rng(0).permutation(5)
        place = {a: b for a, b in zip(order, np.roll(order, 1))}
        assert all(a != b for a, b in place.items())
        other = own[[place[i] for i in range(5)]]
        swapped = {**codes, name: other}
        assert figures[f"psnr_with_others_of_{name}"] == pytest.approx(
            psnr(generator.decode(swapped), images), rel=1e-5
        )
        if name == "top":
            nats = -generator.prior.log_probs(swapped)["bottom"].numpy()
    key = "lower_bits_with_others_of_top"
    assert figures[key] == pytest.approx(nats.mean() / np.log(2) / 16, rel=1e-5)
    assert "lower_bits_with_others_of_bottom" not in figures


def test_three_levels_without_a_prior(images):
    found = evaluation.evaluate(levels.model(3), batches(images), False)
    names = ("top", "middle", "bottom")
    assert set(found) == {
        f"{key}_of_{name}"
        for key in ("psnr_alone", "psnr_with_others")
        for name in names
    }


def test_tables_and_comparisons_know_the_levels(figures):
    rows = dict(table(figures))
    assert rows["usage (share of codes used): top"]
    assert rows["PSNR from the codes of one level alone: bottom (dB)"]
    titles = list(rows)
    first = titles.index("the prior, bits/code")
    assert titles[first + 1] == "the prior: top, bits/code"
    other = {**figures, "usage_of_top": figures["usage_of_top"] + 0.1}
    assert compare(figures, figures) == []
    (line,) = compare(other, figures)
    assert line.startswith("usage (share of codes used): top: measured")
