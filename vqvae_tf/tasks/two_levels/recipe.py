"""Two-level recipes: a second VQ-VAE over the code maps of a preset."""

from ml_collections import ConfigDict

from vqvae_tf.models import VQVAE
from vqvae_tf.recipes import building, registry, schema
from vqvae_tf.tasks import base_model
from vqvae_tf.tasks.pictures import recipe as pictures


def defaults() -> ConfigDict:
    """Returns a two-level recipe with every key at its default."""
    return schema.common(
        # The preset whose codes are the data.
        base=None,
        data=schema.data(**pictures.picture_keys()),
        # How codes are embedded.
        preprocess=schema.section(name=None),
        encoder=schema.section(name="Encoder"),
        quantizer=schema.section(name="VectorQuantizerEMA"),
        decoder=schema.section(name="Decoder"),
        training=schema.training(),
        prior=schema.section(name=None),
        prior_training=schema.prior_training(),
    )


def check(config: ConfigDict) -> None:
    """Raises ValueError unless the recipe names the codes it is for."""
    pictures.check_pictures(config)
    pictures.refuse_keys(config, "feature_network")
    base_model.check_named(config, "preprocess")


def make_autoencoder(config: ConfigDict) -> VQVAE:
    """Makes the VQ-VAE of code maps."""
    quantizer = building.make(config, "quantizer")
    decoder = building.make(
        config, "decoder", local_channels=quantizer.channels
    )
    books = decoder.num_codebooks
    return VQVAE(
        encoder=building.make(config, "encoder"),
        quantizer=quantizer,
        decoder=decoder,
        preprocess=building.make(config, "preprocess"),
        event_shape=(*decoder.event_shape, *([books] if books > 1 else [])),
    )


KIND = registry.Kind(
    name="codes",
    defaults=defaults,
    check=check,
    make_autoencoder=make_autoencoder,
    make_prior=building.prior_of_codes,
    is_of=lambda config: (
        config.base is not None or config.preprocess.name is not None
    ),
)
