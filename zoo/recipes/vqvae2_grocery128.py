"""VQ-VAE-2 on 128x128 photos of fruit and vegetables: 16x16 and 32x32 codes.

    vqvae-tf train --config=vqvae2_grocery128 --workdir=RUN --data_dir=DATA

`--data_dir` names a folder with `train/` and `test/`, each with a folder for
each class. About two hours and a half on two cores.
"""

from vqvae_tf.recipes import find_recipe, read_recipe


def get_config():
    config = read_recipe(find_recipe("vqvae2_cifar10"))
    config.name = "vqvae2_grocery128"
    classifier = read_recipe(find_recipe("classifier_grocery128"))
    config.data.update(
        source="folder",
        image_size=128,
        num_classes=50,
        resize_range=(128, 160),
        resize_filter="random",
        class_groups=classifier.data.class_groups,
        feature_network="classifier_grocery128",
        drawn_temperature=0.9,
    )
    # The top alone must make a picture, so that it carries more than colour.
    config.model.level_dropout = 0.1
    config.training.update(
        steps=12_000, batch_size=8, crop_size=64, learning_rate=6e-4
    )
    sizes = dict(hidden_channels=128, num_residual_layers=2)
    for level in config.model.levels:
        level["encoder"].update(**sizes, residual_channels=64)
    config.model.levels[0]["decoder"].update(**sizes, residual_channels=64)
    config.decoder.update(**sizes, residual_channels=64)
    # The top's prior sees the whole grid. What the top leaves open is local.
    top = dict(
        name="PixelSNAIL",
        hidden_channels=64,
        num_blocks=3,
        num_layers=2,
        num_heads=4,
        head_channels=128,
        dropout=0.1,
    )
    bottom = dict(
        name="PixelCNN",
        hidden_channels=64,
        num_layers=8,
        first_kernel_size=5,
        head_channels=128,
        dropout=0.1,
    )
    config.prior.densities = [top, bottom]
    config.prior_training.update(
        steps=3_600, encode_passes=6, batch_size=16, learning_rate=2e-3
    )
    config.lower_training.update(steps=2_000, batch_size=8, learning_rate=2e-3)
    config.card.update(
        summary="128x128 photos of fruit and vegetables (50 classes) to 16x16 "
        "top codes and 32x32 bottom codes of K=512 each, with a "
        "class-conditional prior of the top and a prior of the bottom given "
        "the top.",
        data="The Grocery Store Dataset (Klasson et al. 2019, MIT licence).",
        limits="Piles of round fruit look right; leaves, packages and shelves "
        "do not.",
    )
    return config
