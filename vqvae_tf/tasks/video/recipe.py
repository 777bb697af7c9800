"""Recipes of video: a prior of the next frame's codes."""

import keras
import numpy as np
from ml_collections import ConfigDict

from vqvae_tf import data, densities, networks
from vqvae_tf.evaluation.video import STEPS
from vqvae_tf.recipes import building, registry, rules, schema
from vqvae_tf.tasks import base_model
from vqvae_tf.tasks.pictures import recipe as pictures
from vqvae_tf.utils.code_sizes import as_argument


def defaults() -> ConfigDict:
    """Returns a recipe of video with every key at its default."""
    return schema.common(
        # The preset whose codes are the data.
        base=None,
        data=schema.data(image_size=None, channels=3),
        # The network that encodes past frames for the prior.
        context=schema.section(name=None),
        # The head of the prior that predicts each code's own distribution.
        marginals=schema.plain(channels=None, weight=1.0),
        prior=schema.section(name=None),
        prior_training=schema.prior_training(),
    )


def check(config: ConfigDict) -> None:
    """Raises ValueError unless the recipe names the codes it is for."""
    pictures.check_pictures(config)
    base_model.check_named(config, "context")


def make_prior(config: ConfigDict) -> densities.ConditionalDensity:
    """Makes the prior of the next frame, with the network of past frames."""
    network = building.make(config, "context")
    sizes = np.atleast_1d(network.num_embeddings).tolist()
    density = building.make(
        config,
        "prior",
        num_embeddings=as_argument(sizes),
        num_codebooks=len(sizes),
        local_channels=network.hidden_channels,
    )
    return densities.ConditionalDensity(
        network, density, config.marginals.channels, config.marginals.weight
    )


def open_split(
    description: dict | ConfigDict, split: str, data_dir: str | None = None
) -> data.Episodes:
    """Opens a split of the episodes that a recipe or preset describes."""
    options = pictures.open_options(description)
    return data.open_episodes(description["source"], split, data_dir, **options)


def suited(video: keras.Model, episodes: data.Episodes) -> data.Episodes:
    """Returns episodes in the form that a model of video takes.

    Args:
        video: a `VideoGenerator`.
        episodes: `data.Episodes` of frames.

    Returns:
        The episodes, without actions if the model takes none.

    Raises:
        ValueError: for frames of another size, actions that the model does not
            know, and if no episode is long enough to predict a frame.
    """
    size, expected = episodes.values.shape[1:], video.autoencoder.event_shape
    if any(b not in (None, a) for a, b in zip(size, expected, strict=True)):
        raise ValueError(
            f"The autoencoder was trained on frames of {tuple(expected)}. "
            f"Received: {episodes.name} with frames of {size}. Resize them, or "
            "train an autoencoder of that size."
        )
    episodes.clip_starts(video.num_past + 1)
    network = video.prior.network
    if network.num_actions is None and network.action_size is None:
        return episodes.without_actions()
    if not _fit(network, episodes):
        raise ValueError(
            f"The network of past frames takes {_kind(network)}. Received: "
            f"{episodes.name} with {_kind(episodes)}. Set num_actions or "
            "action_size of the recipe's context."
        )
    return episodes


def _fit(network, episodes):
    """Returns whether a network knows the actions of episodes."""
    if network.action_size is not None or episodes.num_actions is None:
        return (
            episodes.actions is not None
            and episodes.action_size == network.action_size
        )
    taken = episodes.taken
    return taken.min(initial=0) >= 0 and taken.max(initial=0) < (
        network.num_actions
    )


def _kind(of):
    """Returns which actions a network takes, or episodes have, in words."""
    if of.action_size is not None:
        return f"vectors of {of.action_size} as actions"
    if of.num_actions is None:
        return "no actions"
    taken = getattr(of, "taken", None)
    low = 0 if taken is None else taken.min(initial=0)
    return f"the actions {low}..{of.num_actions - 1}"


def future(video: keras.Model, episodes: data.Episodes) -> int:
    """Returns the length of rollouts: 10 frames, or all there are."""
    return min(STEPS, int(episodes.lengths.max()) - video.num_past)


def future_actions(
    video: keras.Model, actions: np.ndarray | None
) -> np.ndarray | None:
    """Returns clips' actions from the last given frame on; None if none."""
    return None if actions is None else actions[:, video.num_past - 1 : -1]


def far_apart(
    video: keras.Model, episodes: data.Episodes, count: int = 4
) -> tuple[np.ndarray, np.ndarray | None]:
    """Returns `count` clips, spread evenly over the episodes.

    Returns:
        Frames `[count, num_past + steps, ...]`, with `steps` from `future`, and
        their actions `[count, num_past + steps, ...]` or None.
    """
    length = video.num_past + future(video, episodes)
    starts = episodes.clip_starts(length)
    chosen = starts[np.linspace(0, len(starts) - 1, count).astype(int)]
    steps = chosen[:, None] + np.arange(length)
    actions = episodes.actions
    return episodes.values[steps], None if actions is None else actions[steps]


KIND = registry.Kind(
    name="video",
    defaults=defaults,
    check=check,
    make_prior=make_prior,
    is_of=lambda config: config.context.name is not None,
    parts={"context": (networks,)},
    rules={
        "marginals.channels": rules.SIZE.or_none(),
        "marginals.weight": rules.real(0),
    },
)
