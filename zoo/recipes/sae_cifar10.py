"""Pictures to rarely active units: ae_cifar10, sparse.

    vqvae-tf train --config=sae_cifar10 --workdir=RUN --data_dir=DATA

All units active within 20 % of rho = 0.1, 24.62 dB; three to five minutes on
two cores.
"""

from vqvae_tf.recipes import find_recipe, read_recipe


def get_config():
    config = read_recipe(find_recipe("ae_cifar10"))
    config.name = "sae_cifar10"
    config.bottleneck.update(name="Sparse", rho=0.1, weight=300.0)
    config.card.update(
        summary="32x32 RGB pictures to 8x8 latents of 16 units, each active a "
        "tenth of the time: a sparse autoencoder.",
    )
    return config
