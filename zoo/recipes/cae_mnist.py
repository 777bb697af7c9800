"""Digits to 196 less sensitive numbers: ae_mnist, contractive.

    vqvae-tf train --config=cae_mnist --workdir=RUN --data_dir=DATA

A third of the sensitivity of ae_mnist at a lower error, 202 squared levels; one
to two minutes on two cores.
"""

from vqvae_tf.recipes import find_recipe, read_recipe


def get_config():
    config = read_recipe(find_recipe("ae_mnist"))
    config.name = "cae_mnist"
    config.regularizer.update(
        name="Contractive", weight=60.0, method="hutchinson", relative=True
    )
    config.card.update(
        summary="28x28 digits to 196 numbers that follow the picture no more "
        "than they must: a contractive autoencoder.",
    )
    return config
