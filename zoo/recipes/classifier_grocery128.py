"""A residual network that names 50 kinds of fruit and vegetables.

    vqvae-tf train --config=classifier_grocery128 --workdir=RUN --data_dir=DATA

`--data_dir` names a folder with `train/` and `test/`, each with a folder for
each class.
"""

from vqvae_tf.recipes import find_recipe, read_recipe

# The kind of each class, of 34: classes of apples are one kind, for example.
KINDS = [
    *(0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14),
    *(15, 15, 15, 15, 16, 17, 18, 19, 20, 21, 22, 23, 23, 23),
    *(24, 24, 24, 24, 25, 26, 27, 28, 28, 28, 29, 30, 31, 32, 32, 32, 33),
]


def get_config():
    config = read_recipe(find_recipe("classifier_cifar10"))
    config.name = "classifier_grocery128"
    config.data.update(
        source="folder",
        image_size=128,
        num_classes=50,
        resize_range=(128, 176),
        resize_filter="random",
        class_groups=KINDS,
    )
    config.network.update(
        stage_channels=(32, 64, 96, 128), first_stride=4, dropout=0.2
    )
    config.training.update(steps=4_500, batch_size=32)
    config.card.update(
        summary="A small residual network that names 50 classes of fruit and "
        "vegetables, in whose 128 features sets of 128x128 photos can be "
        "compared.",
        data="The Grocery Store Dataset (Klasson et al. 2019, MIT licence).",
    )
    return config
