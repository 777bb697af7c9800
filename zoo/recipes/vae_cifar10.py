"""The likelihood table's VAE: 8x8 latents of C dimensions.

    vqvae-tf train --config=vae_cifar10 --workdir=RUN --data_dir=DATA

5.09 bits/dim with one sample; not timed.
"""

from vqvae_tf.recipes import defaults


def get_config():
    config = defaults("pictures")
    config.name = "vae_cifar10"
    config.seed = 1
    # The last 5,000 training pictures served to choose the number of latents.
    config.data.update(
        source="tfds:cifar10",
        train_split="train[:45000]",
        eval_split="test",
        image_size=32,
        flip=False,
        bound_samples=50,
    )
    config.encoder.update(output_channels=2 * 16, hidden_channels=128)
    config.bottleneck.update(name="DiagonalGaussian")
    config.likelihood.update(name="DiscretizedLogisticMixture")
    config.decoder.update(hidden_channels=128)
    config.training.update(
        steps=6_000, batch_size=32, learning_rate=1e-3, steps_per_epoch=1000
    )
    config.card.update(
        summary="32x32 RGB pictures to 8x8 Gaussian latents of 16 dimensions: "
        "a VAE.",
        data="The package's own preset was measured on a JPEG-recompressed "
        "copy of CIFAR-10: its figures can be compared with each other, not "
        "with those of the original pixels.",
        training="One member of the likelihood table: encoder, decoder, "
        "likelihood, optimizer, data order and steps are those of the others.",
        limits="Trained to compare bounds, in minutes on two CPU cores. The "
        "prior's latents are independent: samples are patches of colour.",
    )
    return config
