"""TD-VAE on noisy oscillators: jumps of up to 120 steps.

    vqvae-tf train --config=tdvae_oscillator --workdir=RUN

As in arXiv:1806.03107, of 200 steps, with gaps of 1 to 10 in four of five
sequences and of 1 to 120 in the others. The data are generated.
"""

from vqvae_tf.recipes import defaults


def get_config():
    config = defaults("sequences")
    config.name = "tdvae_oscillator"
    config.seed = 1
    config.data.update(
        source="generated", form="oscillator", length=200, channels=1
    )
    config.model.update(
        name="TDVAE",
        event_shape=(1,),
        latent_sizes=(8, 8),
        hidden_units=64,
        gaps=((1, 10), (1, 120)),
        gap_weights=(0.8, 0.2),
        num_pairs=8,
    )
    config.preprocess.name = "keras.layers:Identity"
    config.encoder.name = "keras.layers:Identity"
    config.recurrent.update(name="LSTM", units=64)
    config.decoder.update(name="LayeredGaussian", sizes=(1,), hidden_units=64)
    config.training.update(
        steps=20_000,
        batch_size=64,
        learning_rate=1e-3,
        clip_norm=10.0,
        ema_momentum=0.999,
        steps_per_epoch=1000,
    )
    config.card.summary = (
        "Beliefs about noisy oscillators, and jumps of up to 120 steps to "
        "where they will be."
    )
    return config
