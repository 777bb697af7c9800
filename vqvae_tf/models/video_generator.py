"""Video generation: an autoencoder of frames and a prior of next frames."""

from typing import Any, NoReturn

import keras
import numpy as np
import tensorflow as tf

from vqvae_tf.densities.conditioning import size_of
from vqvae_tf.densities.sampling import Sampling, takes_sampling
from vqvae_tf.models.code_model import check_prior_of
from vqvae_tf.models.frame_codes import FrameCodes
from vqvae_tf.models.level_priors import sizes_of
from vqvae_tf.runtime import random
from vqvae_tf.runtime.roles import check_role
from vqvae_tf.utils import tensor_checks
from vqvae_tf.utils.graph_cache import Graphs, call


@keras.saving.register_keras_serializable("vqvae_tf")
class VideoGenerator(FrameCodes):
    """Continues a video in the space of codes, and decodes it at the end.

    As in section 4.4 of arXiv:1711.00937: given a few frames and future
    actions, the prior draws the codes of the next frames, one frame at a time;
    all are then decoded together. The autoencoder and the prior are trained
    separately, each with its own `fit`.

    Args:
        autoencoder: a `VQVAE` of frames, with any quantizer.
        prior: p(next codes | codes of the past frames, action), a
            `ConditionalDensity` of a `PastFrames` network and a `PixelCNN`,
            both of as many codebooks as the quantizer has.

    Raises:
        ValueError: if the prior is not a density of the autoencoder's codes,
            or has no network of past frames.

    Example: three futures of one start.

    >>> video = VideoGenerator.from_preset("video_dmlab84")
    >>> start = tf.zeros([1, 6, 84, 84, 3], tf.uint8)
    >>> left = tf.fill([1, 10], 4)
    >>> video.rollout(start, left, num_futures=3, seed=0).shape
    TensorShape([3, 10, 84, 84, 3])

    References:
        van den Oord et al. 2017, arXiv:1711.00937, section 4.4.
    """

    loss_names = ()
    parts = ("autoencoder", "prior")

    def __init__(
        self, autoencoder: keras.Model, prior: keras.Model, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        check_role(self, "autoencoder", autoencoder, "autoencoder")
        _check_fit(autoencoder, prior)
        self.autoencoder = autoencoder
        self.prior = prior
        self._graphs = Graphs()

    @property
    def num_past(self) -> int:
        """The number of past frames that the prior sees."""
        return self.prior.network.num_past

    @property
    def num_actions(self) -> int | None:
        """Actions are 0..num_actions-1; None if they are not integers."""
        return self.prior.network.num_actions

    # Rollouts ---------------------------------------------------------------

    @takes_sampling
    def rollout(
        self,
        context_frames: tf.Tensor | np.ndarray,
        actions: tf.Tensor | np.ndarray | None = None,
        num_frames: int | tf.Tensor | None = None,
        num_futures: int | tf.Tensor = 1,
        sampling: Sampling | None = None,
    ) -> tf.Tensor:
        """Continues the given frames.

        Args:
            context_frames: `[batch, time, height, width, channels]` in 0..255;
                the last `num_past` of them are used.
            actions: integers `[batch, num_frames]` (or floats, with a last
                axis `action_size`): the first is taken at the last given
                frame, and leads to the first new one. None for no actions.
            num_frames: the number of frames to draw; by default one per
                action.
            num_futures: F, the number of continuations of each clip.
            temperature, top_k, top_p: of the prior. Temperature 0 takes the
                most probable code of each position: of its marginal, if the
                prior has marginals (see `ConditionalDensity.sample`; a frame
                then costs one pass of the network), else given earlier codes.
            seed: an integer, or int32 [2].

        Returns:
            uint8 `[batch * F, num_frames, height, width, channels]`; the
            futures of a clip are consecutive.

        Raises:
            ValueError: for fewer than `num_past` frames, frames of the wrong
                size, unknown actions, or neither actions nor num_frames.
        """
        frames = self._check_context(context_frames)
        codes = self.encode(frames[:, -self.num_past :])
        return self.decode(
            self.rollout_codes(
                codes, actions, num_frames, num_futures, sampling=sampling
            )
        )

    @takes_sampling
    def rollout_codes(
        self,
        codes: tf.Tensor | np.ndarray,
        actions: tf.Tensor | np.ndarray | None = None,
        num_frames: int | tf.Tensor | None = None,
        num_futures: int | tf.Tensor = 1,
        sampling: Sampling | None = None,
    ) -> tf.Tensor:
        """Continues the given codes, int32 `[batch, time, *grid]`.

        Other arguments as for `rollout`; returns int32 `[batch * F,
        num_frames, *grid]`. Both have a last axis G for G > 1 codebooks.
        """
        sampling = sampling.checked()
        if sampling.given is not None:
            raise ValueError(
                "Videos are continued, not completed. Received: given."
            )
        num_futures = tensor_checks.count("num_futures", num_futures)
        if num_frames is not None:
            num_frames = tensor_checks.count("num_frames", num_frames)
        past = self._check_context(codes, "codes")[:, -self.num_past :]
        if not self.built:
            self.build()
        past = tensor_checks.whole_numbers(
            past, self.autoencoder.quantizer.num_codes
        )
        actions, num_frames = self._check_actions(actions, num_frames, past)
        num_frames = tensor_checks.count("num_frames", num_frames)
        if actions is not None:
            actions = tf.repeat(actions, num_futures, axis=0)
        if tf.executing_eagerly():
            sampling = sampling.as_tensors(self.prior.num_embeddings)
        arguments = {
            "past": tf.repeat(past, num_futures, axis=0),
            "actions": actions,
            "num_frames": tf.convert_to_tensor(num_frames),
            "sampling": sampling,
        }
        if not tf.executing_eagerly():
            return self._roll(arguments)
        # One graph for all options, numbers of frames and futures.
        kind = (sampling.is_filtered, *past.shape[2:])
        roll = self._graphs.get(self._roll, kind=kind)
        return call(roll, arguments, past=[0], actions=[0, 1])

    def _roll(self, arguments):
        past, actions = arguments["past"], arguments["actions"]
        num_frames, sampling = arguments["num_frames"], arguments["sampling"]
        drawn = tf.TensorArray(
            tf.int32, num_frames, element_shape=past[:, 0].shape
        )

        def next_frame(t, past, drawn):
            context = {"past": past}
            if actions is not None:
                context["action"] = tf.gather(actions, t, axis=1)
            codes = self.prior.sample(
                size_of(past, 0),
                context,
                **sampling._replace(
                    seed=random.fold_in(sampling.seed, t)
                )._asdict(),
            )
            codes = tf.ensure_shape(codes, past[:, 0].shape)
            moved = tf.concat([past[:, 1:], codes[:, tf.newaxis]], axis=1)
            moved = tf.ensure_shape(moved, past.shape)
            return t + 1, moved, drawn.write(t, codes)

        _, _, drawn = tf.while_loop(
            lambda t, *_: t < num_frames,
            next_frame,
            [tf.constant(0), past, drawn],
        )
        return tf.einsum("tb...->bt...", drawn.stack())

    # Checks -----------------------------------------------------------------

    def _check_context(self, values, name="context_frames"):
        values = tensor_checks.as_tensor(name, values)
        if name == "context_frames":
            self.check_frames(values)
        else:
            self.check_codes(values)
        time = values.shape[1]
        if time is not None and time < self.num_past:
            raise ValueError(
                f"The prior needs {self.num_past} frames to continue. "
                f"Received: {name} of shape {tuple(values.shape)}, {time} "
                "frames. Give a longer clip."
            )
        return values

    def check_codes(self, codes: tf.Tensor) -> None:
        quantizer = self.autoencoder.quantizer
        groups = quantizer.codes_shape((quantizer.channels,))
        shape = [None] * 4 + list(groups)
        if not codes.shape.is_compatible_with(shape):
            axes = ["batch", "time", "height", "width", *map(str, groups)]
            raise ValueError(
                f"Codes of video must have shape [{', '.join(axes)}]. "
                f"Received: codes of shape {tuple(codes.shape)}."
            )

    def _check_actions(self, actions, num_frames, past):
        """Returns actions as a tensor, or None, and the number of frames."""
        if actions is None:
            if num_frames is None:
                raise ValueError(
                    "The number of frames is unknown: pass actions [batch, "
                    "num_frames], or num_frames. Received: neither."
                )
            return None, num_frames
        network = self.prior.network
        actions = tensor_checks.as_tensor("actions", actions)
        axes = ["batch", "num_frames"]
        if network.action_size is not None:
            axes.append(str(network.action_size))
        elif network.num_actions is None:
            raise ValueError(
                "The prior was trained without actions. Received: actions of "
                f"shape {tuple(actions.shape)}; leave them out."
            )
        batch, sizes = past.shape[0], tuple(actions.shape)
        if len(sizes) != len(axes) or (
            None not in (batch, sizes[0]) and batch != sizes[0]
        ):
            raise ValueError(
                f"actions must have shape [{', '.join(axes)}], with a batch of "
                f"{batch}. Received: actions of shape {sizes}."
            )
        actions = network.check_actions(actions)
        available = sizes[1] if sizes[1] is not None else tf.shape(actions)[1]
        if num_frames is None:
            return actions, available
        message = f"There must be an action for each of {num_frames} frames."
        if isinstance(available, int) and isinstance(num_frames, int):
            if num_frames > available:
                raise ValueError(
                    f"{message} Received: actions of shape {sizes}."
                )
            return actions, num_frames
        enough = num_frames <= available
        message = "There must be an action for each frame. Received: actions ="
        actions = tensor_checks.checked(actions, (enough, message, available))
        return actions, num_frames

    # Training ---------------------------------------------------------------

    def compute_losses(
        self,
        x: tf.Tensor,
        context: dict[str, tf.Tensor] | None = None,
        weight: tf.Tensor | None = None,
        training: bool = False,
    ) -> NoReturn:
        raise RuntimeError(
            "A VideoGenerator is trained in two stages: fit its autoencoder on "
            "frames, then its prior on clips of their codes "
            "(data.clip_batches). Received: a call of fit or evaluate."
        )


def _check_fit(autoencoder, prior):
    network = getattr(prior, "network", None)
    if not hasattr(network, "num_past"):
        raise ValueError(
            "A VideoGenerator needs (autoencoder, prior); the prior must be a "
            "ConditionalDensity with a network of past frames (PastFrames). "
            f"Received: {type(prior).__name__} with the network "
            f"{type(network).__name__}."
        )
    quantizer = autoencoder.quantizer
    check_prior_of(prior, quantizer)
    expected = sizes_of(quantizer)
    received = getattr(network, "num_embeddings", expected)
    if np.iterable(received):
        received = list(received)
    if received != expected:
        raise ValueError(
            "The network of past frames must embed the autoencoder's codes, "
            f"with num_embeddings={expected}. Received: a "
            f"{type(network).__name__} with num_embeddings={received}. Make it "
            f"with num_embeddings={expected}."
        )
