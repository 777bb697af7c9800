"""Recipes of sequences: TD-VAE and what it is compared with."""

import sys

import keras
from ml_collections import ConfigDict

from vqvae_tf import data, models, networks, quantizers
from vqvae_tf.data.sequences.source import SequenceSource
from vqvae_tf.models import CodedSequenceModel
from vqvae_tf.recipes import building, classes, registry, rules, schema
from vqvae_tf.tasks.pictures import recipe as pictures

FORMS = ("moving", "oscillator", "switching_oscillator", "episodes")
RECURRENT = ("LSTM", "GRU", "SimpleRNN")


def defaults() -> ConfigDict:
    """Returns a recipe of sequences with every key at its default."""
    return schema.common(
        # A preset whose codes are the frames; None for frames as they are.
        base=None,
        data=schema.data(
            # As for data.open_sequences.
            form="episodes",
            length=None,
            channels=3,
            # Held-out sequences that are measured; None for all.
            max_sequences=None,
        ),
        # TDVAE, StateSpaceModel or NextFrameModel, with `event_shape`.
        model=schema.section(name=None),
        preprocess=schema.section(name="PixelScaling"),
        encoder=schema.section(name="Encoder"),
        # A Keras layer, which returns the beliefs.
        recurrent=schema.plain(name="LSTM", units=64),
        # None if the decoder is a density itself.
        likelihood=schema.section(name=None),
        decoder=schema.section(name="Decoder"),
        training=schema.training(),
    )


def check(config: ConfigDict) -> None:
    """Raises ValueError unless the recipe says what is modelled."""
    if config.model.name is None or "event_shape" not in config.model:
        raise ValueError(
            'A recipe of sequences needs model.name, such as "TDVAE", and '
            "model.event_shape, the shape of a frame. Received: "
            f"model={config.model.to_dict()!r}."
        )
    gaps = config.model.get("gaps")
    if gaps is not None and min(low for low, _ in gaps) > 1:
        raise ValueError(
            "Figures and cards continue sequences frame by frame, so some of "
            f"model.gaps must begin at 1. Received: model.gaps={gaps!r}."
        )
    if config.base is not None and config.data.form != "episodes":
        raise ValueError(
            "A base encodes the frames of episodes. Received: "
            f"base={config.base!r} with data.form={config.data.form!r}."
        )


def make_model(config: ConfigDict) -> keras.Model:
    """Makes the recipe's model of sequences."""
    layer = getattr(keras.layers, config.recurrent.name)
    return building.make(
        config,
        "model",
        encoder=building.make(config, "encoder"),
        recurrent=layer(config.recurrent.units, return_sequences=True),
        decoder=_make_decoder(config),
        preprocess=building.make(config, "preprocess"),
        seed=config.seed,
    )


def _make_decoder(config):
    """Makes the density of a frame given latents, or given the belief."""
    if config.likelihood.name is not None:
        return pictures.make_decoder(config)
    cls = classes.find_class("model", config.model.name)
    channels = cls.context_channels(
        config.recurrent.units, **config.model.to_dict()
    )
    entry = "global_channels"
    if config.decoder.get("local_upsampling") is not None:
        entry = "local_channels"
    return building.make(config, "decoder", **{entry: channels})


def open_split(
    description: dict | ConfigDict, split: str, data_dir: str | None = None
) -> SequenceSource:
    """Opens a split of the sequences that a recipe or preset describes."""
    return data.open_sequences(
        description["form"],
        description["source"],
        split,
        data_dir,
        length=description["length"],
        **options(description),
    )


def options(description: dict | ConfigDict) -> dict:
    """Returns how a description's source is opened, apart from its place."""
    return dict(
        on_corrupt=description["on_corrupt"],
        progress=sys.stderr.isatty(),
        channels=description["channels"],
    )


def of_frames(model: keras.Model) -> keras.Model:
    """Returns the model of frames, or of their codes, within a model."""
    return model.model if isinstance(model, CodedSequenceModel) else model


KIND = registry.Kind(
    name="sequences",
    defaults=defaults,
    check=check,
    make_autoencoder=make_model,
    make_prior=lambda config: None,
    parts={"model": (models, networks, quantizers)},
    rules={
        "data.form": rules.one_of(*FORMS),
        "data.length": rules.whole(2).or_none(),
        "data.max_sequences": rules.SIZE.or_none(),
        "recurrent.name": rules.one_of(*RECURRENT),
        "recurrent.units": rules.SIZE,
    },
)
