"""Residual VQ on CIFAR-10: 8x8 codes of four stages, from coarse to fine.

    vqvae-tf train --config=residual_vqvae_cifar10 --workdir=RUN --data_dir=DATA

29.3 dB and 4.64 bits a code (of 6, four at each position); an hour on one core,
and half an hour on two for the prior.
"""

from vqvae_tf.recipes import defaults, find_recipe, read_recipe


def get_config():
    config = read_recipe(find_recipe("fsq_vqvae_cifar10"))
    config.name = "residual_vqvae_cifar10"
    config.quantizer = defaults("pictures").quantizer
    config.quantizer.update(
        name="ResidualQuantizer",
        stages=dict(
            name="VectorQuantizerEMA",
            num_embeddings=64,
            embedding_dim=64,
            commitment_cost=3.0,
            initialize_from_data=True,
            restart_after=200,
        ),
        num_quantizers=4,
        # Half of the pictures are decoded from fewer stages in training, so
        # that any number of them is a picture.
        dropout=0.5,
    )
    config.encoder.output_channels = 64
    config.card.update(
        summary="32x32 RGB pictures to 8x8 codes of a residual quantizer: "
        "four stages of K=64, each of which codes what the ones before left "
        "(1,536 bits, 16 times fewer); decoded from one to all four. With a "
        "PixelCNN prior over the codes, conditioned on the class.",
        training="The autoencoder was trained on one CPU core, the prior on "
        "two.",
        limits="A small model: reconstructions lose fine texture, samples "
        "show their class at a glance at best. Pictures of other sizes "
        "(multiples of 4) work; other kinds of pictures work less well.",
    )
    return config
