"""VQ-VAE-2 on ImageNet as in the paper: 32x32 and 64x64 codes of 256x256.

    vqvae-tf train --config=vqvae2_imagenet256 --workdir=RUN --data_dir=DATA

Grids, codes and the sizes of encoders and decoder are the paper's
(arXiv:1906.00446); steps, batches and learning rates are a start. For
accelerators, with --strategy for several; it was not trained here.
"""

from vqvae_tf.recipes import find_recipe, read_recipe

SIZES = dict(hidden_channels=128, num_residual_layers=2, residual_channels=64)


def get_config():
    config = read_recipe(find_recipe("vqvae2_cifar10"))
    config.name = "vqvae2_imagenet256"
    config.data.update(
        source="tfds:imagenet2012",
        train_split="train",
        eval_split="validation",
        image_size=256,
        num_classes=1000,
        resize_range=(256, 288),
    )
    for level in config.model.levels:
        level["encoder"].update(**SIZES)
    config.model.levels[0]["decoder"].update(**SIZES)
    config.decoder.update(**SIZES)
    config.training.update(
        steps=250_000, batch_size=128, learning_rate=3e-4, ema_momentum=None
    )
    config.prior.densities = [
        # Of the top: attention after every fifth layer.
        dict(
            name="PixelSNAIL",
            hidden_channels=512,
            num_blocks=4,
            num_layers=5,
            num_heads=8,
            head_channels=512,
            dropout=0.1,
        ),
        # Of the bottom: none, since its grid is too large.
        dict(
            name="PixelCNN",
            hidden_channels=512,
            num_layers=20,
            first_kernel_size=5,
            head_channels=512,
            dropout=0.1,
        ),
    ]
    config.upper_codes.update(hidden_channels=512, num_residual_layers=20)
    config.prior_training.update(
        steps=1_600_000, batch_size=1024, ema_momentum=0.9999
    )
    config.lower_training.update(
        steps=754_000, batch_size=512, ema_momentum=0.9999
    )
    config.card.update(
        summary="256x256 photos of ImageNet to 32x32 top codes and 64x64 "
        "bottom codes of K=512 each, with a prior of each.",
        limits="A recipe for accelerators, without a preset.",
    )
    return config
