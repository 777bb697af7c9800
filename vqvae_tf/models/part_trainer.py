"""A training stage of a model: some of its parts, by a loss of their own."""

from vqvae_tf.runtime.step import StepModel


class PartTrainer(StepModel):
    """Trains the parts of a model that `trained` names, and nothing else.

    They are the trainer's only layers, so that nothing else is trained,
    checkpointed or saved. Subclasses implement `compute_losses`, for which
    `whole()` is the model.

    Args:
        model: the model, whose own layers are trained. It is built if it is
            not.
    """

    trained: tuple[str, ...] = ()

    def __init__(self, model: StepModel, **kwargs):
        super().__init__(**kwargs)
        if not model.built:
            model.build()
        # As a function, since Keras tracks and saves what attributes hold.
        self.whole = lambda: model
        for name in self.trained:
            setattr(self, name, getattr(model, name))
        self.built = True

    def check_spec(self, spec):
        self.whole().check_spec(spec)

    def check_input(self, x):
        self.whole().check_input(x)
