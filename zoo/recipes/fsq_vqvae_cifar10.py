"""FSQ on CIFAR-10: 8x8 codes of 8x8x8 levels, nothing to learn or to restart.

    vqvae-tf train --config=fsq_vqvae_cifar10 --workdir=RUN --data_dir=DATA

24.4 dB and 6.86 bits a code (of 9); an hour and a half on one core.
"""

from vqvae_tf.recipes import defaults, find_recipe, read_recipe

_NETS = dict(hidden_channels=64, stage_channels=(64,), residual_channels=64)


def get_config():
    config = read_recipe(find_recipe("vqvae_cifar10"))
    config.name = "fsq_vqvae_cifar10"
    config.quantizer = defaults("pictures").quantizer
    config.quantizer.update(name="FSQ", levels=(8, 8, 8))
    config.encoder.update(output_channels=3, **_NETS)
    config.decoder.update(**_NETS)
    config.training.steps = 20_000
    config.prior.num_layers = 6
    config.card.update(
        summary="32x32 RGB pictures to 8x8 codes of finite scalar "
        "quantization (Mentzer et al., 2023): three channels rounded to 8 "
        "levels each, K=512 (576 bits, 42.6 times fewer), with a PixelCNN "
        "prior over the codes, conditioned on the class.",
        training="Autoencoder and prior were trained on one CPU core.",
    )
    return config
