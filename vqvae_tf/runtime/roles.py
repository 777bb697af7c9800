"""Requirements on the parts of a model, checked in its constructor."""

import typing

import keras

from vqvae_tf.utils.messages import with_article


class Role(typing.NamedTuple):
    """Requirements on a part.

    Attributes:
        title: name in error messages, with examples.
        needs: attributes and methods that it must have.
        lacks: those that it must not have, since they mark other roles.
        layer: whether it must be a Keras layer or model.
    """

    title: str
    needs: tuple[str, ...] = ()
    lacks: tuple[str, ...] = ()
    layer: bool = True


# Attributes of densities and likelihoods, quantizers, bottlenecks and whole
# models, which networks and other layers lack.
_NO_NETWORK = ("log_prob", "num_codebooks", "penalty", "compute_losses")

ROLES = {
    "network": Role(
        "a network, a Keras layer or model (networks.Encoder, Decoder, ...)",
        lacks=(*_NO_NETWORK, "decode"),
    ),
    "layer": Role("a Keras layer", lacks=_NO_NETWORK),
    "function": Role("a layer or callable", lacks=_NO_NETWORK, layer=False),
    "quantizer": Role(
        "a quantizer (quantizers.VectorQuantizerEMA(...), FSQ(...), ...)",
        needs=(
            *("encode", "decode", "channels", "num_embeddings"),
            *("num_codebooks", "num_codes", "bits_per_position"),
            "codes_shape",
        ),
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


def check_role(owner: object, name: str, part: object, role: str) -> None:
    """Raises ValueError for a part that does not fit its role.

    Args:
        owner: the model or density that takes the part.
        name: name of the argument.
        part: value of the argument.
        role: a key of `ROLES`.

    Example:

    >>> check_role(keras.Model(), "encoder", None, "network")
    Traceback (most recent call last):
    ...
    ValueError: The encoder of a Model must be a network, a Keras layer or
    model (networks.Encoder, Decoder, ...). Received: None.
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
            f"The {name} of {with_article(owner)} must be {wanted.title}. "
            f"Received: {_described(part)}."
        )


def _has(part, name):
    # The class first, since a property may need attributes not yet set.
    return hasattr(type(part), name) or hasattr(part, name)


def _described(part):
    if part is None:
        return "None"
    if isinstance(part, type):
        return f"the class {part.__name__} itself; pass {part.__name__}(...)"
    if not isinstance(part, keras.layers.Layer):
        return f"{part!r:.80} of type {type(part).__name__}"
    for role in _TELLING:
        if all(_has(part, needed) for needed in ROLES[role].needs):
            return f"{type(part).__name__}, a {role}"
    return f"{type(part).__name__}, a layer or network"


_TELLING = ("likelihood", "bottleneck", "autoencoder", "density", "quantizer")
