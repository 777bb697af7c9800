"""What recipes make: pictures, codes of codes, video, speech; each a module.

A module has `train(config, workdir, data_dir, stage, start)`.
"""

from vqvae_tf.tasks.pictures import training as pictures
from vqvae_tf.tasks.speech import training as speech
from vqvae_tf.tasks.two_levels import training as codes
from vqvae_tf.tasks.video import training as video

BY_KIND = {
    "pictures": pictures,
    "codes": codes,
    "speech": speech,
    "video": video,
}
