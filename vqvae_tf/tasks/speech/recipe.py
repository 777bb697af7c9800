"""Recipes of speech: a VQ-VAE of waveforms, and a prior over its codes."""

from ml_collections import ConfigDict

from vqvae_tf import data as sources, densities, layers
from vqvae_tf.layers.mel import frame_window
from vqvae_tf.models import SpeechVQVAE
from vqvae_tf.recipes import building, registry, rules, schema
from vqvae_tf.utils.checks import check_positive

# The class of each helper, and its arguments that the rest of the recipe sets.
_HELPERS = {
    "adversary": ("LabelAdversary", ("num_classes",)),
    "auxiliary": ("SpectralDecoder", ("sample_rate", "hop")),
    "fast_decoder": ("SpectralDecoder", ("sample_rate", "hop")),
}


def defaults() -> ConfigDict:
    """Returns a recipe of speech with every key at its default."""
    return schema.common(
        data=schema.data(
            # In Hz.
            sample_rate=None,
            # Samples in a training window.
            window=None,
            # "peak", or None to leave the loudness unchanged.
            normalize="peak",
            num_speakers=None,
            # Recordings of each split that evaluation uses, evenly spaced;
            # None for all. Evaluation keeps them in memory.
            max_recordings=5_000,
        ),
        preprocess=schema.section(name=None),
        encoder=schema.section(name="Encoder"),
        quantizer=schema.section(name="VectorQuantizerEMA"),
        decoder=schema.section(name="WaveNet"),
        # What removes the speaker from the codes, what forces the codes to
        # carry spectral information, and what turns that into waveforms.
        adversary=schema.section(name=None),
        auxiliary=schema.section(name=None),
        fast_decoder=schema.section(name=None),
        # Training of the codes before the WaveNet; 0 steps leave it out.
        code_training=schema.training(steps=0),
        training=schema.training(),
        # The fast decoder is trained after the codes.
        fast_training=schema.training(),
        prior=schema.section(name=None),
        prior_training=schema.prior_training(),
    )


def check(config: ConfigDict) -> None:
    """Raises ValueError if the data or the parts do not fit together."""
    for key in ("sample_rate", "window", "num_speakers"):
        value = config.data[key]
        if not rules.SIZE.holds(value):
            raise ValueError(
                f"A recipe of speech needs data.{key}, a positive integer. "
                f"Received: {value!r}."
            )
    if config.data.max_recordings is not None:
        check_positive("data.max_recordings", config.data.max_recordings)
    if config.decoder.name != "WaveNet":
        raise ValueError(
            'A recipe of speech needs decoder.name="WaveNet". Received: '
            f"decoder.name={config.decoder.name!r}."
        )
    stride = _stride(config)
    if config.data.window % stride:
        raise ValueError(
            f"data.window must be a multiple of the encoder's stride, {stride}."
            f" Received: data.window={config.data.window}."
        )
    if config.prior.get("global_channels") is not None:
        raise ValueError(
            "The prior of a recipe of speech is not conditioned on the "
            "speaker: leave out prior.global_channels. Received: "
            f"{config.prior.global_channels}."
        )
    if config.code_training.steps and config.auxiliary.name is None:
        raise ValueError(
            "code_training trains the codes with an auxiliary decoder: set "
            'auxiliary.name="SpectralDecoder". Received: code_training.steps='
            f"{config.code_training.steps} without one."
        )
    for section, (name, derived) in _HELPERS.items():
        _check_helper(section, config[section], name, derived)


def _check_helper(section, options, name, derived):
    if options.name not in (None, name):
        raise ValueError(
            f"{section}.name must be {name} or None. Received: {options.name}."
        )
    if given := [key for key in derived if key in options]:
        raise ValueError(
            f"{section}.{given[0]} follows from the rest of the recipe: leave "
            f"it out. Received: {section}.{given[0]}={options[given[0]]}."
        )


def make_autoencoder(config: ConfigDict) -> SpeechVQVAE:
    """Makes the recipe's VQ-VAE of waveforms, without a fast decoder."""
    companding = building.make(config, "preprocess") or layers.MuLaw()
    encoder, data = building.make(config, "encoder", rank=1), config.data
    quantizer = building.make(config, "quantizer")
    wavenet = building.make(
        config,
        "decoder",
        num_embeddings=companding.num_levels,
        event_shape=(data.window,),
        global_channels=data.num_speakers,
        local_channels=quantizer.channels,
        local_upsampling=encoder.downsampling,
    )
    return SpeechVQVAE(
        encoder,
        quantizer,
        densities.WaveformDensity(wavenet, layers.MuLaw(companding.num_levels)),
        companding,
        sample_rate=data.sample_rate,
        adversary=building.make(
            config, "adversary", num_classes=data.num_speakers
        ),
        auxiliary=_make_spectral(config, "auxiliary", encoder.downsampling),
    )


def with_fast_decoder(
    config: ConfigDict, autoencoder: SpeechVQVAE
) -> SpeechVQVAE:
    """Returns a model with the recipe's fast decoder added, if it has one.

    The other parts are shared with the given model.
    """
    decoder = _make_spectral(config, "fast_decoder", _stride(config))
    if decoder is None:
        return autoencoder
    model = autoencoder.with_fast_decoder(decoder)
    building.start(config, model, "autoencoder", required=False)
    return model


def has_fast_decoder(config: ConfigDict) -> bool:
    """Returns whether the model of a recipe has a fast decoder."""
    if config.fast_decoder.name is not None:
        return True
    auxiliary = _make_spectral(config, "auxiliary", _stride(config))
    return auxiliary is not None and auxiliary.vocoder is not None


def _make_spectral(config, section, stride):
    rate, options = config.data.sample_rate, config[section]
    window = options.get("window", frame_window(rate))
    return building.make(
        config, section, sample_rate=rate, hop=stride, window=window
    )


def _stride(config):
    return 2 ** config.encoder.get("num_downsamples", 2)


def open_split(
    description: dict | ConfigDict, split: str, data_dir: str | None = None
) -> sources.AudioSource:
    """Opens a split of the recordings that a recipe or preset describes."""
    return sources.open_audio(
        description["source"],
        split,
        description["sample_rate"],
        data_dir=data_dir,
        on_corrupt=description["on_corrupt"],
        normalize=description["normalize"],
    )


KIND = registry.Kind(
    name="speech",
    defaults=defaults,
    check=check,
    make_autoencoder=make_autoencoder,
    make_prior=building.prior_of_codes,
    is_of=lambda config: config.data.sample_rate is not None,
    parts={section: (layers,) for section in _HELPERS},
    rules={
        "data.max_recordings": rules.SIZE.or_none(),
        "data.normalize": rules.one_of("peak").or_none(),
        **rules.of_training("code_training"),
        "code_training.steps": rules.COUNT,  # 0 leaves it out
        **rules.of_training("training"),
        **rules.of_training("fast_training"),
    },
)
