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
    """Gives a model the weights of a preset where they fit.

    Layers are matched by their places in the model. Those of other shapes keep
    their own weights, as a prior does where the preset has none.

    Args:
        model: what is to be trained, built.
        start: the name or path of a preset.
        part: "autoencoder" or "prior", what the model is.
        required: False for a model whose weights may all be right already.
        custom_objects: as of `presets.load`.

    Raises:
        ValueError: if it is required and nothing of the preset's part fits.
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
            f"No layer of the preset's {part} has the shape of the one that is "
            f"to be trained. Received: start={str(start)!r}, with a "
            f"{type(source).__name__} for a {type(model).__name__}."
        )
    logging.info(
        "%d of the %d arrays of weights are those of %s.",
        changed,
        len(after),
        start,
    )


def _copy(source, model):
    """Copies weights by Keras' own matching, which leaves out what differs."""
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "source.weights.h5"
        source.save_weights(path)
        with warnings.catch_warnings():
            # They list what is left out, layer by layer.
            warnings.simplefilter("ignore")
            model.load_weights(path, skip_mismatch=True)
