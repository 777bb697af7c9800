"""Residual quantization: each stage quantizes what those before it left."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from vqvae_tf.quantizers.base import Quantizer
from vqvae_tf.quantizers.beam import Beams, in_order
from vqvae_tf.quantizers.codes import NO_CODE, check_range
from vqvae_tf.quantizers.gradients import check_gradient, share_of
from vqvae_tf.quantizers.parts import from_configs, parts_of, to_configs
from vqvae_tf.quantizers.sharing import SharedStep, check_shared
from vqvae_tf.quantizers.usage import joined
from vqvae_tf.runtime import random, replicas
from vqvae_tf.utils import tensor_checks
from vqvae_tf.utils.checks import check_positive, check_seed, check_share


@keras.saving.register_keras_serializable("vqvae_tf")
class ResidualQuantizer(Quantizer):
    """Quantizes latents by several stages, each the rest of the one before.

    With r_1 = z, stage i quantizes r_i to q_i, and r_{i+1} = r_i - sg(q_i). The
    quantized latent is the sum of all q_i, with one straight-through gradient
    from the sum to z. N stages of K codes describe a latent with N log2 K bits,
    which would take K^N embeddings of a single codebook.

    The loss is the sum of the stages' own. Because q_i is stopped before it is
    subtracted, the commitment of *every* stage reaches the encoder; through
    r_2 = z - q_1 with a straight-through q_1 it would be 0 from the second on.

    The first n codes are the same as of a quantizer with n stages, and `decode`
    takes them: `decode(codes[..., :n])`. Training with `dropout` makes such
    prefixes good: the bit rate can then be chosen after training.

    Stages need vectors that can become as small as what is left: a codebook
    of any kind but `distance="cosine"`, whose vectors all have norm 1. FSQ, LFQ
    and BSQ have vectors of one size as well, and gain little from a second
    stage. Where k-means gathers latents of several batches, a stage begins once
    those before it have their codebooks.

    Each stage chooses the nearest vector, though another one may leave a rest
    that later stages describe better. With `beam_size` B the best B sums of
    each latent are kept from stage to stage, and the codes are those of the
    best sum in the end. B = K^(N-1) would find the best of all. For normal
    vectors of 8 channels and 4 stages of 64 codes, B = 4 lowers the squared
    error by a quarter, without training anew, and the search takes 5 to 10
    times as long. Means improve; with more than two stages, single latents may
    do worse. The first n codes are no longer those of a quantizer of n stages.

    With `shared`, all stages search one codebook. It moves, and codes are
    restarted, once in a training step, after the search of the last stage, from
    the rests of all stages together; a code is unused if no stage uses it. With
    `initialization="data"` or "kmeans", one N-th of the embeddings comes from
    latents, the next from what the first leaves of them, and so on, since later
    rests are smaller. The stage's own metrics are of all stages together. After
    a beam search, a latent's codes are in the order in which their sum comes
    nearest to it.

    Args:
        stages: a `Quantizer` of one codebook, which is copied, or a list of
            several with the same channels; their numbers of codes may differ.
        num_quantizers: int, N, how often a single `stages` is used. Copies have
            seeds of their own.
        dropout: float in [0, 1], 0 by default: the probability that an example
            is trained with its first n stages only, n uniform in 1..N. The
            codes of the others are then -1, and their losses 0: that of a
            stage is a mean over all examples. Not if the layer is frozen.
            SoundStream uses 1, the Descript audio codec 0.5.
        seed: int, for `dropout`; 0 by default.
        gradient: from the sum of all stages to z, as for `VectorQuantizer`;
            that of the stages themselves is not used.
        beam_size: int, B, 1 by default, in training and when encoding. The
            stages' vectors are then compared by their Euclidean distance,
            whatever the stages compare. Needs stages that are not themselves
            made of others.
        shared: bool, False by default: whether a single `stages` is not copied,
            but used `num_quantizers` times. Not for one made of others.

    Attributes:
        stages: the list of quantizers; with `shared`, N times the same.
        num_codebooks: N; codes have a last axis of this size if N > 1.
        num_codes: of each stage, a tuple of N ints.

    Call arguments:
        latents: float `[batch, ..., channels]`, of rank 2 or more.
        training, mask, return_codes: as for `Quantizer`, as are the returns.

    Raises:
        ValueError: for stages that do not fit together.

    Example:

    >>> from vqvae_tf.quantizers import VectorQuantizerEMA
    >>> quantizer = ResidualQuantizer(VectorQuantizerEMA(256, 16), 4)
    >>> latents = tf.random.normal([2, 8, 8, 16])
    >>> quantized, codes = quantizer(latents, return_codes=True)
    >>> quantized.shape, codes.shape
    (TensorShape([2, 8, 8, 16]), TensorShape([2, 8, 8, 4]))
    >>> quantizer.decode(codes[..., :2]).shape
    TensorShape([2, 8, 8, 16])

    With one codebook for all stages:

    >>> stage = VectorQuantizerEMA(256, 16, initialization="data")
    >>> quantizer = ResidualQuantizer(stage, 4, shared=True)
    >>> quantized = quantizer(latents, training=True)
    >>> quantizer.stages[3] is stage, stage.codebook.shape
    (True, TensorShape([256, 16]))

    Stages with fewer and fewer codes:

    >>> sizes = (256, 64, 16)
    >>> stages = [VectorQuantizerEMA(size, 16) for size in sizes]
    >>> quantizer = ResidualQuantizer(stages)
    >>> quantizer.num_codes, quantizer.bits_per_position
    ((256, 64, 16), 18.0)

    References:
        Zeghidour et al. 2021, SoundStream, arXiv:2107.03312, section III-C.
        Lee et al. 2022, Autoregressive Image Generation using Residual
        Quantization, arXiv:2203.01941, section 3.1.
    """

    def __init__(
        self,
        stages: Quantizer | Sequence[Quantizer],
        num_quantizers: int | None = None,
        dropout: float = 0.0,
        seed: int = 0,
        gradient: str = "straight_through",
        *,
        beam_size: int = 1,
        shared: bool = False,
        **kwargs: Any,
    ) -> None:
        if shared:
            stages = check_shared(stages, num_quantizers)
        stages = _stages(stages, num_quantizers, shared)
        first = stages[0]
        sizes = [stage.num_embeddings for stage in stages]
        super().__init__(sizes, first.channels, len(stages), **kwargs)
        self.stages = stages
        self.dropout = check_share("dropout", dropout)
        self.seed = check_seed(seed)
        self.gradient = check_gradient(gradient)
        self.beam_size = check_positive("beam_size", beam_size)
        self.shared = bool(shared)
        if self.beam_size > 1:
            _check_single(stages)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        super().build(input_shape)
        for stage in self.stages:
            if not stage.built:
                stage.build(input_shape)
        if self.dropout:
            self.drawn = self.add_weight(
                name="drawn",
                shape=(),
                initializer="zeros",
                dtype="int32",
                trainable=False,
                autocast=False,
            )

    # Latents to codes -------------------------------------------------------

    def quantize_vectors(
        self,
        z: tf.Tensor,
        weights: tf.Tensor | None,
        training: bool | None,
        examples: tf.Tensor,
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor | None, tf.Tensor]:
        learns = bool(training) and self.trainable
        kept = self._kept(z, examples) if learns and self.dropout else None
        stage_weights = _weights_of_stages(weights, kept, len(self.stages))
        beam = shared = None
        if self.shared:
            first, count = self.stages[0], len(self.stages)
            shared = SharedStep(first, count, training)
            shared.prepare(first.to_search_space(z), stage_weights[0])
        if self.beam_size > 1:
            beam = self._beam_search(z, stage_weights, training, kept)
        rest, total, codes, counts, losses = z, 0.0, [], [], []
        for i, (stage, own) in enumerate(zip(self.stages, stage_weights)):
            part = stage.to_search_space(rest)
            share = 1.0 if kept is None else share_of(own, weights)
            if training and shared is None:
                own = self._once_started(own, i, z)
            code, prepared = (None, None) if beam is None else beam[i]
            if shared is not None:
                results = shared.quantize(part, own, code)
            elif beam is None:
                results = stage.quantize_vectors(part, own, training, examples)
            else:
                results = stage.finish(part, code, own, training, prepared)
            found, code, count, loss = results
            found = self._vectors_of(stage, found)
            if kept is not None:
                found = found * kept[i][:, tf.newaxis]
                code = tf.where(kept[i] > 0, code, NO_CODE)
            total = total + found
            rest = rest - tf.stop_gradient(found)
            codes.append(code)
            counts.append(count)
            losses.append(share * loss)
        if shared is not None:
            shared.learn()
        if self._counts(training):
            counts = joined(counts, self.num_embeddings)
            self.usage_metric.update_state(counts)
        else:
            counts = None
        return total, tf.concat(codes, axis=0), counts, tf.add_n(losses)

    def _kept(self, z, examples):
        """Returns which stages count, float32 `[stages, N]` of 0 and 1."""
        seed = random.fold_in(random.make_seed(self.seed), self.drawn)
        self.drawn.assign_add(1)
        u = random.uniform_rows(
            [examples, 2], seed, replicas.first_row(examples)
        )
        count = len(self.stages)
        kept = 1 + tf.cast(u[:, 0] * count, tf.int32)
        kept = tf.where(u[:, 1] < self.dropout, kept, count)
        each = tf.shape(z)[0] // tf.maximum(examples, 1)
        kept = tf.repeat(kept, each)
        stages = tf.range(count)[:, tf.newaxis]
        return tf.cast(stages < kept[tf.newaxis], tf.float32)

    def _once_started(self, weights, number, z):
        """Returns a stage's weights: 0 until all before it have started.

        What they leave of a latent before is no rest, and k-means of the stage
        would gather whole latents.
        """
        started = [stage.has_started() for stage in self.stages[:number]]
        started = [each for each in started if each is not True]
        if not started:
            return weights
        if weights is None:
            weights = tf.ones(tf.shape(z)[:1])
        return weights * tf.cast(tf.reduce_all(started), tf.float32)

    def _beam_search(self, z, weights, training=None, kept=None):
        """Returns of each stage its codes `[1, N]`, and what it prepared."""
        beams, prepared = Beams(tf.stop_gradient(z), self.beam_size), []
        for i, stage in enumerate(self.stages):
            state = None
            if training and stage.trainable and not self.shared:
                best = stage.to_search_space(beams.rests[:, 0])
                own = self._once_started(weights[i], i, z)
                state = stage.prepare(best, own)
            prepared.append(state)
            every = tf.range(stage.num_embeddings)[tf.newaxis]
            table = tf.stop_gradient(stage.vectors(every))
            beams.extend(table, None if kept is None else kept[i])
        codes = beams.codes[:, 0]
        if self.shared:
            codes = in_order(tf.stop_gradient(z), codes, table, kept)
        codes = tf.split(tf.transpose(codes), len(self.stages))
        return list(zip(codes, prepared))

    def search(self, z: tf.Tensor) -> tf.Tensor:
        if self.beam_size > 1:
            found = self._beam_search(z, None)
            return tf.concat([codes for codes, _ in found], axis=0)
        codes = []
        for stage in self.stages:
            code = stage.search(stage.to_search_space(z))
            z = z - self._vectors_of(stage, stage.look_up(code))
            codes.append(code)
        return tf.concat(codes, axis=0)

    # Codes to latents -------------------------------------------------------

    leaves_out_codes = True

    def look_up(self, codes: tf.Tensor) -> tf.Tensor:
        codes = tf.split(codes, len(self.stages))
        return tf.add_n(
            [s.vectors(code) for s, code in zip(self.stages, codes)]
        )

    def vectors(self, codes: tf.Tensor) -> tf.Tensor:
        """As of `Quantizer`, but a code of -1 leaves out its stage alone."""
        return self.look_up(codes)

    def _vectors_of(self, stage, found):
        """`[N, channels]` of what a stage has looked up."""
        return tf.reshape(stage.from_search_space(found), [-1, self.channels])

    def check_codes(self, codes: Any) -> tf.Tensor:
        """Returns int32 codes of all stages; -1 where there is none.

        Args:
            codes: integers in 0..K-1, K of each stage, or -1 for no code, of
                up to N stages.
        """
        if self.num_codebooks == 1:
            return super().check_codes(codes)
        codes = tensor_checks.as_tensor("Codes", codes)
        self._check_code_type(codes.dtype.name, codes.shape)
        codes = check_range(codes, self.num_codes[: codes.shape[-1]])
        missing = self.num_codebooks - codes.shape[-1]
        ends = [[0, 0]] * (len(codes.shape) - 1) + [[0, missing]]
        return tf.pad(codes, ends, constant_values=NO_CODE)

    def _check_code_type(self, dtype, shape):
        stages = self.num_codebooks
        if 1 < stages and len(shape) and 1 <= (shape[-1] or 0) <= stages:
            shape = (*shape[:-1], stages)
        super()._check_code_type(dtype, shape)

    # Configuration ----------------------------------------------------------

    def get_config(self) -> dict[str, Any]:
        config = {
            **super().get_config(),
            "stages": to_configs(self.stages),
            "dropout": self.dropout,
            "seed": self.seed,
            "gradient": self.gradient,
            "beam_size": self.beam_size,
        }
        if self.shared:
            config["stages"] = config["stages"][:1]
            config.update(num_quantizers=len(self.stages), shared=True)
        return config

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: dict | None = None
    ) -> "ResidualQuantizer":
        stages = from_configs(config["stages"], custom_objects)
        if config.get("shared") and len(stages) == 1:
            stages = stages[0]
        return cls(**{**config, "stages": stages})


def _stages(stages, count, shared):
    """Returns the list of stages, after checks."""
    if not shared:
        stages = parts_of("stages", stages, "num_quantizers", count)
    sizes = {(stage.channels, stage.num_codebooks) for stage in stages}
    if len(sizes) > 1 or stages[0].num_codebooks > 1:
        raise ValueError(
            "All stages must have the same channels, and one codebook each. "
            f"Received: (channels, num_codebooks) = {sorted(sizes)}."
        )
    for stage in stages:
        if getattr(stage, "codebook_dim", None) is not None:
            raise ValueError(
                "Stages cannot have a codebook_dim: the residuals of all of "
                "them are in one space. Put a Dense layer before and after the "
                f"ResidualQuantizer instead. Received: {stage.name} with "
                f"codebook_dim={stage.codebook_dim}."
            )
        if getattr(getattr(stage, "sampling", None), "relaxes", False):
            raise ValueError(
                "Stages cannot draw codes by GumbelSoftmax: the sum of all "
                "stages has one gradient of its own. Use SoftmaxSampling. "
                f"Received: {stage.name} with a GumbelSoftmax."
            )
    return stages


def _check_single(stages):
    for stage in stages:
        of_others = hasattr(stage, "stages") or hasattr(stage, "quantizers")
        if of_others or getattr(stage, "sampling", None) is not None:
            kind = "is made of others" if of_others else "draws its codes"
            raise ValueError(
                "beam_size > 1 needs stages that search by themselves. "
                f"Received: {stage.name}, which {kind}. Use stages without "
                "stages, groups and sampling, or beam_size=1."
            )


def _weights_of_stages(weights, kept, count):
    """Returns the weights `[N]` of each stage, or None for 1."""
    if kept is None:
        return [weights] * count
    return [
        kept[i] if weights is None else weights * kept[i] for i in range(count)
    ]
