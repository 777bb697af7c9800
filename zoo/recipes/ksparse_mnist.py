"""Digits to the 25 largest of 196 units: ae_mnist, k-sparse.

    vqvae-tf train --config=ksparse_mnist --workdir=RUN --data_dir=DATA

25 non-zero units in training, 38 at test time; one to two minutes on two cores.
"""

from vqvae_tf.recipes import find_recipe, read_recipe


def get_config():
    config = read_recipe(find_recipe("ae_mnist"))
    config.name = "ksparse_mnist"
    config.bottleneck.update(name="KSparse", k=25, test_factor=1.5)
    config.card.update(
        summary="28x28 digits to 25 of 196 units: a k-sparse autoencoder.",
    )
    return config
