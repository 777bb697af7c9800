"""A second VQ-VAE on the codes of vqvae_dmlab84: a frame in three codes.

Section 4.2 of arXiv:1711.00937: three latents, each with its own codebook of
512, so 27 bits for a frame, and a PixelCNN decoder of the 21x21 code map.

    vqvae-tf train --config=vqvae_dmlab84_global --workdir=RUN --data_dir=DATA

21.6 of 27 bits for a frame's three codes; 20 minutes on two cores.
"""

from vqvae_tf.recipes import defaults


def get_config():
    config = defaults("codes")
    config.name = "vqvae_dmlab84_global"
    config.seed = 1
    config.base = "vqvae_dmlab84"
    config.data.source = "tfds:dmlab_episodes"
    config.data.image_size = 84
    config.data.flip = True  # Held-out episodes differ more than frames would.

    config.preprocess.update(
        name="CodeEmbedding", num_embeddings=512, embedding_dim=64
    )
    config.encoder.update(
        name="GlobalEncoder",
        grid_size=21,
        output_channels=3 * 64,
        hidden_channels=128,
        residual_channels=64,
    )
    config.quantizer.update(
        num_embeddings=512,
        embedding_dim=64,
        num_codebooks=3,
        initialize_from_data=True,
        restart_after=300,
    )
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
        steps=4_000,
        batch_size=32,
        learning_rate=2e-3,
        steps_per_epoch=250,
    )

    config.prior.update(
        name="PixelCNN",
        event_shape=(1, 1),
        hidden_channels=64,
        num_layers=1,
        first_kernel_size=3,
        head_channels=256,
        dropout=0.1,
    )
    config.prior_training.update(
        steps=2_000,
        batch_size=128,
        learning_rate=1e-3,
        steps_per_epoch=500,
        encode_passes=2,
    )
    config.card.update(
        summary="A whole 84x84 frame of DeepMind Lab in three codes of K=512 "
        "(27 bits): a second VQ-VAE on the 21x21 codes of vqvae_dmlab84, with "
        "a PixelCNN decoder, and a prior over the three.",
        data="Trained on 146 episodes of 128 frames, tested on 15 others.",
        training="Both parts were trained in bfloat16 on two CPU cores.",
        limits="27 bits encode the kind of place (not always correctly) and "
        "roughly where the walls are, but not the view, which is drawn "
        "anew.",
        samples="dmlab",
    )
    return config
