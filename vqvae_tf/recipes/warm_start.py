"""Training that starts from the weights of a preset."""

import pathlib
import tempfile
import warnings

import keras
import numpy as np
from absl import logging

from vqvae_tf import presets


def warm_start(
    model: keras.Model,
    start: str,
    part: str,
    required: bool = True,
    custom_objects: dict | None = None,
) -> None:
    """Copies a preset's weights into a model where they fit.

    Layers are matched by their places in the model. Layers whose shape differs
    keep their own weights, as does a prior if the preset has none.

    Args:
        model: the model to train, built.
        start: the name or path of a preset.
        part: "autoencoder" or "prior", what the model is.
        required: whether some weights must change.
        custom_objects: as for `presets.load`.

    Raises:
        ValueError: if `required`, and no layer fits.
    """
    found = presets.load(start, custom_objects=custom_objects)
    source = getattr(found, part)
    if source is None:
        logging.info("%s has no prior to start from.", start)
        return
    before = model.get_weights()
    _copy(source, model)
    after = model.get_weights()
    changed = sum(not np.array_equal(a, b) for a, b in zip(before, after))
    if required and not changed:
        raise ValueError(
            f"No layer of the preset's {part} has the shape of the model's. "
            f"Received: start={str(start)!r}, with a {type(source).__name__} "
            f"for a {type(model).__name__}. Leave `start` out."
        )
    logging.info(
        "Started %d of %d weight arrays from %s.", changed, len(after), start
    )


def _copy(source, model):
    """Copies weights with Keras' matching, which skips different shapes."""
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "source.weights.h5"
        source.save_weights(path)
        with warnings.catch_warnings():
            # Keras warns of each layer that it skips.
            warnings.simplefilter("ignore")
            model.load_weights(path, skip_mismatch=True)
