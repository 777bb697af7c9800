"""What a part needs for its role in a model, looked at when that is made."""

import typing

import keras

from vqvae_tf.utils.messages import with_article


class Role(typing.NamedTuple):
    """What a part must be.

    Attributes:
        title: what it is called in an error, with an example.
        needs: attributes and methods that it has.
        lacks: what it has not, since that tells a part of another role.
        layer: whether it is a Keras layer or model.
    """

    title: str
    needs: tuple[str, ...] = ()
    lacks: tuple[str, ...] = ()
    layer: bool = True


# What densities and likelihoods, quantizers, bottlenecks and whole models
# have, and networks and other layers have not.
_NO_NETWORK = ("log_prob", "num_codebooks", "penalty", "compute_losses")

ROLES = {
    "network": Role(
        "a network, a Keras layer or model (networks.Encoder, Decoder, ...)",
        lacks=(*_NO_NETWORK, "decode"),
    ),
    "layer": Role("a Keras layer", lacks=_NO_NETWORK),
    "function": Role("a layer or callable", lacks=_NO_NETWORK, layer=False),
    "quantizer": Role(
        "a quantizer (VectorQuantizer, VectorQuantizerEMA)",
        needs=("encode", "decode", "num_embeddings", "num_codebooks"),
        lacks=("compute_losses",),
    ),
    "bottleneck": Role(
        "a bottleneck (bottlenecks.DiagonalGaussian(), Identity(), ...)",
        needs=("encode", "sample", "penalty", "num_channels", "has_prior"),
    ),
    "density": Role(
        "a density with log_prob, sample and mode (FactorizedDensity("
        "Decoder(...), Gaussian()), PixelCNN(...), ...)",
        needs=("log_prob", "sample", "mode"),
        lacks=("num_parameters",),
    ),
    "density of codes": Role(
        "a density of codes (WaveNet, PixelCNN)",
        needs=("log_prob", "sample", "mode", "logits", "num_embeddings"),
    ),
    "likelihood": Role(
        "a likelihood (Gaussian(), Bernoulli(), ...)",
        needs=("log_prob", "sample", "mode", "num_parameters"),
    ),
    "companding": Role(
        "a companding (layers.MuLaw(256))",
        needs=("encode", "decode", "num_levels"),
    ),
    "adversary": Role("a layers.LabelAdversary", needs=("num_classes",)),
    "spectral decoder": Role(
        "a layers.SpectralDecoder", needs=("mels", "errors", "waveform")
    ),
    "autoencoder": Role(
        "a VQVAE", needs=("encode", "decode", "latents", "quantizer", "decoder")
    ),
    "speech model": Role(
        "a SpeechVQVAE",
        needs=("auxiliary", "fast_decoder", "speaker_names", "quantizer"),
    ),
}


def check_role(owner, name, part, role):
    """Raises ValueError for a part that cannot have its role.

    Args:
        owner: the model or density that the part is given to.
        name: of the argument.
        part: what is given.
        role: one of `ROLES`.

    Example:

    >>> check_role(keras.Model(), "encoder", None, "network")
    Traceback (most recent call last):
    ...
    ValueError: The encoder of a Model is a network, a Keras layer or model
    (networks.Encoder, Decoder, ...). Received: None.
    """
    wanted = ROLES[role]
    is_kind = isinstance(part, keras.layers.Layer) or (
        not wanted.layer and callable(part)
    )
    fits = (
        is_kind
        and not isinstance(part, type)
        and all(_has(part, needed) for needed in wanted.needs)
        and not any(_has(part, lacked) for lacked in wanted.lacks)
    )
    if not fits:
        raise ValueError(
            f"The {name} of {with_article(owner)} is {wanted.title}. "
            f"Received: {_described(part)}."
        )


def _has(part, name):
    # Looked up in the class first: a property may need what is not there yet.
    return hasattr(type(part), name) or hasattr(part, name)


def _described(part):
    if part is None:
        return "None"
    if isinstance(part, type):
        return f"the class {part.__name__} itself; write {part.__name__}(...)"
    if not isinstance(part, keras.layers.Layer):
        return f"{part!r:.80} of type {type(part).__name__}"
    for role in _TELLING:
        if all(_has(part, needed) for needed in ROLES[role].needs):
            return f"{type(part).__name__}, a {role}"
    return f"{type(part).__name__}, a layer or network"


_TELLING = ("likelihood", "bottleneck", "autoencoder", "density", "quantizer")
