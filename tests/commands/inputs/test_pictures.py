"""The pictures that a command reads."""

import pytest
from PIL import Image

from support import small
from vqvae_tf.commands.inputs import pictures as picture_inputs
from vqvae_tf.encoding.picture_format import PictureFormat


def test_batches_of_different_sizes_are_refused(tmp_path):
    for size in (16, 20):
        picture = small.pictures(1, size)[0]
        Image.fromarray(picture).save(tmp_path / f"{size}.png")
    batches = picture_inputs.picture_batches(
        str(tmp_path), PictureFormat(None, stride=4), batch_size=1
    )
    with pytest.raises(ValueError, match="16.png of shape .* and 20.png"):
        list(batches)
