"""TD-VAE on the codes of DeepMind Lab: jumps of one to forty frames.

Beliefs over the 21x21 codes of vqvae_dmlab84; a PixelCNN decodes a map of codes
from the latents, so that the likelihood of a later frame's codes is known.

    vqvae-tf train --config=tdvae_dmlab --workdir=RUN --data_dir=DATA
"""

from vqvae_tf.recipes import defaults


def get_config():
    config = defaults("sequences")
    config.name = "tdvae_dmlab"
    config.seed = 1
    config.base = "vqvae_dmlab84"
    config.data.update(
        source="tfds:dmlab_episodes",
        form="episodes",
        length=56,
        max_sequences=200,
    )
    config.model.update(
        name="TDVAE",
        event_shape=(21, 21),
        latent_sizes=(32, 32),
        hidden_units=256,
        gaps=((1, 5), (1, 40)),
        num_pairs=4,
    )
    config.preprocess.update(
        name="CodeEmbedding", num_embeddings=512, embedding_dim=16
    )
    config.encoder.update(
        name="DenseEncoder",
        output_channels=256,
        picture_size=21,
        hidden_units=(256,),
    )
    config.recurrent.update(name="LSTM", units=256)
    config.decoder.update(
        name="PixelCNN",
        num_embeddings=512,
        event_shape=(21, 21),
        hidden_channels=64,
        num_layers=3,
        first_kernel_size=3,
        head_channels=128,
        dropout=0.1,
        local_upsampling=21,
    )
    config.training.update(
        steps=6_000,
        batch_size=8,
        learning_rate=1e-3,
        clip_norm=10.0,
        ema_momentum=0.999,
        steps_per_epoch=250,
    )
    config.card.update(
        summary="Beliefs about episodes of DeepMind Lab, over the 21x21 codes "
        "of vqvae_dmlab84, and jumps of one to forty frames.",
        samples="dmlab",
    )
    return config
