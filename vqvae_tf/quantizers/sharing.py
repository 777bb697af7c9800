"""One quantizer for several searches of a step: it learns once, from all."""

from typing import Any

import tensorflow as tf

from vqvae_tf.utils.checks import check_positive


class Shareable:
    """How a quantizer learns from several stages: a base of `Quantizer`.

    All of them search the same codebook, which then must not move before the
    last has searched. A step prepares once, before the first search, and learns
    once, after the last; by default as with a single stage.
    """

    def choose(
        self, z: tf.Tensor, training: bool | None, stage: int = 0
    ) -> tf.Tensor:
        """Returns the codes `[G, N]` of a call, by default those of `search`.

        Args:
            z, training: as for `quantize_vectors`.
            stage: number of the search, if a step has several.
        """
        return self.search(tf.stop_gradient(z))

    def has_started(self) -> bool | tf.Tensor:
        """Returns whether the codebook has its initial values.

        True by default; False while latents for them are gathered.
        """
        return True

    def prepare_shared(
        self, z: tf.Tensor, weights: tf.Tensor | None, num_stages: int
    ) -> Any:
        """As `prepare`, given what the first stage searches.

        Args:
            z, weights: as for `prepare`.
            num_stages: int, how many stages there are.
        """
        del num_stages
        return self.prepare(z, weights)

    def learn_shared(
        self,
        z: tf.Tensor,
        codes: tf.Tensor,
        counts: tf.Tensor,
        weights: tf.Tensor | None,
        prepared: Any,
    ) -> None:
        """As `learn`, given what all stages searched.

        Args:
            z, codes, weights: as for `learn`; N is the number of positions
                times that of stages. Those of a position are together.
            counts: float32 `[G, K]`, of all stages.
            prepared: the result of `prepare_shared`.
        """
        self.learn(z, codes, counts, weights, prepared)


class SharedStep:
    """A call of a quantizer that several stages share.

    Args:
        quantizer: a `Quantizer`.
        num_stages: int, how many stages there are.
        training: as for the layer.
    """

    def __init__(
        self, quantizer: Any, num_stages: int, training: bool | None
    ) -> None:
        self.quantizer, self.num_stages = quantizer, num_stages
        self.training = training
        self.learns = bool(training) and quantizer.trainable
        self._prepared, self._seen = None, []

    def prepare(self, z: tf.Tensor, weights: tf.Tensor | None) -> None:
        """Prepares the first search, given its z and weights."""
        if self.learns:
            self._prepared = self.quantizer.prepare_shared(
                z, weights, self.num_stages
            )

    def quantize(
        self,
        z: tf.Tensor,
        weights: tf.Tensor | None,
        codes: tf.Tensor | None = None,
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor | None, tf.Tensor]:
        """Returns what `quantize_vectors` does, for the next stage.

        Args:
            z, weights: as for `quantize_vectors`.
            codes: int32 `[G, N]` if they are known; else they are searched.
        """
        if codes is None:
            stage = len(self._seen)
            codes = self.quantizer.choose(z, self.training, stage)
        results = self.quantizer.finish(
            z, codes, weights, self.training, None, learns=False
        )
        self._seen.append((z, codes, results[2], weights))
        return results

    def learn(self) -> None:
        """Updates the quantizer's state, after the last stage."""
        if not self.learns:
            return
        z, codes, counts, weights = zip(*self._seen)
        weights = None if weights[0] is None else _together(weights, -1)
        self.quantizer.learn_shared(
            _together(z, -2),
            _together(codes, -1),
            tf.add_n(counts),
            weights,
            self._prepared,
        )


def check_shared(quantizer: Any, count: int | None) -> list[Any]:
    """Returns a quantizer `count` times, for as many stages.

    Args:
        quantizer: a `Quantizer` that can be shared.
        count: int, at least 1, the number of stages.

    Raises:
        ValueError: for anything else.
    """
    made_of_others = hasattr(quantizer, "stages") or hasattr(
        quantizer, "quantizers"
    )
    if not isinstance(quantizer, Shareable) or made_of_others:
        raise ValueError(
            "shared=True needs a single quantizer that is not made of others, "
            f"for all stages. Received: stages={quantizer!r}. Leave shared out "
            "if each stage is to have its own."
        )
    count = check_positive("num_quantizers of shared stages", count)
    return [quantizer] * count


def _together(tensors, axis):
    """Joins tensors along an axis, by positions and not by stages.

    The latents of all replicas, one after the other, are then in the order of
    one device.
    """
    before = tensors[0].shape[:axis]
    after = tensors[0].shape[axis:][1:]
    stacked = tf.stack(tensors, axis=len(tensors[0].shape) + axis + 1)
    return tf.reshape(stacked, [*before, -1, *after])
