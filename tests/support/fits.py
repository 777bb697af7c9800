"""`model.fit` of several models, in a process that may be one of two workers.

    python fits.py OUTPUT.npz STRATEGY MODEL...

Trains each with validation, evaluates it, and writes histories, figures and
variables.
"""

import sys

import numpy as np

MODELS = (
    "two codebooks with restarts, EMA",
    "prior of classes and two codebooks",
    "prior of video with marginals",
    "VQ-VAE of code maps",
)


def optimizer(name):
    """Returns SGD with momentum; of priors, it clips the gradients.

    A train step of Adam's is traced for twice as long.
    """
    import keras

    limit = {"global_clipnorm": 0.05} if "prior" in name else {}
    return keras.optimizers.SGD(1e-2, momentum=0.9, **limit)


def fitted(name):
    """Returns the results of one model by their names."""
    import keras

    from support import every_model

    keras.utils.set_random_seed(1)
    model = every_model.EVERY[name][0]()
    model.compile(optimizer(name))
    batches = every_model.batches(name, steps=6)
    history = model.fit(
        batches, validation_data=batches.take(2), epochs=2, verbose=0
    ).history
    found = {f"{name}: history of {k}": v for k, v in history.items()}
    figures = model.evaluate(batches, verbose=0, return_dict=True)
    found |= {f"{name}: evaluated {k}": v for k, v in figures.items()}
    for i, variable in enumerate(model.variables):
        found[f"{name}: variable {i}, {variable.name}"] = variable.numpy()
    return found


def main():
    from vqvae_tf.runtime import strategies

    output, name, *models = sys.argv[1:]
    strategy = strategies.make_strategy(name)
    found = {}
    for model in models:
        with strategy.scope():
            found |= fitted(model)
    if strategies.is_chief(strategy):
        np.savez(output, **found)


if __name__ == "__main__":
    main()
