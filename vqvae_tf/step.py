"""The one train_step and test_step that all models of this package share."""

import inspect

import keras
import tensorflow as tf

from vqvae_tf import gradient_rules, replicas, strategies
from vqvae_tf.dtype_policies import warn_if_slow
from vqvae_tf.keras_files import KerasFiles
from vqvae_tf.precision import check_moments


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


def split_weight(weight):
    """Splits a sample weight into a mask of positions and one an example.

    Args:
        weight: None, `[batch]`, or `[batch, *grid]`, 0 at padding: positions
            that count nowhere.

    Returns:
        The mask, float32 `[batch, *grid]` or None, and the weight `[batch]`
        or None: the share of an example's positions that count, so that the
        weighted mean of losses per position is that over all positions.

    Example:

    >>> mask, share = split_weight(tf.constant([[1, 1, 1, 0], [1, 0, 0, 0]]))
    >>> share.numpy()
    array([0.75, 0.25], dtype=float32)
    """
    if weight is None or len(weight.shape) < 2 or weight.shape[1] == 1:
        return None, weight
    mask = tf.cast(weight, tf.float32)
    return mask, tf.reduce_mean(mask, axis=range(1, len(mask.shape)))


def examples(x, share=None) -> tf.Tensor:
    """Returns how many examples a batch counts as, float32.

    Args:
        x: `[batch, ...]`.
        share: of each example what counts, `[batch]`, or None for all.
    """
    if share is None:
        share = tf.ones([tf.shape(x)[0]])
    return tf.reduce_sum(tf.cast(share, tf.float32))


def total(losses) -> tf.Tensor:
    """Returns the sum of scalar losses, float32, 0 for none."""
    return tf.add_n([tf.zeros([]), *(tf.cast(x, tf.float32) for x in losses)])


# Stands in for a context, as Keras drops the sample weights of data without y.
_NO_CONTEXT = "no context"


def _context(y, sample_weight=None, **_):
    if sample_weight is None or (y is not None and len(y)):
        return y
    return {_NO_CONTEXT: sample_weight}


def _with_context(options):
    """Returns validation data whose weights Keras does not drop."""
    data = options.get("validation_data")
    if not isinstance(data, tuple) or len(data) != 3:
        return {}
    x, context, weight = data
    return {"validation_data": (x, _context(context, weight), weight)}


