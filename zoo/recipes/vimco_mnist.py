"""Binary digits to sixteen sampled codes: vae_mnist, trained by VIMCO.

    vqvae-tf train --config=vimco_mnist --workdir=RUN --data_dir=DATA

-log p(x) is at most 107.9 nats (500 samples); some minutes on two cores.
"""

from vqvae_tf.recipes import find_recipe, read_recipe


def get_config():
    config = read_recipe(find_recipe("vae_mnist"))
    config.name = "vimco_mnist"
    # Sixteen codes of 16 values: at most 64 bits.
    config.encoder.update(output_channels=16 * 16)
    config.bottleneck.update(
        name="IndependentCategorical",
        num_embeddings=16,
        embedding_dim=8,
        num_codebooks=16,
        num_samples=10,
    )
    config.training.update(steps=6_000)
    config.card.update(
        summary="28x28 digits, drawn in black and white, to 16 codes of K=16 "
        "that are drawn, trained by VIMCO's bound of 10 draws.",
        training="10 passes over the training set.",
    )
    return config
