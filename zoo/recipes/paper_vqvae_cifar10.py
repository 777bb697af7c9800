"""The paper's VQ-VAE on CIFAR-10 in full: ten codebooks, 256-way softmax.

    vqvae-tf train --config=paper_vqvae_cifar10 --workdir=RUN --data_dir=DATA

Never trained to the end here, so there is no expected figure.
"""

from vqvae_tf.recipes import defaults


def get_config():
    config = defaults("pictures")
    config.name = "paper_vqvae_cifar10"
    config.seed = 1
    config.data.update(source="tfds:cifar10", image_size=32, flip=False)
    # Section 4.1: 256 hidden units, 8x8x10 latents, Adam with 2e-4, 250,000
    # steps of 128. The authors named the softmax and the ten codebooks later
    # (Sonnet issue 131); the size of embeddings is not published.
    config.encoder.update(output_channels=10 * 64, hidden_channels=256)
    config.quantizer.update(
        num_embeddings=512, embedding_dim=64, num_codebooks=10
    )
    config.likelihood.update(name="Categorical")
    config.decoder.update(hidden_channels=256)
    config.training.update(
        steps=250_000,
        batch_size=128,
        learning_rate=2e-4,
        final_learning_rate=2e-4,
        steps_per_epoch=1000,
    )
    config.prior.update(
        name="PixelCNN",
        event_shape=(8, 8),
        hidden_channels=128,
        num_layers=10,
        first_kernel_size=5,
        head_channels=256,
        dropout=0.1,
    )
    config.prior_training.update(
        steps=50_000, batch_size=64, learning_rate=1e-3, steps_per_epoch=1000
    )
    config.card.update(
        summary="32x32 RGB pictures to 8x8x10 codes of K=512 with a softmax "
        "over the 256 values of each pixel: the set-up of the paper's "
        "likelihood figure.",
        data="The original pixels are needed to compare with the paper's 4.67 "
        "bits/dim.",
        training="Sizes, steps and optimizer are the paper's, or the authors' "
        "answers; the codebook follows by moving averages.",
        limits="Takes days without an accelerator; the package has no "
        "preset of it.",
    )
    return config
