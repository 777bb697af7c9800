"""VQ-VAE on 128x128 crops of photos: 32x32 codes of K=512, and a prior.

128 * 128 * 3 * 8 bits become 32 * 32 * 9 bits, 42.6 times fewer (section 4.2
of arXiv:1711.00937). `--data_dir` names a folder with `train/` and `test/`.

    vqvae-tf train --config=vqvae_photo128 --workdir=RUN --data_dir=DATA

27.9 dB on bilinear, 25.9 dB on Lanczos-resized photos, 5.14 bits a code
(of 9); three hours and a half on one core.
"""

from vqvae_tf.recipes import defaults


def get_config():
    config = defaults("pictures")
    config.name = "vqvae_photo128"
    config.seed = 1
    config.data.source = "folder"
    config.data.image_size = 128
    config.data.resize_range = (128, 144)
    # Pictures of users come resized by any filter, and sharper than ours.
    config.data.resize_filter = "random"

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
    # Crops of 64x64 allow four times the steps of 128x128.
    config.training.update(
        steps=40_000,
        batch_size=8,
        crop_size=64,
        learning_rate=6e-4,
        ema_momentum=0.999,
        steps_per_epoch=500,
    )

    config.prior.update(
        name="PixelCNN",
        event_shape=(32, 32),
        hidden_channels=64,
        num_layers=8,
        first_kernel_size=5,
        head_channels=128,
        dropout=0.1,
    )
    config.prior_training.update(
        steps=1_800,
        batch_size=16,
        learning_rate=2e-3,
        ema_momentum=0.999,
        encode_passes=24,
        steps_per_epoch=200,
    )
    config.card.update(
        summary="128x128 crops of photos to 32x32 codes of K=512 (9,216 bits, "
        "42.6 times fewer), with a PixelCNN prior over the codes.",
        data="857 photos, one of each of 857 ImageNet classes, shorter side "
        "160 pixels, random crops; their source states no licence, so none "
        "is shown here. Figures are for 100 other photos, shorter side "
        "resized to 128 (antialiased, bilinear), centre crop.",
        training="Trained on one and two CPU cores, on pictures that were "
        "resized by any of four filters.",
        limits="857 photos suffice for a decoder, not for a prior: samples "
        "have the texture of photos and no objects. Larger pictures "
        "(multiples of 4) can be encoded and decoded.",
    )
    return config
