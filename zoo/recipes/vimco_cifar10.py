"""The likelihood table's VIMCO: vae_cifar10 with sampled codes.

    vqvae-tf train --config=vimco_cifar10 --workdir=RUN --data_dir=DATA

6.06 bits/dim with 50 samples and two codebooks; about an hour on two cores.
"""

from vqvae_tf.recipes import find_recipe, read_recipe


def get_config():
    config = read_recipe(find_recipe("vae_cifar10"))
    config.name = "vimco_cifar10"
    config.encoder.update(output_channels=2 * 128)
    config.bottleneck.update(
        name="IndependentCategorical",
        num_embeddings=128,
        embedding_dim=32,
        num_codebooks=2,
        num_samples=10,
        resample=True,
    )
    config.card.update(
        summary="32x32 RGB pictures to 8x8x2 codes of K=128 that are drawn, "
        "trained by VIMCO's bound of 10 draws.",
        data="",
    )
    return config
