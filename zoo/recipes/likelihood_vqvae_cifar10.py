"""The likelihood table's VQ-VAE: 8x8 codes of 512, in G codebooks."""

from vqvae_tf.recipes import defaults


def get_config():
    config = defaults()
    config.name = "likelihood_vqvae_cifar10"
    config.seed = 1
    config.dtype_policy = "mixed_bfloat16"
    # The last 5,000 training pictures choose the number of latents.
    config.data.update(
        source="tfds:cifar10",
        train_split="train[:45000]",
        eval_split="test",
        image_size=32,
        flip=False,
        bound_samples=1,
    )
    config.encoder.update(output_channels=3 * 32, hidden_channels=128)
    config.quantizer.update(
        num_embeddings=512,
        embedding_dim=32,
        num_codebooks=3,
        commitment_cost=1.0,
        initialize_from_data=True,
        restart_after=200,
    )
    config.likelihood.update(name="DiscretizedLogisticMixture")
    config.decoder.update(hidden_channels=128)
    config.training.update(
        steps=6_000, batch_size=32, learning_rate=1e-3, steps_per_epoch=1000
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
        summary="32x32 RGB pictures to 8x8x3 codes of K=512, with a bound on "
        "their likelihood, and a PixelCNN prior over the codes.",
        data="The figures were measured on a JPEG-recompressed copy of "
        "CIFAR-10: they can be compared with each other, not with those of "
        "the original pixels.",
        training="One member of the likelihood table: encoder, decoder, "
        "likelihood, optimizer, data order and steps are those of the others.",
        limits="Trained to compare bounds, in minutes on two CPU cores; "
        "samples are blurred.",
    )
    return config
