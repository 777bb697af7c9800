"""The one train_step and test_step that all models of this package share."""

import keras
import tensorflow as tf

from vqvae_tf import replicas


def unpack_batch(batch):
    """Splits a batch into `(x, context, sample_weight)`, absent parts None."""
    if not isinstance(batch, (tuple, list)):
        return batch, None, None
    if not 1 <= len(batch) <= 3:
        raise ValueError(
            "A batch is x, (x, context) or (x, context, sample_weight). "
            f"Received: a {type(batch).__name__} of length {len(batch)}."
        )
    x, context, weight = (*batch, None, None)[:3]
    if isinstance(weight, dict):  # Keras copies it for each entry of y.
        weight = next(iter(weight.values()))
    if context is not None and not isinstance(context, dict):
        raise ValueError(
            "What follows x in a batch is its context, a dict, or None: x is "
            "its own target. Received: a context of type "
            f"{type(context).__name__}."
        )
    if context and _NO_CONTEXT in context:
        context = None
    return x, context, weight


# Stands in for a context, as Keras drops the sample weights of data without y.
_NO_CONTEXT = "no context"


def _context(y, sample_weight=None, **_):
    if sample_weight is None or (y is not None and len(y)):
        return y
    return {_NO_CONTEXT: sample_weight}


class StepModel(keras.Model):
    """A `keras.Model` that trains on what its `compute_losses` returns.

    Subclasses implement `compute_losses(x, context, training)` and name their
    metrics in `loss_names`. Batches are `x`, `(x, context)` or
    `(x, context, sample_weight)`; rows of weight 0 count nowhere, so a padded
    last batch gives the same metrics as an unpadded one. The loss that is
    minimised is the mean over the *global* batch, on any number of replicas.
    """

    loss_names = ("loss",)

    def __init__(self, **kwargs):
        # Inputs are data as stored; a bfloat16 policy must not round them.
        super().__init__(autocast=False, **kwargs)
        self._trackers = {n: keras.metrics.Mean(n) for n in self.loss_names}

    def compute_losses(self, x, context=None, weight=None, training=False):
        """Returns `(per_example, extra, metrics)`.

        `per_example` is a float32 [batch] loss, `extra` a scalar added to its
        mean (already a mean over this replica's batch), `metrics` a dict of
        float32 [batch] values or of (value, weight) pairs.
        """
        raise NotImplementedError(
            f"{type(self).__name__} must implement compute_losses."
        )

    def check_input(self, x):
        """Raises ValueError for values that are legal but surely not meant."""

    @classmethod
    def from_preset(cls, name):
        """Loads a pretrained model.

        Args:
            name: a built-in name (`vqvae-tf list`), a preset's folder, the
                work directory of a training, or `hf://user/repository`.

        Raises:
            presets.PresetError: if it is not found, altered, or of another
                class.
        """
        from vqvae_tf import presets  # stands above the models

        return presets.load(name, expected_class=cls)

    def save_to_preset(self, path, metadata=None, card=None):
        """Saves the model as a preset's folder; see `presets.save`."""
        from vqvae_tf import presets  # stands above the models

        return presets.save(self, path, metadata, card)

    def fit(self, x=None, y=None, *args, **kwargs):
        """As `keras.Model.fit`, after a look at the first batch of float x.

        The context is Keras' `y`.
        """
        self._check_first_batch(x)
        if isinstance(x, tf.data.Dataset):
            kwargs.setdefault("shuffle", False)  # the data set's own affair
        return super().fit(x, _context(y, **kwargs), *args, **kwargs)

    def evaluate(self, x=None, y=None, *args, **kwargs):
        """As `keras.Model.evaluate`; the context is its `y`."""
        return super().evaluate(x, _context(y, **kwargs), *args, **kwargs)

    def _check_first_batch(self, x):
        if isinstance(x, tf.data.Dataset):
            spec = unpack_batch(x.element_spec)[0]
            if getattr(spec, "dtype", None) in (tf.float32, tf.float64):
                for batch in x.take(1):
                    self.check_input(unpack_batch(batch)[0])
        elif hasattr(x, "shape"):
            self.check_input(x[:64])

    def train_step(self, data):
        with tf.GradientTape() as tape:
            loss = self._loss_and_metrics(data, training=True)
            # Optimizers sum gradients over replicas; `loss` is a mean already.
            scaled = self.optimizer.scale_loss(loss / replicas.num_replicas())
        variables = self.trainable_variables
        self.optimizer.apply(tape.gradient(scaled, variables), variables)
        return self.get_metrics_result()

    def test_step(self, data):
        self._loss_and_metrics(data, training=False)
        return self.get_metrics_result()

    def _loss_and_metrics(self, data, training):
        x, context, weight = unpack_batch(data)
        per_example, extra, metrics = self.compute_losses(
            x, context, weight=weight, training=training
        )
        if weight is None:
            weight = tf.ones_like(per_example)
        weight = tf.cast(tf.reshape(weight, [-1]), tf.float32)
        local = tf.reduce_sum(weight)
        total = replicas.sum_over_replicas(local) / replicas.num_replicas()
        # `extra` counts by the share of the examples that are here.
        loss = tf.math.divide_no_nan(
            tf.reduce_sum(per_example * weight) + extra * local, total
        )
        self._trackers["loss"].update_state(per_example + extra, weight)
        for name, value in metrics.items():
            pair = value if isinstance(value, tuple) else (value, weight)
            self._trackers[name].update_state(*pair)
        return loss
