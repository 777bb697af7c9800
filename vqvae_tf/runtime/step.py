"""The train_step and test_step that all models of this package share."""

import os
from collections.abc import Iterable

import keras
import tensorflow as tf

from vqvae_tf import presets
from vqvae_tf.runtime import freezing, gradient_rules, replicas, strategies
from vqvae_tf.runtime.batches import unpack_batch
from vqvae_tf.runtime.checked_model import CheckedModel
from vqvae_tf.runtime.keras_files import KerasFiles
from vqvae_tf.utils.messages import with_article


def split_weight(weight):
    """Splits a sample weight into a mask of positions and weights of examples.

    Args:
        weight: None, `[batch]`, or `[batch, *grid]` with 0 at padding, which
            counts nowhere.

    Returns:
        The mask, float32 `[batch, *grid]` or None, and the weights `[batch]`
        or None. With a mask these are the share of an example's positions
        that count: a mean of losses per position that is weighted by them is
        the mean over all positions.

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
    """Returns how many examples a batch counts as, a float32 scalar.

    Args:
        x: `[batch, ...]`.
        share: how much of each example counts, `[batch]`; all by default.
    """
    if share is None:
        share = tf.ones([tf.shape(x)[0]])
    return tf.reduce_sum(tf.cast(share, tf.float32))


def total(losses) -> tf.Tensor:
    """Returns the sum of scalar losses, float32, 0 for none."""
    return tf.add_n([tf.zeros([]), *(tf.cast(x, tf.float32) for x in losses)])


# In a config: `freezing.trainable_parts`.
_TRAINABLE = "trainable_parts"


def _unknown():
    return None


class _Itself:
    """An attribute that is the object, until it is set to something else."""

    def __get__(self, instance, owner=None):
        return self if instance is None else instance


class StepModel(KerasFiles, CheckedModel):
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
    # A model of two stages has these two parts, any other one is its own
    # autoencoder.
    autoencoder = _Itself()
    prior = None

    def __init__(self, **kwargs):
        # Inputs are data as stored; a bfloat16 policy must not round them.
        super().__init__(autocast=False, **kwargs)
        self._trackers = {}
        self._parts_when_built = _unknown
        self.add_metric_names(self.loss_names)

    def __dir__(self):
        # Keras loads weights into whatever an attribute holds, without an end
        # where that is the model itself.
        own = self.__dict__
        return [n for n in super().__dir__() if n != "autoencoder" or n in own]

    def add_metric_names(self, names: Iterable[str]):
        """Adds metrics that depend on a model's parts to `loss_names`."""
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

    def build(self, input_shape=None):
        """Creates the variables that need no data; here there are none."""
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
        parts = freezing.trainable_parts(self)
        if parts:
            config[_TRAINABLE] = parts
        return config

    @classmethod
    def from_config(cls, config):
        config = dict(config)
        for part in cls.parts:
            # Configs saved before a part existed lack its key.
            part_config = config.get(part)
            config[part] = keras.saving.deserialize_keras_object(part_config)
        trainable = config.pop(_TRAINABLE, None)
        model = cls(**config)
        freezing.set_trainable_parts(model, trainable)
        # Again, once `build` has made further layers.
        model._parts_when_built = lambda: trainable
        return model

    def _post_build(self):
        super()._post_build()
        freezing.set_trainable_parts(self, self._parts_when_built())
        self._parts_when_built = _unknown

    @classmethod
    def from_preset(
        cls,
        name: str | os.PathLike,
        *,
        custom_objects: dict | None = None,
        sha256: str | None = None,
    ):
        """Loads a pretrained model.

        Args:
            name: a built-in name (`vqvae-tf list`), a preset's folder, the
                work directory of a training, or `hf://user/repository`.
            custom_objects: classes of your own that the preset may name, a
                dict such as `{"my_package>Encoder": Encoder}`.
            sha256: what `save_to_preset` returned; a preset that differs is
                refused.

        Raises:
            presets.PresetError: if it is not found, altered, or of another
                class.
        """
        return presets.load(
            name,
            expected_class=cls,
            custom_objects=custom_objects,
            sha256=sha256,
        )

    def save_to_preset(
        self,
        path: str | os.PathLike,
        metadata: dict | None = None,
        card: str | None = None,
    ) -> str:
        """Saves the model as a preset's folder; see `presets.save`."""
        return presets.save(self, path, metadata, card)

    def export_signature(self) -> list:
        """Returns the specs of the arguments of `call`, for `export`.

        Raises:
            ValueError: where they depend on more than the model knows.
        """
        raise ValueError(
            f"What {with_article(self)} is called with depends on its "
            "network. Give export an input_signature: [tf.TensorSpec of the "
            "data, a dict of those of the context]."
        )

    def export(
        self,
        filepath,
        format="tf_saved_model",
        verbose=None,
        input_signature=None,
        **options,
    ):
        """Writes the model's `call`, as `keras.Model.export` does.

        `vqvae_tf.export.export` writes everything that a model answers.

        Args:
            filepath, format, verbose, options: same as for
                `keras.Model.export`.
            input_signature: by default data of any batch size, and the context
                that the model needs.

        Raises:
            ValueError: for a model that cannot be called.
        """
        if type(self).call is keras.Model.call:
            raise ValueError(
                f"{with_article(self, 'A')} is not called, so Keras has "
                "nothing to export. vqvae_tf.export.export(model, folder) "
                "writes what models answer, encode and decode for instance."
            )
        if not self.built:
            self.build()
        signature = input_signature or self.export_signature()
        return super().export(filepath, format, verbose, signature, **options)

    @property
    def _default_save_signature(self):
        # Keras would call each model inside a SavedModel with its first
        # argument only.
        return None

    def quantize(self, *args, **kwargs):
        """Refused: configs of parts do not say that they are quantized."""
        raise ValueError(
            "Models of vqvae_tf are not quantized by Keras: their parts make "
            "their layers themselves, and one that is saved could not be "
            "loaded. Export the model (vqvae_tf.export.export), and quantize "
            "the SavedModel by LiteRT's converter, say."
        )

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

    def predict_step(self, data):
        x, context, _ = unpack_batch(data)
        if isinstance(x, tuple):  # from `predict_on_batch`
            x, context, _ = unpack_batch(x)
        return self(x) if context is None else self(x, context=context)

    @property
    def metrics_names(self):
        """The names of what `evaluate` returns, in its order."""
        return list(self.get_metrics_result())

    def _flatten_metrics_in_order(self, logs):
        # Keras goes by the names of metrics, but one metric may be several
        # figures here, and Keras adds a mean of the loss of its own.
        found = [logs[name] for name in self.metrics_names if name in logs]
        return found[0] if len(found) == 1 else found

    def _step_logs(self):
        logs = self.get_metrics_result()
        if strategies.is_multi_worker():
            # Keras then takes the mean over axis 0, which scalars lack.
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
        # `extra` is weighted by this replica's share of the examples.
        loss = tf.math.divide_no_nan(
            tf.reduce_sum(per_example * weight) + extra * local, total
        )
        self._trackers["loss"].update_state(per_example + extra, weight)
        for name, value in metrics.items():
            pair = value if isinstance(value, tuple) else (value, weight)
            self._trackers[name].update_state(*pair)
        return loss
