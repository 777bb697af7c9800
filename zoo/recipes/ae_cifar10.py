"""Pictures to 8x8 latents of 16 numbers: the family's autoencoder in colour.

    vqvae-tf train --config=ae_cifar10 --workdir=RUN --data_dir=DATA

Test error 35.5 squared levels (32.63 dB); three to five minutes on two cores.
"""

from vqvae_tf.recipes import find_recipe, read_recipe


def get_config():
    config = read_recipe(find_recipe("vae_cifar10"))
    config.name = "ae_cifar10"
    # Jacobian norms and mean activations need more than three digits.
    config.dtype_policy = "float32"
    # dae_cifar10, sae_cifar10, ksparse_cifar10 and cae_cifar10 have the same
    # encoder, decoder, likelihood and training.
    config.data.update(train_split="train", bound_samples=1)
    config.encoder.update(output_channels=16)
    config.bottleneck.update(name="Identity")
    config.likelihood.update(name="Gaussian")
    config.training.update(
        steps=1_500, batch_size=32, learning_rate=1e-3, steps_per_epoch=500
    )
    config.card.update(
        summary="32x32 RGB pictures to 8x8 latents of 16 numbers: a plain "
        "autoencoder.",
        data="",
        training="Encoder, decoder, likelihood, optimizer, data order and "
        "steps are those of the other autoencoders of CIFAR-10.",
        limits="It has no prior, so it cannot sample.",
    )
    return config
