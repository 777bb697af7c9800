"""VQ-VAE-2 on faces as in the paper: three grids of codes of 1024x1024.

    vqvae-tf train --config=vqvae2_ffhq1024 --workdir=RUN --data_dir=DATA

32x32, 64x64 and 128x128 codes, as in arXiv:1906.00446; steps, batches and
learning rates are a start. For accelerators; it was not trained here.
`--data_dir` names a folder with `train/` and `test/`.
"""

from vqvae_tf.recipes import find_recipe, read_recipe


def get_config():
    config = read_recipe(find_recipe("vqvae2_imagenet256"))
    config.name = "vqvae2_ffhq1024"
    config.data.update(
        source="folder",
        eval_split="test",
        image_size=1024,
        num_classes=None,
        resize_range=(1024, 1024),
    )
    top, bottom = config.model.levels
    middle = {
        key: dict(top[key]) for key in ("encoder", "quantizer", "decoder")
    }
    bottom["encoder"]["num_downsamples"] = 3
    config.model.levels = [top, dict(middle, name="CodeLevel"), bottom]
    config.decoder.num_upsamples = 3
    first, last = config.prior.densities
    config.prior.densities = [
        dict(first, dropout=0.5),
        dict(first, num_blocks=1, num_layers=20, dropout=0.3),
        dict(last, dropout=0.25),
    ]
    config.card.update(
        summary="1024x1024 faces to 32x32, 64x64 and 128x128 codes of K=512 "
        "each, with a prior of each."
    )
    return config
