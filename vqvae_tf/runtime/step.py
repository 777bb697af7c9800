"""The train_step and test_step that all models of this package share."""

import os
from collections.abc import Iterable
from typing import Any, NoReturn, Self

import keras
import tensorflow as tf

from vqvae_tf import presets
from vqvae_tf.runtime import freezing, gradient_rules, replicas, strategies
from vqvae_tf.runtime.batches import unpack_batch
from vqvae_tf.runtime.checked_model import CheckedModel
from vqvae_tf.runtime.keras_files import KerasFiles
from vqvae_tf.utils.messages import with_article


def split_weight(
    weight: tf.Tensor | None,
) -> tuple[tf.Tensor | None, tf.Tensor | None]:
    """Splits a sample weight into a mask of positions and weights of examples.

    Args:
        weight: None, `[batch]`, or `[batch, *grid]` with 0 at padding.

    Returns:
        The mask, float32 `[batch, *grid]` or None, and the weights `[batch]`
        or None. With a mask, a weight is the unmasked share of an example's
        positions: weighting each example's mean loss per position by it gives
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


def examples(x: tf.Tensor, share: tf.Tensor | None = None) -> tf.Tensor:
    """Returns the (weighted) number of examples of a batch, a float32 scalar.

    Args:
        x: `[batch, ...]`.
        share: weight of each example, `[batch]`; None (default) is 1.
    """
    if share is None:
        share = tf.ones([tf.shape(x)[0]])
    return tf.reduce_sum(tf.cast(share, tf.float32))


def total(losses: Iterable[tf.Tensor]) -> tf.Tensor:
    """Returns the sum of scalar losses, float32, 0 for none."""
    return tf.add_n([tf.zeros([]), *(tf.cast(x, tf.float32) for x in losses)])


class GlobalMean:
    """The weighted mean over the global batch, as a replica's share of it.

    Args:
        weight: the replica's sample weight, as for `split_weight`.
        like: float `[batch]`, whose number of rows counts without a weight.

    Attributes:
        weight: float32 `[batch]`.
    """

    def __init__(self, weight: tf.Tensor | None, like: tf.Tensor) -> None:
        if weight is None:
            weight = tf.ones_like(like)
        _, weight = split_weight(weight)
        self.weight = tf.cast(tf.reshape(weight, [-1]), tf.float32)
        self._local = tf.reduce_sum(self.weight)
        total = replicas.sum_over_replicas(self._local)
        self._total = total / replicas.num_replicas()

    def __call__(
        self, per_example: tf.Tensor, extra: tf.Tensor | float = 0.0
    ) -> tf.Tensor:
        """Returns a scalar whose mean over replicas is the global mean.

        Args:
            per_example: float32 `[batch]`.
            extra: a scalar, already a mean over this replica's batch, which is
                weighted by this replica's share of the examples.
        """
        return tf.math.divide_no_nan(
            tf.reduce_sum(per_example * self.weight) + extra * self._local,
            self._total,
        )


def scaled_loss(
    optimizer: keras.optimizers.Optimizer, loss: tf.Tensor
) -> tf.Tensor:
    """Returns what a replica takes gradients of.

    Optimizers sum gradients over replicas, but a `GlobalMean` is a mean.
    """
    return optimizer.scale_loss(loss / replicas.num_replicas())


def apply_gradients(
    optimizer: keras.optimizers.Optimizer,
    gradients: list[tf.Tensor | None],
    variables: list[keras.Variable],
) -> None:
    """Takes a step, for any number of replicas, with gradients that are scaled.

    Args:
        optimizer: the optimizer, which sums them over replicas.
        gradients: of a `scaled_loss`.
        variables: those of the gradients.
    """
    gradients = gradient_rules.clip_sum(optimizer, gradients)
    gradients = gradient_rules.share_overflow(optimizer, gradients)
    optimizer.apply(gradients, variables)


# Key of `freezing.trainable_parts` in a config.
_TRAINABLE = "trainable_parts"


def _unknown():
    return None


class _Itself:
    """An attribute that defaults to the object itself."""

    def __get__(self, instance, owner=None):
        return self if instance is None else instance


class StepModel(KerasFiles, CheckedModel):
    """A `keras.Model` that minimises the loss of its `compute_losses`.

    Subclasses implement `compute_losses(x, context, weight, training)` and name
    their metrics in `loss_names`. Batches are `x`, `(x, context)` or
    `(x, context, sample_weight)`. Weights apply to losses, metrics and
    statistics alike, so a last batch padded with rows of weight 0 gives the
    same metrics as an unpadded one. A weight `[batch, *grid]` is a mask of
    positions, for data of varying size. The loss is the weighted mean over the
    *global* batch, for any number of replicas.
    """

    loss_names = ("loss",)
    # Arguments of the constructor that are layers or models themselves.
    parts = ()
    # Two-stage models have these two parts; any other model is its own
    # autoencoder.
    autoencoder = _Itself()
    prior = None

    def __init__(self, **kwargs: Any):
        # Inputs are data as stored; a bfloat16 policy must not round them.
        super().__init__(autocast=False, **kwargs)
        self._trackers = {}
        self._parts_when_built = _unknown
        self.add_metric_names(self.loss_names)

    def __dir__(self):
        # Keras loads weights by walking over all attributes, and would never
        # finish if one is the model itself.
        own = self.__dict__
        return [n for n in super().__dir__() if n != "autoencoder" or n in own]

    def add_metric_names(self, names: Iterable[str]) -> None:
        """Adds metrics beyond `loss_names` that depend on a model's parts."""
        for name in names:
            self._trackers[name] = keras.metrics.Mean(name)

    def compute_losses(
        self,
        x: tf.Tensor,
        context: dict[str, tf.Tensor] | None = None,
        weight: tf.Tensor | None = None,
        training: bool = False,
    ) -> tuple[tf.Tensor, tf.Tensor, dict]:
        """Computes the losses of a batch.

        Args:
            x: data as stored, `[batch, ...]`.
            context: the batch's context, None (default) for none.
            weight: `[batch]`, or a mask of positions: see `split_weight`. None
                (default) weights all alike.
            training: whether this is a training step (default False).

        Returns:
            `(per_example, extra, metrics)`: a float32 [batch] loss; a scalar
            added to its mean (already a mean over this replica's batch); a
            dict of float32 [batch] values or of (value, weight) pairs.
        """
        raise NotImplementedError(
            f"{type(self).__name__} must implement compute_losses."
        )

    def build(self, input_shape: Any = None) -> None:
        """Creates all variables; subclasses need no data for this."""
        self.built = True

    def get_build_config(self) -> dict[str, bool] | None:
        return {"built": True} if self.built else None

    def build_from_config(self, config: dict) -> None:
        self.build()

    def get_config(self) -> dict[str, Any]:
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
    def from_config(cls, config: dict[str, Any]) -> Self:
        config = dict(config)
        for part in cls.parts:
            # Configs saved before a part existed lack its key.
            part_config = config.get(part)
            config[part] = keras.saving.deserialize_keras_object(part_config)
        trainable = config.pop(_TRAINABLE, None)
        model = cls(**config)
        freezing.set_trainable_parts(model, trainable)
        # Repeated once `build` has made further layers.
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
    ) -> Self:
        """Loads a pretrained model.

        Args:
            name: a built-in name (`vqvae-tf list`), a preset's folder, the
                work directory of a training, or `hf://user/repository`.
            custom_objects: your own classes that the preset may name, a dict
                such as `{"my_package>Encoder": Encoder}`. Default none.
            sha256: the preset's, as `save_to_preset` returned it; others are
                refused. None (default) accepts any.

        Raises:
            presets.PresetError: the preset does not exist, is altered, or is
                of another class.
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
            ValueError: the model does not know them.
        """
        raise ValueError(
            f"The arguments of {with_article(self)} depend on its network. "
            "Pass an input_signature to export: [tf.TensorSpec of the data, a "
            "dict of those of the context]."
        )

    def export(
        self,
        filepath: str | os.PathLike,
        format: str = "tf_saved_model",
        verbose: bool | None = None,
        input_signature: list | None = None,
        **options: Any,
    ) -> None:
        """Exports the model's `call`, as `keras.Model.export` does.

        `vqvae_tf.export.export` also exports encoding, sampling and so on.

        Args:
            filepath, format, verbose, options: same as for
                `keras.Model.export`.
            input_signature: specs of the arguments. None (default) is data of
                any batch size and the context that the model needs.

        Raises:
            ValueError: the model has no `call`.
        """
        if type(self).call is keras.Model.call:
            raise ValueError(
                f"{with_article(self, 'A')} has no call(), so Keras has "
                "nothing to export. Use vqvae_tf.export.export(model, folder), "
                "which exports encode, decode and others."
            )
        if not self.built:
            self.build()
        signature = input_signature or self.export_signature()
        return super().export(filepath, format, verbose, signature, **options)

    @property
    def _default_save_signature(self):
        # Keras would call each model inside a SavedModel with only its first
        # argument.
        return None

    def quantize(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Raises ValueError: configs would not record the quantization."""
        raise ValueError(
            "Keras cannot quantize models of vqvae_tf: their parts create "
            "their own layers, so a saved model could not be loaded again. "
            "Export the model (vqvae_tf.export.export) and quantize the "
            "SavedModel, for instance with LiteRT's converter."
        )

    def train_step(self, data: Any) -> dict[str, tf.Tensor]:
        with tf.GradientTape() as tape:
            loss = self._loss_and_metrics(data, training=True)
            scaled = scaled_loss(self.optimizer, loss)
        variables = self.trainable_variables
        gradients = tape.gradient(scaled, variables)
        apply_gradients(self.optimizer, gradients, variables)
        return self.step_logs()

    def test_step(self, data: Any) -> dict[str, tf.Tensor]:
        self._loss_and_metrics(data, training=False)
        return self.step_logs()

    def predict_step(self, data: Any) -> Any:
        x, context, _ = unpack_batch(data)
        if isinstance(x, tuple):  # from `predict_on_batch`
            x, context, _ = unpack_batch(x)
        return self(x) if context is None else self(x, context=context)

    @property
    def metrics_names(self) -> list[str]:
        """The names of what `evaluate` returns, in its order."""
        return list(self.get_metrics_result())

    def _flatten_metrics_in_order(self, logs):
        # Keras would look up metrics by name, but here one metric may give
        # several figures, and Keras adds its own mean of the loss.
        found = [logs[name] for name in self.metrics_names if name in logs]
        return found[0] if len(found) == 1 else found

    def step_logs(self) -> dict[str, tf.Tensor]:
        """Returns what a step reports."""
        logs = self.get_metrics_result()
        if strategies.is_multi_worker():
            # Keras then averages over axis 0, which scalars lack.
            logs = {k: tf.reshape(v, [1]) for k, v in logs.items()}
        return logs

    def _loss_and_metrics(self, data, training):
        x, context, weight = unpack_batch(data)
        per_example, extra, metrics = self.compute_losses(
            x, context, weight=weight, training=training
        )
        share = GlobalMean(weight, per_example)
        self.record(per_example + extra, metrics, share)
        return share(per_example, extra)

    def record(
        self, loss: tf.Tensor, metrics: dict, share: "GlobalMean"
    ) -> None:
        """Adds a step to the metrics.

        Args:
            loss: float32 `[batch]`.
            metrics: as `compute_losses` returns them.
            share: the mean of the batch.
        """
        self._trackers["loss"].update_state(loss, share.weight)
        for name, value in metrics.items():
            pair = value if isinstance(value, tuple) else (value, share.weight)
            self._trackers[name].update_state(*pair)
