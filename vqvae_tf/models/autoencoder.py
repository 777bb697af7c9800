"""The autoencoder: plain, denoising, sparse, contractive, variational."""

import functools
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from vqvae_tf.bottlenecks.estimators import log_mean_exp
from vqvae_tf.densities.base import event_size
from vqvae_tf.models.encoder_decoder import EncoderDecoder
from vqvae_tf.runtime import random
from vqvae_tf.runtime.roles import check_role
from vqvae_tf.runtime.step import split_weight, total
from vqvae_tf.utils import tensor_checks
from vqvae_tf.utils.checks import check_positive
from vqvae_tf.utils.units import bits


@keras.saving.register_keras_serializable("vqvae_tf")
class Autoencoder(EncoderDecoder):
    """An encoder, a bottleneck and a decoder density: all autoencoders.

    `x --preprocess--> --corruption--> --encoder--> latents --bottleneck--> z
    --decoder--> log p(x | z)`. The parts determine the kind of autoencoder:

    * plain: `bottlenecks.Identity()`;
    * denoising: with a `corruption`; the target is the clean x;
    * sparse: `bottlenecks.Sparse`, `bottlenecks.KSparse`;
    * contractive: with a `regularizer`, `Contractive`;
    * VAE: `bottlenecks.DiagonalGaussian()`; `beta`, `capacity`;
    * VIMCO: `bottlenecks.IndependentCategorical`, or the Gaussian with
      `estimator="vimco"`.

    The loss is `(-bound + costs) / D`, in nats per data dimension; without a
    prior in the bottleneck, the bound is `log p(x | z)`.

    Args:
        encoder: maps preprocessed data to latents; `networks.Encoder`.
        bottleneck: a `bottlenecks.Bottleneck`.
        decoder: a density p(x | z), for instance
            `FactorizedDensity(Decoder(...), Gaussian())`.
        preprocess: a layer between data as stored and the encoder;
            `PixelScaling()` by default.
        corruption: a layer that corrupts preprocessed data in training, for
            instance `layers.MaskingNoise(0.5)`; or None.
        regularizer: a layer called with (encode, inputs, training, weight),
            which returns a cost in nats for each example; or None.
        observation: a layer that samples the modelled data from stored data,
            for instance `layers.Binarization()`; or None.
        event_shape: the shape of one example, `(height, width, channels)`
            for images; None for sizes that may vary.

    Data: same as `VQVAE`, but sample weights are `[batch]`; masks of positions
    are not supported.

    Raises:
        ValueError: for data of the wrong rank, number of channels or size, for
            data that are already scaled, and for a mask of positions; from
            `sample`, `log_prob` and the like if the bottleneck has no prior.

    Metrics of fit and evaluate: `loss`; `reconstruction` (-log2 p(x | z) / D,
    bits per dimension); with a prior `bits_per_dim`, the bound; the
    bottleneck's; `contractive_cost` with a regularizer.

    Example: a VAE.

    >>> model = Autoencoder(
    ...     Encoder(output_channels=2 * 4, hidden_channels=32),
    ...     bottlenecks.DiagonalGaussian(),
    ...     FactorizedDensity(Decoder(3, hidden_channels=32), Gaussian()),
    ...     event_shape=(32, 32, 3),
    ... )
    >>> model.compile("adam")
    >>> images = tf.zeros([8, 32, 32, 3], tf.uint8)
    >>> history = model.fit(images, batch_size=4, verbose=0)
    >>> model.encode(images).shape
    TensorShape([8, 8, 8, 4])
    >>> model.sample(2, seed=0).shape
    TensorShape([2, 32, 32, 3])

    References:
        Kingma and Welling 2013, arXiv:1312.6114; Vincent et al. 2010,
        "Stacked denoising autoencoders"; Mnih and Rezende 2016,
        arXiv:1602.06725. For the other kinds see the parts.
    """

    loss_names = ("loss", "reconstruction")
    parts = (
        "encoder",
        "bottleneck",
        "decoder",
        "preprocess",
        "corruption",
        "regularizer",
        "observation",
    )

    def __init__(
        self,
        encoder: keras.layers.Layer,
        bottleneck: keras.layers.Layer,
        decoder: keras.layers.Layer,
        preprocess: keras.layers.Layer | None = None,
        corruption: keras.layers.Layer | None = None,
        regularizer: keras.layers.Layer | None = None,
        observation: keras.layers.Layer | None = None,
        event_shape: tuple[int | None, ...] = (None, None, 3),
        **kwargs: Any,
    ) -> None:
        super().__init__(encoder, decoder, preprocess, event_shape, **kwargs)
        check_role(self, "bottleneck", bottleneck, "bottleneck")
        further = dict(
            corruption=corruption,
            regularizer=regularizer,
            observation=observation,
        )
        for name, part in further.items():
            if part is not None:
                check_role(self, name, part, "function")
        self.bottleneck = bottleneck
        self.corruption = corruption
        self.regularizer = regularizer
        self.observation = observation
        names = [*bottleneck.metric_names]
        names += ["bits_per_dim"] * bottleneck.has_prior
        names += ["contractive_cost"] * (regularizer is not None)
        self.add_metric_names(names)

    # Building and calling ---------------------------------------------------

    def build(self, input_shape: tuple[int | None, ...] | None = None) -> None:
        x = keras.KerasTensor((None, *self.event_shape), "float32")
        latents = self.encoder(self.preprocess(x))
        if not self.bottleneck.built:
            self.bottleneck.build(latents.shape)
        channels = self.bottleneck.num_channels(latents.shape[-1])
        z = keras.KerasTensor((*latents.shape[:-1], channels), "float32")
        self.decoder(x, context={"local": z})
        self.built = True

    def call(
        self,
        x: tf.Tensor,
        context: dict[str, tf.Tensor] | None = None,
        training: bool = False,
    ) -> tf.Tensor:
        z = self.bottleneck.encode(self.latents(x, training))
        return self.decoder.mode({**(context or {}), "local": z})

    def compute_losses(
        self,
        x: tf.Tensor,
        context: dict[str, tf.Tensor] | None = None,
        weight: tf.Tensor | None = None,
        training: bool = False,
    ) -> tuple[tf.Tensor, tf.Tensor | float, dict]:
        self._check_event(x)
        mask, weight = split_weight(weight)
        if mask is not None:
            raise ValueError(
                "An Autoencoder takes a sample_weight [batch]. Received: one "
                f"of shape {tuple(mask.shape)}; only a VQVAE supports masks."
            )
        if self.observation is not None:
            x = self.observation(x, training=training)
        size = event_size(x)
        inputs = self.preprocess(x)
        latents = self._encode_inputs(inputs, training)
        count = self.bottleneck.num_samples
        draw = self.bottleneck.sample(latents, count, training)
        log_px = self._log_px(x, draw.z, context, training)
        if training and self.bottleneck.resample:
            log_px = self._of_one_draw(log_px, x, draw, context)
        surrogate, metrics = self._objective(log_px, draw, latents, training)
        penalty, more = self.bottleneck.penalty(latents, weight, training)
        cost, of_cost = self._contractive_cost(inputs, weight, training)
        reconstruction = bits(-tf.reduce_mean(log_px, axis=0), size)
        if "bits_per_dim" in metrics:
            metrics["bits_per_dim"] = bits(metrics["bits_per_dim"], size)
        extra = penalty / size + total(self.losses)
        metrics = {"reconstruction": reconstruction, **metrics}
        return (cost - surrogate) / size, extra, {**metrics, **more, **of_cost}

    def _encode_inputs(self, inputs, training):
        if self.corruption is not None:
            inputs = self.corruption(inputs, training=training)
        return tf.cast(self.encoder(inputs, training=training), tf.float32)

    def _objective(self, log_px, draw, latents, training):
        """Returns the surrogate to maximize, [B] nats, and metrics."""
        if not self.bottleneck.has_prior:
            return tf.reduce_mean(log_px, axis=0), {}
        surrogate, bound, metrics = self.bottleneck.objective(
            log_px, draw, latents, training
        )
        return surrogate, {**metrics, "bits_per_dim": -bound}

    def _contractive_cost(self, inputs, weight, training):
        if self.regularizer is None:
            return 0.0, {}
        cost = self.regularizer(
            lambda x: self.bottleneck.encode(self.encoder(x)),
            inputs,
            training=training,
            weight=weight,
        )
        return cost, {"contractive_cost": cost}

    def _log_px(self, x, z, context=None, training=False):
        """Returns log p(x | z), `[S, B]`, of z `[S, B, *grid, C]`."""
        samples, batch = z.shape[0], tf.shape(x)[0]
        repeated = functools.partial(_repeat_rows, times=samples)
        local = tf.reshape(z, tf.concat([[-1], tf.shape(z)[2:]], 0))
        local = tf.ensure_shape(local, [None, *z.shape[2:]])
        context = keras.tree.map_structure(repeated, dict(context or {}))
        log_px = self.decoder.log_prob(
            repeated(x), {**context, "local": local}, training=training
        )
        return tf.reshape(log_px, [samples, batch])

    def _of_one_draw(self, log_px, x, draw, context):
        """Returns log_px with the gradient of one of the draws.

        The bound's gradient is the mean of the draws' gradients, weighted by
        their normalized weights. The gradient of one draw, chosen with these
        probabilities, is an unbiased estimate of it.
        """
        log_px = tf.stop_gradient(log_px)
        z = self.bottleneck.choose(log_px, draw)
        one = self._log_px(x, z, context, training=True)
        return log_px + one - tf.stop_gradient(one)

    # Bounds -----------------------------------------------------------------

    def log_weights(
        self,
        x: tf.Tensor | np.ndarray,
        num_samples: int = 1,
        context: dict[str, tf.Tensor] | None = None,
        seed: int | tf.Tensor = 0,
    ) -> tf.Tensor:
        """Returns log p(x, z_s) - log q(z_s | x) of posterior samples.

        Args:
            x: data `[batch, *event]`; `observation` is not applied.
            num_samples: S.
            context: further context of the decoder, or None.
            seed: an integer, or int32 [2].

        Returns:
            float32 `[S, batch]` nats. Their mean over S estimates the ELBO;
            `bottlenecks.log_mean_exp`, the importance-weighted bound.

        Raises:
            ValueError: for a bottleneck without a prior.
        """
        log_px, log_ratio = self.log_terms(x, num_samples, context, seed)
        return log_px + log_ratio

    def log_terms(
        self,
        x: tf.Tensor | np.ndarray,
        num_samples: int = 1,
        context: dict[str, tf.Tensor] | None = None,
        seed: int | tf.Tensor = 0,
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns log p(x | z_s), and log p(z_s) - log q(z_s | x).

        They are the two terms of `log_weights`, with the same arguments.
        """
        self._check_prior("A bound")
        self.check_input(x)
        num_samples = check_positive("num_samples", num_samples)
        draw = self.bottleneck.sample(
            self.latents(x), num_samples, seed=random.make_seed(seed)
        )
        return self._log_px(x, draw.z, context), draw.log_ratio

    def log_prob(
        self,
        value: tf.Tensor | np.ndarray,
        context: dict[str, tf.Tensor] | None = None,
        num_samples: int = 1,
        seed: int | tf.Tensor = 0,
    ) -> tf.Tensor:
        """Returns the bound on log p(value) of `num_samples` draws, [batch].

        Raises:
            ValueError: see `log_weights`; also for implausible data.
        """
        return log_mean_exp(self.log_weights(value, num_samples, context, seed))

    def _check_prior(self, what):
        if not self.bottleneck.has_prior:
            raise ValueError(
                f"{what} needs a prior over the latents, which "
                f"{type(self.bottleneck).__name__} does not have; use "
                "DiagonalGaussian or IndependentCategorical."
            )

    # Encoding, decoding and sampling ----------------------------------------

    def encode(self, x: tf.Tensor | np.ndarray) -> tf.Tensor:
        """Returns the latents of data, float32 `[batch, *grid, C]`.

        The mean of a Gaussian posterior, the embeddings of the most probable
        codes of a categorical one, otherwise the activations.

        Args:
            x: `[batch, height, width, channels]` in 0..255.
        """
        x = tf.convert_to_tensor(x)
        self.check_input(x)
        return self.bottleneck.encode(self.latents(x))

    def decode(
        self,
        latents: tf.Tensor | np.ndarray,
        context: dict[str, tf.Tensor] | None = None,
    ) -> tf.Tensor:
        """Returns the decoder's point estimate of the data given latents.

        Args:
            latents: float `[batch, *grid, C]`.
            context: further context of the decoder, or None.

        Returns:
            `[batch, height, width, channels]`, uint8 for pictures.

        Raises:
            ValueError: for latents of the wrong rank, or that are not finite.
        """
        latents = tensor_checks.as_tensor("Latents", latents)
        rank = self._rank()
        if len(latents.shape) != rank + 2 or not latents.dtype.is_floating:
            raise ValueError(
                f"Latents must be float [batch, *grid, channels], with {rank} "
                f"grid axes. Received: {latents.dtype.name} of shape "
                f"{tuple(latents.shape)}."
            )
        latents = tensor_checks.finite("Latents", latents)
        return self.decoder.mode({**(context or {}), "local": latents})

    def sample(
        self,
        num_samples: int | tf.Tensor = 1,
        temperature: float | tf.Tensor = 1.0,
        seed: int | tf.Tensor | None = None,
    ) -> tf.Tensor:
        """Draws latents from the prior and decodes them.

        Args:
            num_samples: the number of samples.
            temperature: scales the spread of a Gaussian prior; a finite number
                of at least 0.
            seed: an integer, or int32 [2].

        Returns:
            `[num_samples, height, width, channels]`, uint8 for pictures.

        Raises:
            ValueError: without a prior, or if `event_shape` has a None.
        """
        self._check_prior("Sampling")
        num_samples = tensor_checks.count("num_samples", num_samples)
        if None in self.event_shape:
            raise ValueError(
                "Sampling needs sizes: create the model with an event_shape "
                f"without None. Received: event_shape={self.event_shape}."
            )
        shape = self.encoder.compute_output_shape((1, *self.event_shape))
        channels = self.bottleneck.num_channels(shape[-1])
        z = self.bottleneck.prior_sample(
            [num_samples, *shape[1:-1], channels],
            random.make_seed(seed),
            temperature,
        )
        return self.decoder.mode({"local": z})


def _repeat_rows(x, times):
    """Returns x repeated along the batch axis, `[times * batch, ...]`."""
    if times == 1:
        return x
    x = tf.convert_to_tensor(x)
    return tf.tile(x, [times] + [1] * (len(x.shape) - 1))
