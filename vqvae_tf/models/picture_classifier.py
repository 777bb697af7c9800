"""A classifier of pictures, whose features judge other models' samples."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from vqvae_tf.layers.configured import Configured
from vqvae_tf.layers.preprocessing import PixelScaling
from vqvae_tf.models.event_shapes import check_event
from vqvae_tf.runtime.batches import check_data
from vqvae_tf.runtime.roles import check_role
from vqvae_tf.runtime.step import StepModel, total
from vqvae_tf.utils.checks import check_positive, check_share


@keras.saving.register_keras_serializable("vqvae_tf")
class PictureClassifier(Configured, StepModel):
    """Names the class of pictures.

    Its features are those in which `evaluation.samples` compares pictures that
    a model draws with real ones, and its probabilities decide which samples
    `rejection.sample_best` keeps.

    Args:
        network: maps preprocessed pictures to features `[batch, C]`:
            `networks.ResidualFeatures`.
        num_classes: int.
        preprocess: a layer between pictures as stored and the network;
            `PixelScaling()` by default.
        event_shape: the shape of one picture; None for sizes that may vary.
        label_smoothing: float, the share of a label's probability that the
            loss spreads over all classes; 0 by default.

    Data: pictures as stored, uint8 or float in 0..255, `[batch, height, width,
    channels]`, and as context `{"global": one-hot classes [batch,
    num_classes]}`, as of class-conditional models.

    Metrics: `loss` (nats) and `accuracy`.

    Raises:
        ValueError: for pictures of another shape, and a batch without classes.

    Example:

    >>> model = PictureClassifier(ResidualFeatures((16, 32)), num_classes=10)
    >>> model.compile("adam")
    >>> images = tf.zeros([8, 32, 32, 3], tf.uint8)
    >>> context = {"global": tf.one_hot(tf.range(8), 10)}
    >>> history = model.fit(images, context, batch_size=4, verbose=0)
    >>> model.probabilities(images).shape, model.features(images).shape
    (TensorShape([8, 10]), TensorShape([8, 32]))
    """

    loss_names = ("loss", "accuracy")
    parts = ("network", "preprocess")

    def __init__(
        self,
        network: keras.layers.Layer,
        num_classes: int,
        preprocess: keras.layers.Layer | None = None,
        event_shape: tuple[int | None, ...] = (None, None, 3),
        label_smoothing: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        preprocess = preprocess or PixelScaling()
        check_role(self, "network", network, "network")
        check_role(self, "preprocess", preprocess, "layer")
        self.network = network
        self.preprocess = preprocess
        self.num_classes = check_positive("num_classes", num_classes)
        self.event_shape = tuple(event_shape)
        self.label_smoothing = check_share("label_smoothing", label_smoothing)
        # The logits are float32 whatever the dtype policy.
        self.dense = keras.layers.Dense(
            num_classes, dtype="float32", name="dense"
        )

    def build(self, input_shape: tuple[int | None, ...] | None = None) -> None:
        x = keras.KerasTensor((None, *self.event_shape), "float32")
        self.dense(self.network(self.preprocess(x)))
        self.built = True

    def call(
        self,
        x: tf.Tensor,
        context: dict[str, tf.Tensor] | None = None,
        training: bool = False,
    ) -> tf.Tensor:
        """Returns logits, float32 `[batch, num_classes]`."""
        return self.dense(self.features(x, training))

    def features(
        self, x: tf.Tensor | np.ndarray, training: bool = False
    ) -> tf.Tensor:
        """Returns the network's features of pictures, float32 `[batch, C]`."""
        self.check_spec(x)
        found = self.network(self.preprocess(x), training=training)
        return tf.cast(found, tf.float32)

    def stages(self, x: tf.Tensor | np.ndarray) -> list[tf.Tensor]:
        """Returns what each stage of the network makes of pictures.

        Args:
            x: as for `features`, but of any sizes.

        Returns:
            Feature maps, float32 `[batch, *sizes, C]`, the largest first.
        """
        found = self.network.stages(self.preprocess(x))
        return [tf.cast(each, tf.float32) for each in found]

    def probabilities(self, x: tf.Tensor | np.ndarray) -> tf.Tensor:
        """Returns those of all classes, float32 `[batch, num_classes]`."""
        return tf.nn.softmax(self(x))

    def compute_losses(
        self,
        x: tf.Tensor,
        context: dict[str, tf.Tensor] | None = None,
        weight: tf.Tensor | None = None,
        training: bool = False,
    ) -> tuple[tf.Tensor, tf.Tensor | float, dict]:
        labels = self._labels(context)
        logits = self(x, training=training)
        smoothed = labels
        if training and self.label_smoothing:
            share = self.label_smoothing
            smoothed = (1 - share) * labels + share / self.num_classes
        loss = tf.nn.softmax_cross_entropy_with_logits(smoothed, logits)
        right = tf.equal(tf.argmax(logits, -1), tf.argmax(labels, -1))
        metrics = {"accuracy": tf.cast(right, tf.float32)}
        return loss, total(self.losses), metrics

    def _labels(self, context):
        labels = (context or {}).get("global")
        fits = labels is not None and len(labels.shape) == 2
        if not fits or labels.shape[-1] != self.num_classes:
            received = "none" if labels is None else f"shape {labels.shape}"
            raise ValueError(
                'A classifier is trained on (x, {"global": one-hot classes '
                f"[batch, {self.num_classes}]}}). Received: {received}."
            )
        return tf.cast(labels, tf.float32)

    def check_spec(self, spec: Any) -> None:
        check_data(spec, self.event_shape)
        rank = len(self.event_shape) - 1
        check_event(tuple(spec.shape), self.event_shape, rank, 1)
        expected = self.event_shape[:-1]
        sizes = tuple(spec.shape[1:-1])
        if any(
            None not in pair and len({*pair}) > 1
            for pair in zip(sizes, expected)
        ):
            raise ValueError(
                f"The classifier was made for pictures of sizes {expected}. "
                f"Received: shape {tuple(spec.shape)}."
            )

    def check_input(self, x: tf.Tensor | np.ndarray) -> None:
        if hasattr(self.preprocess, "check"):
            self.preprocess.check(x)

    def check_context(self, context: dict | None) -> None:
        if context is not None:  # training alone needs classes
            self._labels(context)

    def export_signature(self) -> list:
        return [tf.TensorSpec([None, *self.event_shape], tf.float32, "x")]
