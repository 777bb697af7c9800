"""What a card says and shows of a model of spectrograms."""

from support.spectrogram_task.recipe import open_split
from vqvae_tf.tasks.pictures.sheets import reconstruction_sheet


def summary(config, has_prior) -> str:
    """Returns what the model of a recipe of spectrograms is."""
    data = config.data
    return (
        f"A VQ-VAE of spectrograms, {data.num_mels} bands by "
        f"{data.num_frames} frames at {data.sample_rate} Hz."
    )


def shown(config, has_prior, built_in) -> str:
    """Returns the part of a card with its pictures."""
    return "![spectrograms above reconstructions](reconstructions.png)\n"


def use_text(name, config, has_prior) -> str:
    """Returns how a model of spectrograms is used, in Python."""
    cls = "LatentGenerator" if has_prior else "VQVAE"
    return f"""from vqvae_tf import {cls}

model = {cls}.from_preset("{name}")
codes = model.encode(spectrograms)  # uint8 [batch, bands, frames, 1]"""


def draw(model, config, data_dir=None) -> dict:
    """Returns a card's files; see `Task.draw`."""
    held_out = open_split(config.data, config.data.eval_split, data_dir)
    images = held_out.get(range(min(6, held_out.num_examples)))["image"]
    return {"reconstructions.png": reconstruction_sheet(model, images.numpy())}
