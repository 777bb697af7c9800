"""The figures of models of spectrograms: those of pictures."""

from support.spectrogram_task.recipe import open_split
from vqvae_tf import data, evaluation


def measure(
    model, description, data_dir=None, progress=True, rows=None
) -> dict:
    """Measures a model on the held-out split; see `Task.measure`."""
    held_out = open_split(description, description["eval_split"], data_dir)
    images = held_out.get(range(held_out.num_examples))["image"].numpy()
    batches = data.array_evaluation_batches(images, len(images))
    return evaluation.evaluate(model, batches, progress=progress, rows=rows)
