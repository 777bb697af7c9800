"""Pictures to the 128 largest of 1,024 units: ae_cifar10, k-sparse.

    vqvae-tf train --config=ksparse_cifar10 --workdir=RUN --data_dir=DATA

Test error 203.5 squared levels (25.05 dB); three to five minutes on two cores.
"""

from vqvae_tf.recipes import find_recipe, read_recipe


def get_config():
    config = read_recipe(find_recipe("ae_cifar10"))
    config.name = "ksparse_cifar10"
    config.bottleneck.update(name="KSparse", k=128, test_factor=1.5)
    config.card.update(
        summary="32x32 RGB pictures to 128 of 8x8x16 units: a k-sparse "
        "autoencoder.",
    )
    return config
