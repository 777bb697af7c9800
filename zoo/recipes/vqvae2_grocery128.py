"""VQ-VAE-2 on 128x128 photos of fruit and vegetables: 16x16 and 32x32 codes.

    vqvae-tf train --config=vqvae2_grocery128 --workdir=RUN --data_dir=DATA

`--data_dir` names a folder with `train/` and `test/`, each with a folder for
each class. About seven hours on two cores.
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
        class_groups=classifier.data.class_groups,
    )
    config.training.update(
        steps=20_000, batch_size=8, crop_size=64, learning_rate=6e-4
    )
    sizes = dict(hidden_channels=128, num_residual_layers=2)
    for level in config.model.levels:
        level["encoder"].update(**sizes, residual_channels=64)
    config.model.levels[0]["decoder"].update(**sizes, residual_channels=64)
    config.decoder.update(**sizes, residual_channels=64)
    config.prior_training.update(encode_passes=8, batch_size=16)
    config.lower_training.update(batch_size=8)
    config.card.update(
        summary="128x128 photos of fruit and vegetables (50 classes) to 16x16 "
        "top codes and 32x32 bottom codes of K=512 each, with a "
        "class-conditional prior of the top and a prior of the bottom given "
        "the top.",
        data="The Grocery Store Dataset (Klasson et al. 2019, MIT licence).",
        limits="Samples have the classes of the training photos alone.",
    )
    return config
