"""beta_vae_shapes with a capacity of C nats, which grows during training.

    vqvae-tf train --config=capacity_vae_shapes --workdir=RUN --data_dir=DATA

KL divergence 9.97 nats at a final C of 10; one to two minutes on two cores.
"""

from vqvae_tf.recipes import find_recipe, read_recipe


def get_config():
    config = read_recipe(find_recipe("beta_vae_shapes"))
    config.name = "capacity_vae_shapes"
    config.bottleneck.update(beta=20.0, capacity=10.0, capacity_steps=2_000)
    config.card.update(
        summary="32x32 white shapes on black to 10 Gaussian latents that hold "
        "10 nats: a VAE of controlled capacity (arXiv:1804.03599).",
    )
    return config
