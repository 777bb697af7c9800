"""VQGAN on ImageNet as in the paper: 16x16 codes of 256x256 pictures.

    vqvae-tf train --config=vqgan_imagenet_f16 --workdir=RUN --data_dir=DATA

Sizes, losses and the step at which the adversary starts are those of the paper
and its code (arXiv:2012.09841), but for the perceptual distance, which is that
of Keras' VGG 16 without LPIPS' heads, and for beta, which weighs the
commitment. For accelerators, with --strategy for several; it was not trained
here.
"""

from vqvae_tf.recipes import defaults

SIZES = dict(
    stage_channels=(128, 128, 256, 256, 512),
    num_residual_layers=2,
    attention_stages=(4,),
    num_groups=32,
)


def get_config():
    config = defaults("pictures")
    config.name = "vqgan_imagenet_f16"
    config.data.update(
        source="tfds:imagenet2012",
        train_split="train",
        eval_split="validation",
        image_size=256,
        num_classes=1000,
        resize_range=(256, 288),
    )
    config.encoder = dict(name="GroupNormEncoder", output_channels=256, **SIZES)
    config.quantizer = dict(
        name="VectorQuantizer", num_embeddings=1024, embedding_dim=256
    )
    config.likelihood.name = "Gaussian"
    config.decoder = dict(name="GroupNormDecoder", **SIZES)
    config.discriminator = dict(
        name="PatchDiscriminator",
        hidden_channels=64,
        num_layers=3,
        norm="batch",
    )
    config.perceptual = dict(name="PerceptualDistance", network="vgg16")
    # 4.5e-6 for each picture of a batch.
    config.training.update(
        steps=500_000,
        batch_size=96,
        learning_rate=4.3e-4,
        final_learning_rate=4.3e-4,
        checkpoint_minutes=20.0,
    )
    config.adversarial.update(
        adversarial_start=250_001, discriminator_start=250_001
    )
    config.prior = dict(
        name="CodeTransformer",
        event_shape=(16, 16),
        hidden_channels=1024,
        num_layers=24,
        num_heads=16,
        head_channels=1024,
        positions="learned",
        code_corruption=0.1,
    )
    config.prior_training.update(
        steps=500_000,
        batch_size=128,
        learning_rate=5e-4,
        weight_decay=0.01,
        checkpoint_minutes=20.0,
    )
    config.card.update(
        summary="256x256 pictures of ImageNet to 16x16 codes of K=1024, with a "
        "perceptual and an adversarial loss, and a class-conditional "
        "Transformer over the codes.",
        data="ImageNet (Russakovsky et al. 2015).",
    )
    return config
