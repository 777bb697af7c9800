"""TD-VAE on moving digits: a belief, and jumps of one to four steps.

The moving MNIST of arXiv:1806.03107: binary digits that move a pixel a step to
the left or to the right, wrapping round.

    vqvae-tf train --config=tdvae_digits --workdir=RUN --data_dir=DATA
"""

from vqvae_tf.recipes import defaults


def get_config():
    config = defaults("sequences")
    config.name = "tdvae_digits"
    config.seed = 1
    config.data.update(
        source="tfds:mnist",
        form="moving",
        length=20,
        channels=1,
        max_sequences=1000,
    )
    config.model.update(
        name="TDVAE",
        event_shape=(28, 28, 1),
        latent_sizes=(32,),
        hidden_units=128,
        gaps=((1, 4),),
        num_pairs=8,
    )
    config.encoder.update(
        name="DenseEncoder",
        output_channels=128,
        picture_size=28,
        hidden_units=(256,),
    )
    config.recurrent.update(name="LSTM", units=128)
    config.likelihood.name = "Bernoulli"
    config.decoder.update(
        name="DenseDecoder", picture_size=28, hidden_units=(256, 256)
    )
    config.training.update(
        steps=20_000,
        batch_size=32,
        learning_rate=2e-3,
        clip_norm=10.0,
        ema_momentum=0.999,
        steps_per_epoch=1000,
    )
    config.card.update(
        summary="Beliefs about moving binary digits, and jumps of one to four "
        "steps to where they will be.",
        limits="Digits of 28x28 that move a pixel a step, wrapping round.",
        samples="digits",
    )
    return config
