"""Digits to 196 rarely active units: ae_mnist, sparse.

    vqvae-tf train --config=sae_mnist --workdir=RUN --data_dir=DATA

Units active for a tenth of the digits (rho = 0.1); one to two minutes on two
cores.
"""

from vqvae_tf.recipes import find_recipe, read_recipe


def get_config():
    config = read_recipe(find_recipe("ae_mnist"))
    config.name = "sae_mnist"
    config.bottleneck.update(name="Sparse", rho=0.1, weight=300.0)
    config.card.update(
        summary="28x28 digits to 196 units, each active a tenth of the time: a "
        "sparse autoencoder.",
    )
    return config
