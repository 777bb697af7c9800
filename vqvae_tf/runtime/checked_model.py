"""A Keras model that checks its data, whichever method receives them."""

import inspect
import weakref
from typing import Any

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

_Figures = float | list[float] | dict[str, float]

# Arguments of `compile` that a model here defines itself.
_OWN = ("loss", "loss_weights", "metrics", "weighted_metrics")


class CheckedModel(keras.Model):
    """A `keras.Model` that checks data before using them.

    Data and validation data are checked once, before the first step: their
    first batch, or the first 64 rows of arrays. Steps and graphs contain no
    checks. Subclasses implement `check_spec`, `check_input` and
    `check_context`.
    """

    def __init__(self, **kwargs: Any):
        super().__init__(**kwargs)
        # Checked data sets, since reading from them again may be slow.
        self._seen = weakref.WeakSet()
        self._trained_state = None
        self._checked_optimizer = None

    # Checks of subclasses -----------------------------------------------------

    @property
    def example_shape(self) -> tuple[int | None, ...] | None:
        """Shape of one example, None for sizes that vary; None if unknown."""
        return getattr(self, "event_shape", None)

    def check_spec(self, spec: Any) -> None:
        """Raises ValueError if the model cannot take data of this shape."""

    def check_input(self, x: Any) -> None:
        """Raises ValueError for values that are legal but surely a mistake."""

    def check_context(self, context: dict | None) -> None:
        """Raises ValueError for a context that is surely a mistake."""

    def check_batch(self, batch: Any) -> None:
        """Raises ValueError for an invalid batch, or one surely a mistake.

        Args:
            batch: `x`, `(x, context)` or `(x, context, sample_weight)`, of
                arrays or tensors; the first 64 rows are checked.
        """
        x, context, _ = unpack_batch(batch)
        check_data(x, self.example_shape)
        self.check_spec(x)
        self.check_input(first_rows(x))
        self.check_context(first_rows(context))

    # Compiling ----------------------------------------------------------------

    def compile(
        self,
        optimizer: str | dict | keras.optimizers.Optimizer | None = "rmsprop",
        loss: Any = None,
        loss_weights: Any = None,
        metrics: Any = None,
        weighted_metrics: Any = None,
        **options: Any,
    ) -> None:
        """Sets the optimizer, as `keras.Model.compile` does.

        Args:
            optimizer: same as for `keras.Model.compile`.
            loss, loss_weights, metrics, weighted_metrics: must be None or
                empty, since the model has its own.
            options: `run_eagerly`, `steps_per_execution`, `jit_compile` and
                `auto_scale_loss`.

        Raises:
            ValueError: a loss or metrics are given.
        """
        values = (loss, loss_weights, metrics, weighted_metrics)
        for name, value in zip(_OWN, values):
            empty = isinstance(value, (list, tuple, dict)) and not value
            if value is not None and not empty:
                raise ValueError(
                    f"{with_article(self, 'A')} has its own loss and metrics "
                    f"({', '.join(self.loss_names)}). Use compile(optimizer), "
                    "and compute other metrics from the results of predict, "
                    f"reconstruct or log_prob. Received: {name}={value!r}."
                )
        super().compile(optimizer, **options)

    def compile_from_config(self, config: dict) -> None:
        # Keras skips this for classes that override `compile`. Older files may
        # hold a loss, which was ignored.
        config = keras.saving.deserialize_keras_object(config)
        self.compile(**{k: v for k, v in config.items() if k not in _OWN})
        if self.built:
            self.build_optimizers()

    def get_compile_config(self) -> dict | None:
        # Called when saving: the optimizer must have the variables for which
        # a loaded model will build it.
        self._follow_trainable()
        return super().get_compile_config()

    def _follow_trainable(self):
        """Rebuilds the optimizer and the step if other variables are trained.

        Keras would keep both: a step's graph trains what was trainable when it
        was traced, and an optimizer the variables that it was built for.
        """
        pairs = self.optimized() if self.built else []
        if not pairs:
            return
        names = (id(optimizer) for optimizer, _ in pairs)
        state = hash((*names, freezing.trainable_state(self)))
        if state == self._trained_state:
            return
        with self.distribute_strategy.scope():
            self.build_optimizers()
        self.train_function = None
        self._trained_state = state

    # A method, since Keras saves what properties return a second time.

    def optimized(self) -> list[tuple[keras.optimizers.Optimizer, list]]:
        """Returns the model's optimizers, each with what it trains."""
        optimizer = getattr(self, "optimizer", None)
        return (
            [] if optimizer is None else [(optimizer, self.trainable_variables)]
        )

    def build_optimizers(self) -> None:
        """Creates the variables of all optimizers for what they train."""
        for optimizer, variables in self.optimized():
            freezing.build_optimizer(optimizer, variables)

    def _maybe_symbolic_build(self, iterator=None, data_batch=None):
        # `_prepare` has built the model. Keras would build it from a mean of
        # the replicas' data, or fail with several workers.
        pass

    # Keras' methods -----------------------------------------------------------

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if tf.executing_eagerly():
            first = next(iter(inspect.signature(self.call).parameters))
            x = args[0] if args else kwargs.get(first)
            if isinstance(x, keras.KerasTensor):
                self.check_spec(x)
            elif x is not None and not isinstance(x, (list, tuple)):
                self.check_batch(x)
        return super().__call__(*args, **kwargs)

    def fit(
        self, x: Any = None, y: dict | None = None, *args: Any, **kwargs: Any
    ) -> keras.callbacks.History:
        """Same as `keras.Model.fit`, after a check of the first batches.

        `y` is the context.
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
            options.setdefault("shuffle", False)  # the data decide
        return super().fit(**options)

    def _keep_weight(self, options):
        """Changes context and weight so that Keras accepts and keeps both."""
        weight = options.get("sample_weight")
        options["y"] = context_for_keras(options.get("y"), weight)
        if weight is not None:
            options["sample_weight"] = weight_for_keras(options["y"], weight)

    def evaluate(
        self, x: Any = None, y: dict | None = None, *args: Any, **kwargs: Any
    ) -> _Figures:
        """Same as `keras.Model.evaluate`, after a check of the first batch.

        `y` is the context.
        """
        options = _by_name(super().evaluate, x, y, *args, **kwargs)
        # `fit` has checked its validation data already.
        if not options.get("_use_cached_eval_dataset"):
            self._prepare()
            options["x"] = self._check_source(x, y)
            self._keep_weight(options)
        return super().evaluate(**options)

    def predict(self, x: Any, *args: Any, **kwargs: Any) -> Any:
        """Same as `keras.Model.predict`, after a check of the first batch.

        A context comes from batches `(x, context)` of a data set.
        """
        self._prepare()
        return super().predict(self._check_source(x), *args, **kwargs)

    def train_on_batch(
        self,
        x: Any,
        y: dict | None = None,
        sample_weight: Any = None,
        class_weight: Any = None,
        return_dict: bool = False,
    ) -> _Figures:
        """`keras.Model.train_on_batch`; x may be a whole batch, a tuple."""
        self._prepare()
        self._check_trains(class_weight)
        batch = self._check_one(x, y, sample_weight)
        return super().train_on_batch(*batch, return_dict=return_dict)

    def test_on_batch(
        self,
        x: Any,
        y: dict | None = None,
        sample_weight: Any = None,
        return_dict: bool = False,
    ) -> _Figures:
        """`keras.Model.test_on_batch`; x may be a whole batch, a tuple."""
        self._prepare()
        batch = self._check_one(x, y, sample_weight)
        return super().test_on_batch(*batch, return_dict=return_dict)

    def predict_on_batch(self, x: Any) -> Any:
        """`keras.Model.predict_on_batch`; x may be `(x, context)`."""
        self._prepare()
        x, context, _ = self._check_one(x)
        return super().predict_on_batch(x if context is None else (x, context))

    # Checking -----------------------------------------------------------------

    def _prepare(self):
        if not self.built:
            # Keras would build it by a call without its context.
            with self.distribute_strategy.scope():
                self.build()
        self._follow_trainable()

    def _check_trains(self, class_weight):
        if class_weight is not None:
            raise ValueError(
                "class_weight needs classes as targets, but here x is its own "
                "target; use sample_weight. "
                f"Received: class_weight={class_weight!r}."
            )
        optimizer = getattr(self, "optimizer", None)
        if optimizer is None and self.compiled:
            raise ValueError(
                "Training needs an optimizer, for instance compile('adam'). "
                "Received: a model compiled with optimizer=None."
            )
        if id(optimizer) != self._checked_optimizer:
            for one, variables in self.optimized():
                check_moments(one, variables)
                check_factors(one)
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
            first = next(x, None)
            self.check_batch(first)
            return _chained(first, x)
        elif hasattr(x, "shape") or not hasattr(x, "__iter__"):
            self.check_batch((x, context))
        elif isinstance(x, (dict, list, tuple, str, bytes)):
            check_data(x, self.example_shape)
        return x  # Keras handles other iterables

    def _check_dataset(self, dataset):
        spec = unpack_batch(dataset.element_spec)[0]
        check_data(spec, self.example_shape)
        self.check_spec(spec)
        if dataset not in self._seen:
            for batch in dataset.take(1):
                self.check_batch(batch)
            self._seen.add(dataset)

    def _check_validation(self, data):
        """Returns checked validation data whose weights Keras keeps."""
        if not isinstance(data, (tuple, list)):
            return self._check_source(data)
        if isinstance(data[0] if data else None, tf.data.Dataset):
            return (self._check_source(data[0]), *data[1:])
        x, context, weight = unpack_batch(data)
        self.check_batch((x, context))
        context = context_for_keras(context, weight)
        return x, context, weight_for_keras(context, weight)


def _chained(first, rest):
    """Returns a generator, the only kind of iterator that Keras accepts."""
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
