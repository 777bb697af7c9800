"""Digits to 196 numbers and back: the plain autoencoder of the family.

    vqvae-tf train --config=ae_mnist --workdir=RUN --data_dir=DATA

24.75 dB on test digits; one to two minutes on two cores.
"""

from vqvae_tf.recipes import defaults


def get_config():
    config = defaults("pictures")
    config.name = "ae_mnist"
    config.seed = 1
    config.dtype_policy = "float32"
    config.data.update(
        source="tfds:mnist",
        train_split="train",
        eval_split="test[:3000]",
        image_size=28,
        channels=1,
        flip=False,
    )
    # dae_mnist, sae_mnist, ksparse_mnist and cae_mnist have the same encoder,
    # decoder, likelihood and training.
    config.encoder.update(
        name="DenseEncoder",
        output_channels=196,
        picture_size=28,
        hidden_units=(300,),
    )
    config.bottleneck.update(name="Identity")
    config.likelihood.update(name="Gaussian")
    config.decoder.update(
        name="DenseDecoder", picture_size=28, hidden_units=(300,)
    )
    config.training.update(
        steps=2_000, batch_size=128, learning_rate=2e-3, steps_per_epoch=300
    )
    config.card.update(
        summary="28x28 digits to 196 numbers: a plain autoencoder.",
        data="MNIST.",
        training="Encoder, decoder, likelihood, optimizer, data order and "
        "steps are those of the other autoencoders of digits.",
        limits="It has no prior, so it cannot sample.",
        samples="digits",
    )
    return config
