"""Keras' own files of models: which are written, and where."""

import os

_LEGACY = (".h5", ".hdf5")


class KerasFiles:
    """The methods that write and read files: a base before `keras.Model`.

    `~` in a path is expanded. HDF5 files of whole models are refused: Keras
    writes them, but cannot read those with a package's own layers.
    """

    def save(self, filepath, *args, **kwargs):
        """Same as `keras.Model.save`, to `.keras` files only.

        Raises:
            ValueError: for an .h5 or .hdf5 file.
        """
        if str(filepath).endswith(_LEGACY):
            raise ValueError(
                "A whole model is saved as a .keras file: Keras could not "
                "read this one again. Received: "
                f"{os.fspath(filepath)!r}. Use model.save('NAME.keras'), "
                "model.save_weights('NAME.weights.h5') for the weights alone, "
                "or model.save_to_preset('FOLDER')."
            )
        return super().save(_expanded(filepath), *args, **kwargs)

    def save_weights(self, filepath, *args, **kwargs):
        """Same as `keras.Model.save_weights`."""
        return super().save_weights(_expanded(filepath), *args, **kwargs)

    def load_weights(self, filepath, *args, **kwargs):
        """Same as `keras.Model.load_weights`."""
        return super().load_weights(_expanded(filepath), *args, **kwargs)

    def export(self, filepath, *args, **kwargs):
        """`keras.Model.export`; `vqvae_tf.export` has more signatures."""
        return super().export(_expanded(filepath), *args, **kwargs)


def _expanded(path):
    # As text: a path object would spoil names such as "hf://...".
    if isinstance(path, str | os.PathLike):
        return os.path.expanduser(path)
    return path
