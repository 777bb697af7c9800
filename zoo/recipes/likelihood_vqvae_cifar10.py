r"""The likelihood table's VQ-VAE: vae_cifar10 with codes of K=512.

    vqvae-tf train --config=likelihood_vqvae_cifar10 --workdir=RUN \
        --data_dir=DATA

4.82 bits/dim with its prior; 22 minutes on two cores for one codebook, without
the prior.
"""

from vqvae_tf.recipes import find_recipe, read_recipe


def get_config():
    config = read_recipe(find_recipe("vae_cifar10"))
    config.name = "likelihood_vqvae_cifar10"
    config.data.update(bound_samples=1, neighbour_pictures=16)
    config.encoder.update(output_channels=5 * 4)
    config.bottleneck.name = None
    config.quantizer.update(
        num_embeddings=512,
        embedding_dim=4,
        num_codebooks=5,
        decay=0.9,
        commitment_cost=1.0,
        initialize_from_data=True,
        restart_after=200,
    )
    config.prior.update(
        name="PixelCNN",
        event_shape=(8, 8),
        hidden_channels=64,
        num_layers=6,
        first_kernel_size=5,
        head_channels=128,
        dropout=0.1,
    )
    config.prior_training.update(
        steps=4_000, batch_size=64, learning_rate=2e-3, steps_per_epoch=400
    )
    config.card.update(
        summary="32x32 RGB pictures to 8x8x5 codes of K=512, with a bound on "
        "their likelihood, and a PixelCNN prior over the codes.",
        limits="Trained to compare bounds, in minutes on two CPU cores; "
        "samples have colours and textures, but no objects.",
    )
    return config
