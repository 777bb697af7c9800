"""What recipes make: pictures, codes of codes, video, speech; each a module.

A module has `train(config, workdir, data_dir, stage, start)`.
"""

from vqvae_tf.systems import codes, pictures, speech, video

BY_KIND = {
    "pictures": pictures,
    "codes": codes,
    "speech": speech,
    "video": video,
}