class StepModel(KerasFiles, keras.Model):
    """A `keras.Model` that trains on what its `compute_losses` returns.

    Subclasses implement `compute_losses(x, context, training)` and name their
    metrics in `loss_names`. Batches are `x`, `(x, context)` or
    `(x, context, sample_weight)`; each row counts by its weight, everywhere,
    so a last batch padded with rows of weight 0 gives the same metrics as an
    unpadded one. A weight `[batch, *grid]` is a mask of the positions that
    count, for data of varying size. The loss that is minimised is the weighted
    mean over the *global* batch, on any number of replicas.
    """

    loss_names = ("loss",)
    # Arguments of the constructor that are layers or models themselves.
    parts = ()

    def __init__(self, **kwargs):
        # Inputs are data as stored; a bfloat16 policy must not round them.
        super().__init__(autocast=False, **kwargs)
        self._trackers = {}
        self.add_metric_names(self.loss_names)

    def add_metric_names(self, names):
        """Adds metrics, which depend on a model's parts, to `loss_names`."""
        for name in names:
            self._trackers[name] = keras.metrics.Mean(name)

    def compute_losses(self, x, context=None, weight=None, training=False):
        """Returns `(per_example, extra, metrics)`.

        `per_example` is a float32 [batch] loss, `extra` a scalar added to its
        mean (already a mean over this replica's batch), `metrics` a dict of
        float32 [batch] values or of (value, weight) pairs. `weight` is
        [batch], or a mask of positions: see `split_weight`.
        """
        raise NotImplementedError(
            f"{type(self).__name__} must implement compute_losses."
        )

    def check_input(self, x):
        """Raises ValueError for values that are legal but surely not meant."""

    def check_context(self, context):
        """Raises ValueError for a context that is surely not meant."""

    def check_spec(self, spec):
        """Raises ValueError for data of a shape that the model is not for."""

    def build(self, input_shape=None):
        """Creates the variables that can be made without data: here none."""
        self.built = True

    def get_build_config(self):
        return {"built": True} if self.built else None

    def build_from_config(self, config):
        self.build()

    def get_config(self):
        config = super().get_config()
        for part in self.parts:
            config[part] = keras.saving.serialize_keras_object(
                getattr(self, part)
            )
        return config

    @classmethod
    def from_config(cls, config):
        config = dict(config)
        for part in cls.parts:
            # Models of before know nothing of a part that was added since.
            part_config = config.get(part)
            config[part] = keras.saving.deserialize_keras_object(part_config)
        return cls(**config)

    @classmethod
    def from_preset(cls, name, *, custom_objects=None, sha256=None):
        """Loads a pretrained model.

        Args:
            name: a built-in name (`vqvae-tf list`), a preset's folder, the
                work directory of a training, or `hf://user/repository`.
            custom_objects: the classes of your own that the preset may name,
                a dict such as `{"my_package>Encoder": Encoder}`.
            sha256: what `save_to_preset` returned, so that no other preset is
                loaded in its place.

        Raises:
            presets.PresetError: if it is not found, altered, or of another
                class.
        """
        from vqvae_tf import presets  # stands above the models

        return presets.load(
            name,
            expected_class=cls,
            custom_objects=custom_objects,
            sha256=sha256,
        )

    def save_to_preset(self, path, metadata=None, card=None):
        """Saves the model as a preset's folder; see `presets.save`."""
        from vqvae_tf import presets  # stands above the models

        return presets.save(self, path, metadata, card)

    def fit(self, x=None, y=None, *args, **kwargs):
        """As `keras.Model.fit`, after a look at the first batch.

        The context is Keras' `y`.
        """
        x = self._prepare(x, y)
        optimizer = getattr(self, "optimizer", None)
        check_moments(optimizer, self.trainable_variables)
        warn_if_slow(self.dtype_policy.name)
        kwargs |= _with_context(kwargs)
        if isinstance(x, tf.data.Dataset) or inspect.isgenerator(x):
            kwargs.setdefault("shuffle", False)  # the data's own affair
        return super().fit(x, _context(y, **kwargs), *args, **kwargs)

    def evaluate(self, x=None, y=None, *args, **kwargs):
        """As `keras.Model.evaluate`, after a look at the first batch.

        The context is Keras' `y`.
        """
        x = self._prepare(x, y)
        return super().evaluate(x, _context(y, **kwargs), *args, **kwargs)

    def predict(self, x, *args, **kwargs):
        """As `keras.Model.predict`, after a look at the first batch."""
        return super().predict(self._prepare(x), *args, **kwargs)

    def _prepare(self, x, context=None):
        """Builds the model, checks the first batch; returns all the data."""
        if not self.built:
            # Not left to Keras, which would call it without its context.
            with self.distribute_strategy.scope():
                self.build()
        self._build_optimizer()
        if isinstance(x, tf.data.Dataset):
            spec = unpack_batch(x.element_spec)[0]
            self.check_spec(spec)
            # Drawing a batch may be slow, and bytes are pixels in any case.
            if getattr(spec, "dtype", tf.uint8) != tf.uint8:
                for batch in x.take(1):
                    self._check_batch(batch)
        elif isinstance(x, keras.utils.PyDataset):
            self._check_batch(x[0])
        elif inspect.isgenerator(x):
            return self._checked_generator(x)
        elif hasattr(x, "shape"):
            self.check_input(x[:64])
            if isinstance(context, dict):
                first = keras.tree.map_structure(lambda c: c[:64], context)
                self.check_context(first)
        return x

    def _build_optimizer(self):
        # Not left to the first step, inside of a replica.
        optimizer = getattr(self, "optimizer", None)
        if optimizer is not None and not optimizer.built:
            with self.distribute_strategy.scope():
                optimizer.build(self.trainable_variables)

    def _maybe_symbolic_build(self, iterator=None, data_batch=None):
        # Keras would build from a mean of the replicas' data, or fail with
        # several workers; `_prepare` has built the model.
        pass

    def _check_batch(self, batch):
        x, context, _ = unpack_batch(batch)
        self.check_input(x)
        self.check_context(context)

    def _checked_generator(self, batches):
        for i, batch in enumerate(batches):
            if i == 0:
                self._check_batch(batch)
            yield batch

    def train_step(self, data):
        with tf.GradientTape() as tape:
            loss = self._loss_and_metrics(data, training=True)
            # Optimizers sum gradients over replicas; `loss` is a mean already.
            scaled = self.optimizer.scale_loss(loss / replicas.num_replicas())
        variables = self.trainable_variables
        gradients = tape.gradient(scaled, variables)
        gradients = gradient_rules.clip_sum(self.optimizer, gradients)
        gradients = gradient_rules.share_overflow(self.optimizer, gradients)
        self.optimizer.apply(gradients, variables)
        return self._step_logs()

    def test_step(self, data):
        self._loss_and_metrics(data, training=False)
        return self._step_logs()

    def _step_logs(self):
        logs = self.get_metrics_result()
        if strategies.is_multi_worker():
            # Keras takes the mean over axis 0 then, which scalars have not.
            logs = {k: tf.reshape(v, [1]) for k, v in logs.items()}
        return logs

    def _loss_and_metrics(self, data, training):
        x, context, weight = unpack_batch(data)
        per_example, extra, metrics = self.compute_losses(
            x, context, weight=weight, training=training
        )
        if weight is None:
            weight = tf.ones_like(per_example)
        _, weight = split_weight(weight)
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
