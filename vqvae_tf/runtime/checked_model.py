"""A Keras model that checks its data, whichever method they come through."""

import inspect
import weakref

import keras
import tensorflow as tf

from vqvae_tf.runtime import freezing
from vqvae_tf.runtime.batches import (
    check_data,
    context_for_keras,
    first_rows,
    unpack_batch,
    weight_for_keras,
)
from vqvae_tf.runtime.dtype_policies import warn_if_slow
from vqvae_tf.runtime.gradient_rules import check_factors
from vqvae_tf.runtime.precision import check_moments
from vqvae_tf.utils.messages import with_article

# Arguments of `compile` that say what a model brings with it here.
_OWN = ("loss", "loss_weights", "metrics", "weighted_metrics")


class CheckedModel(keras.Model):
    """A `keras.Model` that checks data before it uses them.

    Data and validation data are checked once, before the first step: their
    first batch, or the first 64 rows of arrays. Steps and graphs contain no
    checks. Subclasses say what is wrong in `check_spec`, `check_input` and
    `check_context`.
    """

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        # Data sets, since drawing from them again may be slow.
        self._looked_at = weakref.WeakSet()
        self._trained_state = None
        self._checked_optimizer = None

    # What subclasses check ---------------------------------------------------

    @property
    def example_shape(self):
        """The shape of one example; None for sizes that vary, or if unknown."""
        return getattr(self, "event_shape", None)

    def check_spec(self, spec):
        """Raises ValueError for data of a shape that the model cannot take."""

    def check_input(self, x):
        """Raises ValueError for values that are legal but surely a mistake."""

    def check_context(self, context):
        """Raises ValueError for a context that is surely a mistake."""

    def check_batch(self, batch):
        """Raises ValueError for what is no batch, or surely a mistake.

        Args:
            batch: `x`, `(x, context)` or `(x, context, sample_weight)`, of
                arrays or tensors; 64 rows are checked.
        """
        x, context, _ = unpack_batch(batch)
        check_data(x, self.example_shape)
        self.check_spec(x)
        self.check_input(first_rows(x))
        self.check_context(first_rows(context))

    # Compiling ----------------------------------------------------------------

    def compile(
        self,
        optimizer="rmsprop",
        loss=None,
        loss_weights=None,
        metrics=None,
        weighted_metrics=None,
        **options,
    ):
        """Sets the optimizer, as `keras.Model.compile` does.

        Args:
            optimizer: same as for `keras.Model.compile`.
            loss, loss_weights, metrics, weighted_metrics: must be None, as the
                model has its own.
            options: `run_eagerly`, `steps_per_execution`, `jit_compile` and
                `auto_scale_loss`.

        Raises:
            ValueError: for a loss or metrics.
        """
        values = (loss, loss_weights, metrics, weighted_metrics)
        for name, value in zip(_OWN, values):
            empty = isinstance(value, (list, tuple, dict)) and not value
            if value is not None and not empty:
                raise ValueError(
                    f"{with_article(self, 'A')} has its own loss and metrics "
                    f"({', '.join(self.loss_names)}): compile(optimizer) is "
                    "all. Measure other things on what predict, reconstruct "
                    f"or log_prob return. Received: {name}={value!r}."
                )
        super().compile(optimizer, **options)

    def compile_from_config(self, config):
        # Keras does not do this for classes with a `compile` of their own.
        # Older files may hold a loss, which was ignored.
        config = keras.saving.deserialize_keras_object(config)
        self.compile(**{k: v for k, v in config.items() if k not in _OWN})
        if self.optimizer is not None and self.built:
            self.optimizer.build(self.trainable_variables)

    def get_compile_config(self):
        # Called for saving: the optimizer is then saved with the variables
        # that a loaded model will build it for.
        self._follow_trainable()
        return super().get_compile_config()

    def _follow_trainable(self):
        """Rebuilds the optimizer and the step if other variables are trained.

        Keras keeps both: a step's graph trains what was trainable when it was
        traced, and an optimizer the variables that it was built for.
        """
        optimizer = getattr(self, "optimizer", None)
        if optimizer is None or not self.built:
            return
        state = hash((id(optimizer), freezing.trainable_state(self)))
        if state == self._trained_state:
            return
        with self.distribute_strategy.scope():
            freezing.build_optimizer(optimizer, self.trainable_variables)
        self.train_function = None
        self._trained_state = state

    def _maybe_symbolic_build(self, iterator=None, data_batch=None):
        # `_prepare` has built the model. Keras would build it from a mean of
        # the replicas' data, or fail with several workers.
        pass

    # Ways in ------------------------------------------------------------------

    def __call__(self, *args, **kwargs):
        if tf.executing_eagerly():
            x = args[0] if args else kwargs.get(self._first_argument())
            if isinstance(x, keras.KerasTensor):
                self.check_spec(x)
            elif x is not None and not isinstance(x, (list, tuple)):
                self.check_batch(x)
        return super().__call__(*args, **kwargs)

    def _first_argument(self):
        return next(iter(inspect.signature(self.call).parameters))

    def fit(self, x=None, y=None, *args, **kwargs):
        """Same as `keras.Model.fit`, after a check of the first batches.

        The context is Keras' `y`.
        """
        options = _by_name(super().fit, x, y, *args, **kwargs)
        self._prepare()
        self._check_trains(options.get("class_weight"))
        warn_if_slow(self.dtype_policy.name)
        split = options.get("validation_split")
        validation = options.get("validation_data")
        if validation is not None:
            options["validation_data"] = self._check_validation(validation)
        elif split and hasattr(x, "shape"):
            begin = int(len(x) * (1 - split))
            self.check_batch(_rows_from(begin, (x, y)))
        options["x"] = self._check_source(x, y)
        self._keep_weight(options)
        if isinstance(x, tf.data.Dataset) or inspect.isgenerator(x):
            options.setdefault("shuffle", False)  # left to the data
        return super().fit(**options)

    def _keep_weight(self, options):
        """Changes context and weight so that Keras keeps and accepts both."""
        weight = options.get("sample_weight")
        options["y"] = context_for_keras(options.get("y"), weight)
        if weight is not None:
            options["sample_weight"] = weight_for_keras(options["y"], weight)

    def evaluate(self, x=None, y=None, *args, **kwargs):
        """Same as `keras.Model.evaluate`, after a check of the first batch.

        The context is Keras' `y`.
        """
        options = _by_name(super().evaluate, x, y, *args, **kwargs)
        # `fit` has checked its validation data already.
        if not options.get("_use_cached_eval_dataset"):
            self._prepare()
            options["x"] = self._check_source(x, y)
            self._keep_weight(options)
        return super().evaluate(**options)

    def predict(self, x, *args, **kwargs):
        """Same as `keras.Model.predict`, after a check of the first batch.

        A model that needs a context takes it from the batches of a data set.
        """
        self._prepare()
        return super().predict(self._check_source(x), *args, **kwargs)

    def train_on_batch(
        self,
        x,
        y=None,
        sample_weight=None,
        class_weight=None,
        return_dict=False,
    ):
        """`keras.Model.train_on_batch`; x may be a whole batch, a tuple."""
        self._prepare()
        self._check_trains(class_weight)
        batch = self._check_one(x, y, sample_weight)
        return super().train_on_batch(*batch, return_dict=return_dict)

    def test_on_batch(self, x, y=None, sample_weight=None, return_dict=False):
        """`keras.Model.test_on_batch`; x may be a whole batch, a tuple."""
        self._prepare()
        batch = self._check_one(x, y, sample_weight)
        return super().test_on_batch(*batch, return_dict=return_dict)

    def predict_on_batch(self, x):
        """`keras.Model.predict_on_batch`; x may be `(x, context)`."""
        self._prepare()
        x, context, _ = self._check_one(x)
        return super().predict_on_batch(x if context is None else (x, context))

    # Looking ------------------------------------------------------------------

    def _prepare(self):
        if not self.built:
            # Keras would call it without its context.
            with self.distribute_strategy.scope():
                self.build()
        self._follow_trainable()

    def _check_trains(self, class_weight):
        if class_weight is not None:
            raise ValueError(
                "class_weight is for targets that are classes, and here x is "
                "its own target. Give each example its sample_weight. "
                f"Received: class_weight={class_weight!r}."
            )
        optimizer = getattr(self, "optimizer", None)
        if optimizer is None and self.compiled:
            raise ValueError(
                "Training needs an optimizer: compile('adam'), say. Received: "
                "a model compiled with optimizer=None."
            )
        if id(optimizer) != self._checked_optimizer:
            check_moments(optimizer, self.trainable_variables)
            check_factors(optimizer)
            self._checked_optimizer = id(optimizer)

    def _check_one(self, x, context=None, weight=None):
        """Returns the parts of one batch, checked."""
        batch = (x, context, weight)
        if isinstance(x, tuple) and context is None and weight is None:
            batch = x
        self.check_batch(batch)
        return unpack_batch(batch)

    def _check_source(self, x, context=None):
        """Checks the first batch of data; returns all of them."""
        if isinstance(x, tf.data.Dataset):
            self._check_dataset(x)
        elif isinstance(x, keras.utils.PyDataset):
            self.check_batch(x[0])
        elif inspect.isgenerator(x):
            return self._check_generator(x)
        elif hasattr(x, "shape") or not hasattr(x, "__iter__"):
            self.check_batch((x, context))
        elif isinstance(x, (dict, list, tuple, str, bytes)):
            check_data(x, self.example_shape)
        return x  # Keras knows other iterables

    def _check_dataset(self, dataset):
        spec = unpack_batch(dataset.element_spec)[0]
        check_data(spec, self.example_shape)
        self.check_spec(spec)
        if dataset not in self._looked_at:
            for batch in dataset.take(1):
                self.check_batch(batch)
            self._looked_at.add(dataset)

    def _check_generator(self, batches):
        first = next(batches, None)
        self.check_batch(first)
        return _chained(first, batches)

    def _check_validation(self, data):
        """Checks validation data; returns them so that Keras keeps weights."""
        if not isinstance(data, (tuple, list)):
            return self._check_source(data)
        if isinstance(data[0] if data else None, tf.data.Dataset):
            return (self._check_source(data[0]), *data[1:])
        x, context, weight = unpack_batch(data)
        self.check_batch((x, context))
        context = context_for_keras(context, weight)
        return x, context, weight_for_keras(context, weight)


def _chained(first, rest):
    """Returns a generator: Keras accepts no other iterator."""
    yield first
    yield from rest


def _by_name(method, *args, **kwargs):
    """Returns a method's arguments by name."""
    found = inspect.signature(method).bind_partial(*args, **kwargs).arguments
    further = found.pop("kwargs", {})
    return {**found, **further}


def _rows_from(begin, nest):
    return keras.tree.map_structure(
        lambda value: value[begin:] if hasattr(value, "shape") else value, nest
    )
