"""What the prior of a hierarchical model must be like."""

import keras

from vqvae_tf.densities.code_chain import CodeChain
from vqvae_tf.models.code_model import check_prior_of
from vqvae_tf.networks.upper_codes import UpperCodes


def sizes_of(quantizer: keras.layers.Layer) -> int | list[int]:
    """Returns `num_embeddings` of a `CodeEmbedding` of a quantizer's codes.

    That of networks with one, too: `UpperCodes` (of each level), `PastFrames`.
    """
    if quantizer.num_codebooks == 1:
        return quantizer.num_embeddings
    return list(quantizer.num_codes)


def context_options(
    level: str, quantizers: dict, factors: dict[str, int]
) -> dict:
    """Returns the arguments of the `UpperCodes` of a level's prior.

    Args:
        level: its name.
        quantizers, factors: of all levels, the top first; see `CodeModel`.
    """
    names = list(quantizers)
    above = names[: names.index(level)]
    return {
        "levels": above,
        "num_embeddings": [sizes_of(quantizers[name]) for name in above],
        "factors": [factors[name] // factors[level] for name in above],
    }


def check_chain(
    prior: keras.Model, quantizers: dict, factors: dict[str, int]
) -> None:
    """Raises ValueError unless a density is a prior of all levels.

    Args:
        prior: the density.
        quantizers, factors: as for `context_options`.
    """
    densities = prior.by_level() if isinstance(prior, CodeChain) else {}
    if list(densities) != list(quantizers):
        raise ValueError(
            "The prior of a HierarchicalVQVAE must be a CodeChain with a "
            f"density for each of {', '.join(quantizers)}. Received: a "
            f"{type(prior).__name__} with {len(densities) or 'no'} levels."
        )
    for name, density in densities.items():
        check_prior_of(density, quantizers[name], f"The prior of {name}")
        network = getattr(density, "network", None)
        if isinstance(network, UpperCodes):
            expected = context_options(name, quantizers, factors)
            _check_network(name, network, expected)


def _check_network(name, network, expected):
    for key, value in expected.items():
        received = list(getattr(network, key))
        if received != value:
            raise ValueError(
                f"The UpperCodes of the prior of {name} must have {key}="
                f"{value}, as the model's levels above it. Received: {key}="
                f"{received}."
            )
