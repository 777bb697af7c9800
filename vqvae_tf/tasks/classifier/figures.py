"""The figures of classifiers of pictures."""

import keras

from vqvae_tf.evaluation import samples as evaluation
from vqvae_tf.models.feature_networks import of_classifier
from vqvae_tf.tasks.pictures.recipe import eval_batches


def measure(
    model: keras.Model,
    description: dict,
    data_dir: str | None = None,
    progress: bool = True,
    rows: dict | None = None,
) -> dict:
    """Measures a classifier; see `tasks.measure` and `samples.accuracy`."""
    batches = eval_batches(description, description["eval_split"], data_dir)
    network = of_classifier(model, "the classifier")
    return evaluation.accuracy(
        network.probabilities, batches, progress, description["class_groups"]
    )
