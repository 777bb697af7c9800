"""The card of an autoencoder other than a VQ-VAE."""

from ml_collections import ConfigDict

from vqvae_tf import bottlenecks


def summary(config: ConfigDict) -> str:
    """Returns the summary of a recipe with a `bottleneck`.

    Example:

    >>> from vqvae_tf import recipes
    >>> config = recipes.defaults()
    >>> config.data.update(image_size=28, channels=1)
    >>> config.bottleneck.update(name="DiagonalGaussian", beta=4.0)
    >>> summary(config)
    'A beta-VAE of 28x28 grey pictures, beta=4.0.'
    """
    size = config.data.image_size
    grey = "grey " if config.data.channels == 1 else ""
    options = config.bottleneck.to_dict()
    said = [f"{k}={options[k]}" for k in _SAID if options.get(k) is not None]
    pictures = f"{size}x{size} {grey}pictures"
    return f"{_member(config)} of {', '.join([pictures, *said])}."


# Options of bottlenecks that distinguish members of the family.
_SAID = ("beta", "capacity", "rho", "k", "num_samples")


def _member(config):
    """Returns which member of the family a recipe builds, with an article."""
    options = config.bottleneck.to_dict()
    name, estimator = options["name"], options.get("estimator", "elbo")
    if name == "IndependentCategorical":
        return "A categorical autoencoder trained by VIMCO"
    if name == "DiagonalGaussian":
        if estimator != "elbo":
            by = {"iwae": "the importance-weighted bound", "vimco": "VIMCO"}
            return f"A Gaussian autoencoder trained by {by[estimator]}"
        plain = options.get("beta", 1) == 1 and not options.get("capacity")
        return "A VAE" if plain else "A beta-VAE"
    words = []
    if config.corruption.name is not None:
        words.append("denoising")
    if config.regularizer.name is not None:
        words.append("contractive")
    words += {"Sparse": ["sparse"], "KSparse": ["k-sparse"]}.get(name, [])
    return f"A {' '.join(words) or 'plain'} autoencoder"


def has_prior(config: ConfigDict) -> bool:
    """Returns whether the recipe's bottleneck has a prior."""
    return getattr(bottlenecks, config.bottleneck.name).has_prior


def shown(config: ConfigDict, source: str, other: str) -> str:
    """Returns the part of a card with its pictures.

    Args:
        config: a recipe with a `bottleneck`.
        source: what the pictures show, and their licence.
        other: a further sentence about their origin, or "".
    """
    below = "each above its\nreconstruction"
    if config.corruption.name is not None:
        below = "below each\nits corrupted version, and below that the model's "
        below += "output"
    text = "![originals above reconstructions](reconstructions.png)\n\n"
    text += f"{source}, {below}.{other}\n"
    if has_prior(config):
        text += "\n![samples](samples.png)\n\n"
        text += "Samples: latents drawn from the prior and decoded.\n"
    return text


def use_text(name: str, config: ConfigDict) -> str:
    """Returns example code."""
    lines = [
        "from vqvae_tf import Autoencoder",
        "",
        f'model = Autoencoder.from_preset("{name}")',
        "latents = model.encode(images)  # uint8 in, float32 latents out",
        "pictures = model.decode(latents)",
    ]
    if config.observation.name is not None:
        modelled = "images = model.observation(images, seed=0)"
        lines.insert(3, f"{modelled}  # what it models: drawn anew")
    if config.corruption.name is not None:
        lines.append("restored = model.reconstruct(damaged)")
    if has_prior(config):
        lines.append("samples = model.sample(16, seed=0)")
    return "\n".join(lines)
