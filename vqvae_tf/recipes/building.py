"""From a recipe's sections to models, priors and optimizers."""

import copy

import keras

from vqvae_tf import densities, layers, recipes
from vqvae_tf.layers.mel import frame_window
from vqvae_tf.models import VQVAE, Autoencoder, SpeechVQVAE
from vqvae_tf.recipes import classes as recipe_classes
from vqvae_tf.recipes.warm_start import warm_start
from vqvae_tf.utils.messages import first_line


def _make(config, section, **overrides):
    options = copy.deepcopy(config.get(section).to_dict())
    name = options.pop("name")
    if name is None:
        return None
    options = {**options, **overrides}
    recipe_classes.check_given(section, name, options)
    try:
        return recipe_classes.find_class(section, name)(**options)
    except TypeError as error:
        raise ValueError(
            f"The recipe's {section}: {name} cannot be made of "
            f"{', '.join(options) or 'no arguments'}: {first_line(error)}"
        ) from error


def make_autoencoder(config) -> VQVAE | Autoencoder:
    """Builds the recipe's VQ-VAE or autoencoder, with its variables."""
    make = _make_autoencoder
    if recipes.kind(config) == "speech":
        make = _make_speech_vqvae
    model = make(config)
    model.build()
    _start(config, model, "autoencoder")
    return model


def _start(config, model, part, **options):
    if config.start is not None:
        own = recipe_classes.own_classes(config)
        warm_start(model, config.start, part, custom_objects=own, **options)


def _make_autoencoder(config):
    if recipes.kind(config) == "pictures":
        decoder = _make_picture_decoder(config)
        size = config.data.image_size
        event_shape = (size, size, config.data.channels)
    else:
        decoder = _make(config, "decoder", local_channels=_channels(config))
        event_shape = decoder.event_shape
    options = {
        "encoder": _make(config, "encoder"),
        "decoder": decoder,
        "preprocess": _make(config, "preprocess"),
        "event_shape": event_shape,
    }
    if config.bottleneck.name is None:
        return VQVAE(quantizer=_make(config, "quantizer"), **options)
    names = ("bottleneck", "corruption", "regularizer", "observation")
    return Autoencoder(**options, **{n: _make(config, n) for n in names})


def _channels(config):
    """Returns how many channels quantized latents have."""
    quantizer = config.quantizer
    recipe_classes.check_given("quantizer", quantizer.name, quantizer.keys())
    return quantizer.get("num_codebooks", 1) * quantizer.embedding_dim


def _make_speech_vqvae(config):
    companding = _make(config, "preprocess") or layers.MuLaw()
    encoder, data = _make(config, "encoder", rank=1), config.data
    wavenet = _make(
        config,
        "decoder",
        num_embeddings=companding.num_levels,
        event_shape=(data.window,),
        global_channels=data.num_speakers,
        local_channels=_channels(config),
        local_upsampling=encoder.downsampling,
    )
    return SpeechVQVAE(
        encoder,
        _make(config, "quantizer"),
        densities.WaveformDensity(wavenet, layers.MuLaw(companding.num_levels)),
        companding,
        sample_rate=data.sample_rate,
        adversary=_make(config, "adversary", num_classes=data.num_speakers),
        auxiliary=_make_spectral(config, "auxiliary", encoder.downsampling),
    )


def with_fast_decoder(config, autoencoder) -> SpeechVQVAE:
    """Returns a model of speech with the recipe's fast decoder, if it has one.

    All else are the parts of the model that is given.
    """
    decoder = _make_spectral(config, "fast_decoder", _stride(config))
    if decoder is None:
        return autoencoder
    model = autoencoder.with_fast_decoder(decoder)
    _start(config, model, "autoencoder", required=False)
    return model


def _make_spectral(config, section, stride):
    rate, options = config.data.sample_rate, config[section]
    window = options.get("window", frame_window(rate))
    return _make(config, section, sample_rate=rate, hop=stride, window=window)


def _stride(config):
    return 2 ** config.encoder.get("num_downsamples", 2)


def has_fast_decoder(config) -> bool:
    """Returns whether the model of a recipe of speech has one."""
    if config.fast_decoder.name is not None:
        return True
    auxiliary = _make_spectral(config, "auxiliary", _stride(config))
    return auxiliary is not None and auxiliary.vocoder is not None


def _make_picture_decoder(config):
    likelihood = _make(config, "likelihood")
    parameters = likelihood.num_parameters(config.data.channels)
    network = _make(config, "decoder", output_channels=parameters)
    return densities.FactorizedDensity(network, likelihood)


def make_prior(config):
    """Builds the recipe's prior with its variables; None where it has none."""
    if config.prior.name is None:
        return None
    if recipes.kind(config) == "video":
        prior = _make_video_prior(config)
    else:
        quantizer, classes = config.quantizer, config.data.num_classes
        prior = _make(
            config,
            "prior",
            num_embeddings=quantizer.num_embeddings,
            num_codebooks=quantizer.get("num_codebooks", 1),
            **({} if classes is None else {"global_channels": classes}),
        )
    prior.build()
    _start(config, prior, "prior")
    return prior


def _make_video_prior(config):
    network = _make(config, "context")
    density = _make(
        config,
        "prior",
        num_embeddings=network.num_embeddings,
        local_channels=network.hidden_channels,
    )
    return densities.ConditionalDensity(
        network, density, config.marginals.channels, config.marginals.weight
    )


def make_optimizer(training) -> keras.optimizers.Optimizer:
    """Adam with a linear warm-up and a cosine decay, as the recipe says."""
    # Keras computes in the dtype of the weights. In bfloat16 0.999 is 1, by
    # which the correction for the first steps makes every step 0.
    weights = keras.config.dtype_policy().variable_dtype
    beta_2 = 0.99 if weights == "bfloat16" else 0.999
    schedule = keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=0.0,
        decay_steps=max(training.steps - training.warmup_steps, 1),
        alpha=training.final_learning_rate / training.learning_rate,
        warmup_target=training.learning_rate,
        warmup_steps=training.warmup_steps,
    )
    return keras.optimizers.Adam(
        schedule,
        beta_2=beta_2,
        global_clipnorm=training.clip_norm,
    )
