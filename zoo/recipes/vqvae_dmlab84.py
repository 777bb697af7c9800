"""VQ-VAE on 84x84 frames of DeepMind Lab: 21x21 codes of K=512, and a prior.

Section 4.2 of arXiv:1711.00937 (figure 4).

    vqvae-tf train --config=vqvae_dmlab84 --workdir=RUN --data_dir=DATA

30.1 dB and 2.78 bits a code (of 9); 65 minutes on two cores.
"""

from vqvae_tf.recipes import defaults


def get_config():
    config = defaults("pictures")
    config.name = "vqvae_dmlab84"
    config.seed = 1
    config.data.source = "tfds:dmlab_episodes"
    config.data.image_size = 84
    config.data.flip = False

    config.encoder.update(
        output_channels=64,
        hidden_channels=128,
        stage_channels=(64,),
        residual_channels=64,
    )
    config.quantizer.update(
        num_embeddings=512,
        embedding_dim=64,
        commitment_cost=3.0,
        initialize_from_data=True,
        restart_after=200,
    )
    config.likelihood.update(scale="learned")
    config.decoder.update(
        hidden_channels=128, stage_channels=(64,), residual_channels=64
    )
    # Crops of 32x32 allow seven times the steps of whole frames.
    config.training.update(
        steps=52_000,
        batch_size=24,
        crop_size=32,
        learning_rate=1.5e-3,
        steps_per_epoch=1000,
    )

    config.prior.update(
        name="PixelCNN",
        event_shape=(21, 21),
        hidden_channels=64,
        num_layers=8,
        first_kernel_size=5,
        head_channels=128,
        dropout=0.1,
    )
    config.prior_training.update(
        steps=5_000,
        batch_size=16,
        learning_rate=2e-3,
        steps_per_epoch=500,
    )
    config.card.update(
        summary="84x84 frames of DeepMind Lab to 21x21 codes of K=512 (3,969 "
        "bits, 42.7 times fewer), with a PixelCNN prior over the codes.",
        data="Trained on 146 episodes of 128 frames, tested on 15 others: 17 "
        "levels, a random policy, one frame for four game frames.",
        training="Autoencoder and prior were trained in bfloat16 on two CPU "
        "cores.",
        limits="It knows the levels it was trained on: walls with another "
        "texture, the heads-up display and other games lose detail. Samples "
        "have the walls, floors and skies of the levels, and bend their "
        "geometry.",
        samples="dmlab",
    )
    return config
