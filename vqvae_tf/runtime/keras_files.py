"""Saving and loading of Keras' own model files."""

import os
from typing import Any

_Path = str | os.PathLike
_LEGACY = (".h5", ".hdf5")


class KerasFiles:
    """A mixin before `keras.Model` that changes how files are written and read.

    `~` in a path is expanded. HDF5 files of whole models are refused: Keras
    writes them, but cannot read them if a package has its own layers.
    """

    def save(self, filepath: _Path, *args: Any, **kwargs: Any) -> Any:
        """Same as `keras.Model.save`, but only to `.keras` files.

        Raises:
            ValueError: `filepath` ends in .h5 or .hdf5.
        """
        if str(filepath).endswith(_LEGACY):
            raise ValueError(
                "A whole model must be saved as a .keras file, since Keras "
                "could not load it from HDF5. Received: "
                f"{os.fspath(filepath)!r}. Use model.save('NAME.keras'), "
                "model.save_weights('NAME.weights.h5') for the weights alone, "
                "or model.save_to_preset('FOLDER')."
            )
        return super().save(_expanded(filepath), *args, **kwargs)

    def save_weights(self, filepath: _Path, *args: Any, **kwargs: Any) -> Any:
        """Same as `keras.Model.save_weights`."""
        return super().save_weights(_expanded(filepath), *args, **kwargs)

    def load_weights(self, filepath: _Path, *args: Any, **kwargs: Any) -> Any:
        """Same as `keras.Model.load_weights`."""
        return super().load_weights(_expanded(filepath), *args, **kwargs)

    def export(self, filepath: _Path, *args: Any, **kwargs: Any) -> Any:
        """Same as `keras.Model.export`; see also `vqvae_tf.export`."""
        return super().export(_expanded(filepath), *args, **kwargs)


def _expanded(path):
    # Not a pathlib.Path, which would spoil names such as "hf://...".
    if isinstance(path, str | os.PathLike):
        return os.path.expanduser(path)
    return path
