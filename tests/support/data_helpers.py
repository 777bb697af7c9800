"""Small synthetic pictures for the tests of vqvae_tf.data."""

import numpy as np
from PIL import Image

from vqvae_tf.data.pictures.source import ArrayImages


def noise(*shape, seed=0):
    """Returns uint8 noise of a shape."""
    generator = np.random.default_rng(seed)
    return generator.integers(0, 256, shape, dtype=np.uint8)


def numbered(rows, side=4, classes=None):
    """Returns a source whose picture i holds the value i everywhere."""
    values = np.arange(rows, dtype=np.uint8)[:, None, None, None]
    images = np.broadcast_to(values, [rows, side, side, 3]).copy()
    if classes is None:
        return ArrayImages("numbered", images)
    names = [str(number) for number in range(classes)]
    return ArrayImages("numbered", images, np.arange(rows) % classes, names)


def coordinates(height, width):
    """Returns [height, width, 3] whose pixel (i, j) is (i, j, 7)."""
    rows, columns = np.mgrid[:height, :width]
    return np.stack([rows, columns, np.full_like(rows, 7)], -1).astype(np.uint8)


def write(path, array, **options):
    """Writes a uint8 array as a picture file, with its folders."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.squeeze(array)).save(path, **options)
    return str(path)
