"""The pictures that a model takes."""

import numpy as np
import pytest

from support import small
from vqvae_tf.encoding.picture_format import PictureFormat, picture_format


def test_format_crops_the_centre():
    images = np.arange(2 * 7 * 9 * 3).reshape(2, 7, 9, 3)
    fitted = PictureFormat(None, stride=4).fit(images)
    np.testing.assert_array_equal(fitted, images[:, 1:5, :8])
    assert PictureFormat(16, stride=4).fit(images) is images
    with pytest.raises(ValueError, match="at least 8x8"):
        PictureFormat(None, stride=8).fit(images)


def test_format_of_a_model():
    model = small.generator()
    form = picture_format
    assert form(model, {}) == PictureFormat(16, 3, 4)
    assert form(model, {"data": {"image_size": 24}}).size == 24
    assert form(model, {"data": "photos of mine"}).size == 16
    model.autoencoder.event_shape = (None, None, 1)
    assert form(model, {}) == PictureFormat(None, 1, 4)
    model.autoencoder.event_shape = (None, 1)
    with pytest.raises(ValueError, match="takes pictures"):
        form(model, {})
