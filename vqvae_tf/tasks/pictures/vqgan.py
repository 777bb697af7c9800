"""What recipes of pictures have for a VQGAN."""

from ml_collections import ConfigDict

from vqvae_tf.models import VQGAN
from vqvae_tf.models.adversarial import LOSSES
from vqvae_tf.recipes import building, rules

_REALS = (
    "pixel_weight",
    "squared_weight",
    "perceptual_weight",
    "adversarial_weight",
    "gradient_penalty",
)
_STEPS = ("adversarial_start", "adversarial_ramp", "discriminator_start")
_OF_OPTIMIZERS = ("beta_1", "beta_2", "learning_rate_ratio")
_SECTION = "adversarial"
RULES = {
    **{f"{_SECTION}.{name}": rules.real(0) for name in _REALS},
    **{f"{_SECTION}.{name}": rules.COUNT for name in _STEPS},
    f"{_SECTION}.adaptive_weight": rules.FLAG,
    f"{_SECTION}.adversarial_loss": rules.one_of(*LOSSES),
    f"{_SECTION}.beta_1": rules.real(0, below=1),
    f"{_SECTION}.beta_2": rules.real(0, below=1),
    f"{_SECTION}.learning_rate_ratio": rules.real(above=0),
}


def keys() -> dict:
    """Returns the options of a VQGAN and of its optimizers, at their defaults.

    They are arguments of `VQGAN`, but for Adam's `beta_1` and `beta_2`, and
    `learning_rate_ratio`, the discriminator's rate over the autoencoder's.
    """
    return dict(
        pixel_weight=1.0,
        squared_weight=0.0,
        perceptual_weight=1.0,
        adversarial_weight=0.8,
        adaptive_weight=True,
        adversarial_loss="hinge",
        adversarial_start=0,
        adversarial_ramp=0,
        discriminator_start=0,
        gradient_penalty=0.0,
        beta_1=0.5,
        beta_2=0.9,
        learning_rate_ratio=1.0,
    )


def is_vqgan(config: ConfigDict) -> bool:
    """Returns whether a recipe of pictures trains a VQGAN."""
    # Presets older than VQGAN lack these sections.
    return any(
        config[section].name is not None
        for section in ("discriminator", "perceptual")
        if section in config
    )


def check(config: ConfigDict) -> None:
    """Raises ValueError if what is only a VQGAN's is set for another model."""
    if is_vqgan(config):
        if config.bottleneck.name is not None:
            raise ValueError(
                "A VQGAN has codes: a discriminator or a perceptual distance "
                "cannot be combined with a bottleneck. Received: "
                f"bottleneck.name={config.bottleneck.name!r}, "
                f"discriminator.name={config.discriminator.name!r}, "
                f"perceptual.name={config.perceptual.name!r}."
            )
        return
    for key, default in keys().items():
        if config.adversarial[key] != default:
            raise ValueError(
                f"adversarial.{key} is for a VQGAN: name a discriminator or a "
                "perceptual distance. Received: "
                f"adversarial.{key}={config.adversarial[key]!r}."
            )


def make(config: ConfigDict, **options: object) -> VQGAN:
    """Makes a recipe's VQGAN; the options are its other arguments."""
    further = config.adversarial.to_dict()
    for key in _OF_OPTIMIZERS:
        del further[key]
    return VQGAN(
        quantizer=building.make(config, "quantizer"),
        discriminator=building.make(config, "discriminator"),
        perceptual=building.make(config, "perceptual"),
        **options,
        **further,
    )


def make_optimizers(config: ConfigDict, training: ConfigDict) -> dict:
    """Returns the arguments of the autoencoder's `compile`.

    Args:
        config: a recipe.
        training: its section of the autoencoder's training.
    """
    if not is_vqgan(config):
        return {"optimizer": building.make_optimizer(training)}
    options = config.adversarial
    betas = dict(beta_1=options.beta_1, beta_2=options.beta_2)
    found = {"optimizer": building.make_optimizer(training, **betas)}
    if config.discriminator.name is not None:
        # Nothing but training uses the discriminator: it has no averages.
        training = training.copy_and_resolve_references()
        training.ema_momentum = None
        found["discriminator_optimizer"] = building.make_optimizer(
            training, rate=options.learning_rate_ratio, **betas
        )
    return found
