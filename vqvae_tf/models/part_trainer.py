"""A training stage of some of a model's parts, with a loss of its own."""

from typing import Any

import numpy as np
import tensorflow as tf

from vqvae_tf.runtime.step import StepModel


class PartTrainer(StepModel):
    """Trains only the parts of a model named in `trained`.

    They are the trainer's only layers, so nothing else is trained,
    checkpointed or saved. Subclasses implement `compute_losses`, where
    `whole()` returns the model.

    Args:
        model: the model, whose own layers are trained. It is built if
            necessary.
    """

    trained: tuple[str, ...] = ()

    def __init__(self, model: StepModel, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not model.built:
            model.build()
        # A function, since Keras would track and save the model.
        self.whole = lambda: model
        for name in self.trained:
            setattr(self, name, getattr(model, name))
        self.built = True

    def check_spec(self, spec: Any) -> None:
        self.whole().check_spec(spec)

    def check_input(self, x: tf.Tensor | np.ndarray) -> None:
        self.whole().check_input(x)
