"""A residual network that names the classes of CIFAR-10, for its features.

vqvae-tf train --config=classifier_cifar10 --workdir=RUN --data_dir=DATA
"""

from vqvae_tf.recipes import defaults


def get_config():
    config = defaults("classifier")
    config.name = "classifier_cifar10"
    # Crops of pictures that are enlarged by up to a quarter.
    config.data.update(image_size=32, num_classes=10, resize_range=(32, 40))
    config.network.update(
        stage_channels=(32, 64, 128), first_stride=2, dropout=0.1
    )
    config.classifier.update(name="PictureClassifier", label_smoothing=0.1)
    config.training.update(
        steps=7_000,
        batch_size=64,
        learning_rate=2e-3,
        clip_norm=1.0,
        ema_momentum=0.999,
    )
    config.card.update(
        summary="A small residual network that names the ten classes of "
        "CIFAR-10, in whose 128 features sets of 32x32 pictures can be "
        "compared.",
        limits="Its distances are not those of Inception's features.",
    )
    return config
