"""Video of DeepMind Lab: the next frame's codes given six frames, an action.

Section 4.4 of arXiv:1711.00937: frames are generated in the space of the codes
of vqvae_dmlab84, and decoded at the end.

    vqvae-tf train --config=video_dmlab84 --workdir=RUN --data_dir=DATA

951 bits for the next frame's codes, 15.2 dB over ten greedy steps; 52 minutes
on two cores.
"""

from vqvae_tf.recipes import defaults


def get_config():
    config = defaults("video")
    config.name = "video_dmlab84"
    config.seed = 1
    config.base = "vqvae_dmlab84"
    config.data.source = "tfds:dmlab_episodes"
    config.data.image_size = 84

    config.context.update(
        name="PastFrames",
        num_embeddings=512,
        num_past=6,
        num_actions=9,
        embedding_dim=32,
        hidden_channels=128,
        num_residual_layers=5,
        residual_channels=64,
        kernel_size=3,
        action_dropout=0.1,
    )
    config.marginals.update(channels=256, weight=0.5)
    config.prior.update(
        name="PixelCNN",
        event_shape=(21, 21),
        hidden_channels=64,
        num_layers=4,
        first_kernel_size=3,
        head_channels=128,
        dropout=0.1,
    )
    config.prior_training.update(
        steps=12_000,
        batch_size=16,
        learning_rate=2e-3,
        steps_per_epoch=500,
    )
    config.card.update(
        summary="The next 84x84 frame of DeepMind Lab, in 21x21 codes of "
        "vqvae_dmlab84, given six frames and one of nine actions; rollouts of "
        "any length.",
        data="Trained on 146 episodes of 128 frames, tested on 15 others; a "
        "random policy, one frame for four game frames.",
        training="Trained in bfloat16 on two CPU cores.",
        limits="It remembers only six frames: what leaves the view comes "
        "back as something else. Fine textures change from frame to frame. "
        "Greedy rollouts lose them, and small things, within a few frames, "
        "and their walls bend or grow. Actions are numbered as in "
        "vqvae_tf.samples.clips.ACTIONS.",
        samples="dmlab",
    )
    return config
