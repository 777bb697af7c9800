"""A density whose context a network computes."""

import keras
import tensorflow as tf

from vqvae_tf.densities.base import DensityModel


@keras.saving.register_keras_serializable("vqvae_tf")
class ConditionalDensity(DensityModel):
    """p(value | network(context)): network and density are trained together.

    Args:
        network: a layer that maps a context, a dict, to the density's own
            context; for instance `networks.PastFrames`.
        density: a density, for instance a `PixelCNN` with `local_channels`.

    Example: the codes of the next frame, given six frames and an action.

    >>> density = ConditionalDensity(
    ...     PastFrames(512, num_past=6, num_actions=9, hidden_channels=32),
    ...     PixelCNN(512, (21, 21), local_channels=32, num_layers=3),
    ... )
    >>> context = {
    ...     "past": tf.zeros([2, 6, 21, 21], tf.int32),
    ...     "action": tf.constant([4, 5]),
    ... }
    >>> codes = tf.zeros([2, 21, 21], tf.int32)
    >>> density.log_prob(codes, context).shape
    TensorShape([2])
    """

    parts = ("network", "density")

    def __init__(self, network, density, **kwargs):
        super().__init__(**kwargs)
        self.network = network
        self.density = density

    num_embeddings = property(lambda self: self.density.num_embeddings)
    num_codebooks = property(lambda self: self.density.num_codebooks)
    event_shape = property(lambda self: self.density.event_shape)

    def build(self, input_shape=None):
        for part in (self.network, self.density):
            if not part.built:
                part.build(None)
        self.built = True

    def call(self, value, context=None, mask=None, training=False):
        inner = self._context(context, training)
        return self.density.log_prob(value, inner, mask, training)

    def logits(self, value, context=None, training=False):
        """Returns the density's logits; see `PixelCNN.logits`."""
        inner = self._context(context, training)
        return self.density.logits(value, inner, training)

    def sample(self, num_samples=None, context=None, **options):
        """Draws values; arguments as of the density's own `sample`."""
        return self.density.sample(
            num_samples, self._context(context), **options
        )

    def mode(self, context=None):
        """Returns the density's point estimate."""
        return self.density.mode(self._context(context))

    def check_input(self, x):
        self.density.check_input(x)

    def _context(self, context, training=False):
        if not context:
            raise ValueError(
                "The density needs a context, a dict for its network. "
                f"Received: context={context}."
            )
        if not self.built:
            self.build()
        inner = self.network(context, training=training)
        return {k: tf.cast(v, tf.float32) for k, v in inner.items()}
