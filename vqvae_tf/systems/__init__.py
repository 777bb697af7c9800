"""What recipes make: pictures, codes of codes, video; each in a module.

A module has `train(config, workdir, data_dir, stage, start)`.
"""

from vqvae_tf.systems import codes, pictures, video

BY_KIND = {"pictures": pictures, "codes": codes, "video": video}
