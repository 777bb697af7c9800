"""The likelihood table's VIMCO with a Gaussian prior.

    vqvae-tf train --config=vimco_gaussian_cifar10 --workdir=RUN --data_dir=DATA

No expected figure; about an hour on two cores, like vimco_cifar10.
"""

from vqvae_tf.recipes import find_recipe, read_recipe


def get_config():
    config = read_recipe(find_recipe("vae_cifar10"))
    config.name = "vimco_gaussian_cifar10"
    config.encoder.update(output_channels=2 * 2)
    config.bottleneck.update(estimator="vimco", num_samples=10, resample=True)
    config.card.update(
        summary="32x32 RGB pictures to 8x8 Gaussian latents of 2 dimensions, "
        "trained by VIMCO's bound of 10 draws.",
        data="",
    )
    return config
