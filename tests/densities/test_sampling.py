"""The options of samplers, one by one or as one value."""

import inspect

import numpy as np
import pytest
import tensorflow as tf

import vqvae_tf as vq
from support import small
from vqvae_tf.densities import Sampling

SAMPLERS = (
    vq.densities.DensityModel.sample,
    vq.PixelCNN.sample,
    vq.WaveNet.sample,
    vq.FactorizedDensity.sample,
    vq.ConditionalDensity.sample,
    vq.WaveformDensity.sample,
    vq.LatentGenerator.sample,
    vq.VideoGenerator.rollout,
    vq.VideoGenerator.rollout_codes,
)


@pytest.fixture(scope="module")
def density():
    return small.prior()


@pytest.mark.parametrize("method", SAMPLERS, ids=lambda m: m.__qualname__)
def test_every_sampler_shows_all_options(method):
    shown = inspect.signature(method).parameters
    for name, default in Sampling._field_defaults.items():
        assert shown[name].default is default
    assert shown["sampling"].kind is inspect.Parameter.KEYWORD_ONLY


def test_options_mean_the_same_one_by_one_and_together(density):
    options = dict(temperature=0.7, top_k=3, seed=4)
    expected = density.sample(2, **options)
    many = len(density._graphs)
    for sample in (
        lambda: density.sample(2, sampling=Sampling(**options)),
        lambda: density.sample(2, None, None, 0.7, 3, None, 4),
        tf.function(
            lambda: density.sample(2, sampling=Sampling(**options)),
            autograph=False,
        ),
    ):
        np.testing.assert_array_equal(sample(), expected)
    assert len(density._graphs) == many


def test_options_are_given_once(density):
    with pytest.raises(ValueError, match="together.*sampling and top_k, seed"):
        density.sample(2, sampling=Sampling(), seed=1, top_k=2)


@pytest.mark.parametrize(
    "options, message",
    [
        (dict(temperature=-1.0), "temperature must be"),
        (dict(top_k=0), "top_k must be"),
        (dict(top_p=1.5), "top_p must be"),
        (dict(seed=2**40), "seed"),
        (dict(given=np.zeros([1, 4, 4])), "go together.*given_mask=None"),
        (dict(given_mask=np.ones([1, 4, 4])), "go together.*given=None"),
    ],
)
def test_all_options_are_checked_at_once(options, message):
    with pytest.raises(ValueError, match=message):
        Sampling(**options).checked()


def test_filters_are_tensors_together_or_not_at_all():
    free = Sampling(temperature=0.5).checked().as_tensors(8)
    assert not free.is_filtered and free.top_k is None and free.top_p is None
    for options in (dict(top_k=8), dict(top_p=1.0)):
        found = Sampling(**options).checked().as_tensors(8)
        assert (int(found.top_k), float(found.top_p)) == (8, 1.0)


def test_videos_are_not_completed():
    video = small.video()
    codes = np.zeros([1, video.num_past, 4, 4], np.int32)
    with pytest.raises(ValueError, match="not completed"):
        video.rollout_codes(
            codes, num_frames=1, given=codes, given_mask=codes > 0
        )
