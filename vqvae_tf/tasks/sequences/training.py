"""The stage of sequences, of frames or of a preset's codes."""

import functools

import numpy as np
from ml_collections import ConfigDict

from vqvae_tf import data
from vqvae_tf.data.sequences.clips import EpisodeSequences
from vqvae_tf.encoding import arrays as encoding
from vqvae_tf.models import CodedSequenceModel
from vqvae_tf.recipes import building
from vqvae_tf.tasks.base_model import load_base
from vqvae_tf.tasks.sequences.card import rollout_picture
from vqvae_tf.tasks.sequences.recipe import open_split
from vqvae_tf.training.stages import Encoding, Plan, Stage, Steps
from vqvae_tf.training.workdir import CODES

PLANS = (Plan("model", "training"),)


def stages(config: ConfigDict, data_dir: str | None, with_prior: bool) -> Steps:
    """Yields the stage of a recipe; see `Task.stages`."""
    del with_prior  # there is none
    training, held_out = (
        open_split(config.data, split, data_dir)
        for split in (config.data.train_split, config.data.eval_split)
    )
    model = building.make_autoencoder(config)
    model.check_length(training.length)
    complete = model
    if config.base is not None:
        complete = CodedSequenceModel(load_base(config), model)
        episodes = training.episodes
        arrays = yield Encoding(
            CODES,
            complete.autoencoder,
            lambda base: {
                "codes": encoding.encode_array(base, episodes.values)
            },
        )
        codes = episodes.with_values(arrays["codes"].astype(np.int32))
        training = EpisodeSequences(codes, training.length)
    yield Stage(
        "model",
        model,
        config.training,
        functools.partial(
            data.sequence_batches,
            training,
            config.training.batch_size,
            seed=config.seed,
        ),
        lambda: {"rollouts": rollout_picture(complete, held_out)},
    )
    return complete
