"""VQ-VAE-2 on CIFAR-10: 4x4 top codes, 8x8 bottom codes, a prior of each.

vqvae-tf train --config=vqvae2_cifar10 --workdir=RUN --data_dir=DATA
"""

from vqvae_tf.recipes import defaults


def get_config():
    config = defaults("levels")
    config.name = "vqvae2_cifar10"
    config.data.update(image_size=32, num_classes=10)
    sizes = dict(hidden_channels=64, num_residual_layers=2)
    quantizer = dict(
        name="VectorQuantizerEMA",
        num_embeddings=512,
        embedding_dim=64,
        commitment_cost=3.0,
        initialize_from_data=True,
        restart_after=200,
    )
    encoder = dict(name="Encoder", output_channels=None, **sizes)
    top = dict(
        name="CodeLevel",
        encoder=dict(encoder, num_downsamples=1),
        quantizer=dict(quantizer),
        decoder=dict(
            name="Decoder", output_channels=64, num_upsamples=1, **sizes
        ),
    )
    bottom = dict(
        name="CodeLevel",
        encoder=dict(encoder, num_downsamples=2),
        quantizer=dict(quantizer),
    )
    config.model.update(name="HierarchicalVQVAE", levels=[top, bottom])
    config.decoder.update(**sizes)
    config.training.update(steps=20_000, ema_momentum=0.999)
    density = dict(
        name="PixelSNAIL", hidden_channels=64, head_channels=64, dropout=0.1
    )
    config.prior.update(
        name="CodeChain", densities=[dict(density), dict(density)]
    )
    config.upper_codes.update(hidden_channels=64)
    config.prior_training.update(steps=4000, ema_momentum=0.999)
    config.lower_training.update(steps=4000, ema_momentum=0.999)
    config.card.update(
        summary="32x32 RGB pictures to 4x4 top codes and 8x8 bottom codes of "
        "K=512 each, with a prior of each, conditioned on the class.",
        limits="A small model: samples show their class at a glance at best.",
    )
    return config
