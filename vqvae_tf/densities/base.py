"""The interface of every density: decoders p(x | z) and priors p(z) alike."""

import tensorflow as tf

from vqvae_tf.densities.sampling import takes_sampling
from vqvae_tf.runtime.step import StepModel, split_weight, total
from vqvae_tf.utils.units import bits


def event_size(value) -> tf.Tensor:
    """Returns the number of dimensions D of one example, float32 scalar."""
    return tf.cast(tf.reduce_prod(tf.shape(value)[1:]), tf.float32)


def counted_size(value, weight) -> tf.Tensor:
    """Returns how many dimensions of each example count, float32.

    Args:
        value: data `[batch, *event]`.
        weight: a sample weight, or a mask of positions; `step.split_weight`.

    Returns:
        A scalar, or `[batch]` where weight is a mask.
    """
    mask, share = split_weight(weight)
    size = event_size(value)
    return size if mask is None else size * share


def blank(value, mask):
    """Returns data with zeros at padding.

    Convolutions see neighbouring positions, into which padding would leak.

    Args:
        value: data `[batch, *grid]`, or with further axes.
        mask: `[batch, *grid]`, 0 at padding, or None where there is none.

    Example:

    >>> blank(tf.constant([[3, 4, 9]]), tf.constant([[1.0, 0.5, 0.0]])).numpy()
    array([[3, 4, 0]], dtype=int32)
    """
    if mask is None:
        return value
    value, kept = tf.convert_to_tensor(value), tf.not_equal(mask, 0)
    for _ in range(len(value.shape) - len(kept.shape)):
        kept = kept[..., tf.newaxis]
    return tf.where(kept, value, tf.zeros_like(value))


class DensityModel(StepModel):
    """A conditional distribution p(value | context), and a Keras model.

    `fit` on values, `(values, context)` or `(values, context, weight)`
    minimises `-log_prob / D` (nats per dimension). In a larger model it is a
    layer like any other: calling it is calling `log_prob`.

    Shapes and words:
        value: data, or codes int32 `[batch, *grid]`, or
            `[batch, *grid, num_codebooks]`.
        context: a dict; either entry may be absent. `"local"` float
            `[batch, *grid, channels]`, on the value's grid or coarser by the
            factor that the density undoes; `"global"` float
            `[batch, channels]` (a one-hot class, an action, a speaker).
        mask: bool or float `[batch, *grid]`; positions of 0 count nothing.

    Subclasses implement `call` (the log-probability), `sample` and `mode`.
    """

    loss_names = ("loss", "bits_per_dim")
    # Whether `mode` is more than a sample.
    has_mode = False
    # Channels of the context's entries; None for an entry that is not needed.
    global_channels = None
    local_channels = None
    # Sizes of the grid over those of the local context.
    local_upsampling = 1

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.supports_masking = True  # `mask` is an argument of our own.

    def compute_mask(self, inputs, previous_mask):
        return None  # The result has one entry an example.

    def call(self, value, context=None, mask=None, training=False):
        raise NotImplementedError(
            f"{type(self).__name__} must implement call(value, context, mask)."
        )

    def known_context(self, context: dict) -> dict:
        """Returns the entries of a context that the density knows: here all."""
        return context

    def log_prob(self, value, context=None, mask=None, training=False):
        """Returns the log-probability of each example, float32 [batch] nats."""
        return self(value, context=context, mask=mask, training=training)

    @takes_sampling
    def sample(
        self, num_samples=None, context=None, event_shape=None, sampling=None
    ):
        """Draws examples; see the subclass for what it supports."""
        raise NotImplementedError(
            f"{type(self).__name__} must implement sample."
        )

    def mode(self, context=None):
        """Returns a point estimate of the value given the context."""
        raise NotImplementedError(f"{type(self).__name__} must implement mode.")

    def compute_losses(self, x, context=None, weight=None, training=False):
        mask, _ = split_weight(weight)
        x = blank(x, mask)
        log_prob = self.log_prob(x, context, mask=mask, training=training)
        nll = -tf.math.divide_no_nan(log_prob, counted_size(x, weight))
        return nll, total(self.losses), {"bits_per_dim": bits(nll)}
