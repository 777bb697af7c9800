"""The stage of video: a prior over codes (section 4.4 of arXiv:1711.00937)."""

import functools

import keras
import numpy as np
from ml_collections import ConfigDict

from vqvae_tf import data
from vqvae_tf.encoding import arrays as encoding
from vqvae_tf.models import VideoGenerator
from vqvae_tf.recipes import building
from vqvae_tf.tasks.base_model import check_base, load_base
from vqvae_tf.tasks.video.card import interleaved
from vqvae_tf.tasks.video.recipe import (
    far_apart,
    future_actions,
    open_split,
    suited,
)
from vqvae_tf.training.stages import Encoding, Plan, Stage, Steps
from vqvae_tf.training.workdir import CODES

PLANS = (Plan("prior", "prior_training", keys=("prior.", "marginals")),)


def stages(config: ConfigDict, data_dir: str | None, with_prior: bool) -> Steps:
    """Yields the stage of a recipe; see `Task.stages`."""
    del with_prior  # the prior is the only stage
    base = load_base(config)
    prior = building.make_prior(config)
    check_base(base, prior)
    video = VideoGenerator(base, prior)
    episodes, held_out = (
        suited(video, open_split(config.data, split, data_dir))
        for split in (config.data.train_split, config.data.eval_split)
    )
    arrays = yield Encoding(
        CODES,
        base,
        lambda model: {"codes": encoding.encode_array(model, episodes.values)},
    )
    yield Stage(
        "prior",
        prior,
        config.prior_training,
        functools.partial(
            data.clip_batches,
            episodes.with_values(arrays["codes"].astype(np.int32)),
            video.num_past,
            config.prior_training.batch_size,
            seed=config.seed,
        ),
        lambda: {"rollouts": rollout_sheet(video, held_out)},
    )
    return video


def rollout_sheet(video: keras.Model, episodes: data.Episodes) -> np.ndarray:
    """Draws true frames, each clip above a rollout, of clips far apart."""
    frames, actions = far_apart(video, episodes)
    past, steps = video.num_past, frames.shape[1] - video.num_past
    known = future_actions(video, actions)
    drawn = video.rollout(frames[:, :past], known, steps, seed=0).numpy()
    return interleaved([frames[:, past:], drawn])
