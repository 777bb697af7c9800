"""Training a recipe: the autoencoder, the codes of the data, the prior.

A run lives in a work directory and can be killed at any moment; the same
command goes on from the last checkpoint:

    WORKDIR/recipe.json        the recipe that is being trained
    WORKDIR/autoencoder/       checkpoints of stage 1
    WORKDIR/codes.npz          the training set, encoded once
    WORKDIR/prior/             checkpoints of stage 2
    WORKDIR/logs/              TensorBoard: losses, usage, pictures
    WORKDIR/preset/            the result, as a preset
"""

import json
import pathlib
import sys
import time

import keras
import numpy as np
import tensorflow as tf
from absl import logging

from vqvae_tf import data, recipes, sheets
from vqvae_tf.files import write_atomically
from vqvae_tf.models import LatentGenerator
from vqvae_tf.precision import in_float32


def train(config, workdir, data_dir=None, stage="all"):
    """Trains a recipe, or goes on with it, and saves a preset.

    Args:
        config: a recipe, from `recipes.load_recipe`.
        workdir: the run's directory; a run in it is continued.
        data_dir: where the data lies, or None for TFDS_DATA_DIR.
        stage: "all", or "autoencoder" to stop before the prior.

    Returns:
        The trained `VQVAE`, or a `LatentGenerator` where there is a prior.

    Raises:
        ValueError: if workdir holds a run of another recipe.
    """
    workdir = pathlib.Path(workdir)
    recipes.check_recipe(config)
    _compare_recipe(config, workdir)
    keras.config.set_dtype_policy(config.dtype_policy)
    keras.utils.set_random_seed(config.seed)
    images = _open(config, config.data.train_split, data_dir)
    held_out = _open(config, config.data.eval_split, data_dir)
    autoencoder = recipes.make_autoencoder(config)
    examples = _examples(config, held_out)
    # Only now: a run that could not start leaves the directory to others.
    _note_recipe(config, workdir)
    _fit(
        autoencoder,
        config.training,
        lambda skip: _batches(config, images, config.training, skip),
        workdir / "autoencoder",
        lambda: {
            "reconstructions": sheets.pairs(
                examples, autoencoder.reconstruct(examples)
            )
        },
    )
    prior = recipes.make_prior(config)
    if prior is None or stage == "autoencoder":
        return autoencoder
    codes = _encode_once(config, autoencoder, images, workdir / "codes.npz")
    generator = LatentGenerator(autoencoder, prior)
    context = codes.get("global")
    _fit(
        prior,
        config.prior_training,
        lambda skip: data.array_batches(
            codes["codes"],
            config.prior_training.batch_size,
            seed=config.seed,
            context=None if context is None else {"global": context},
            skip_steps=skip,
        ),
        workdir / "prior",
        lambda: {"samples": sheets.grid(_samples(config, generator))},
    )
    return generator


# Data -----------------------------------------------------------------------


def _open(config, split, data_dir):
    return data.open_images(
        config.data.source,
        split,
        data_dir=data_dir,
        on_corrupt=config.data.on_corrupt,
        progress=sys.stderr.isatty(),
    )


def _batches(config, images, training, skip_steps, num_classes=None):
    options = config.data
    resize_range = options.resize_range
    return data.training_batches(
        images,
        training.batch_size,
        image_size=training.crop_size or options.image_size,
        crop=options.crop,
        resize_range=None if resize_range is None else tuple(resize_range),
        flip=options.flip,
        seed=config.seed,
        num_classes=num_classes,
        skip_steps=skip_steps,
    )


def _examples(config, images, count=8):
    batches = data.evaluation_batches(images, count, config.data.image_size)
    return next(iter(batches))[0]


def _encode_once(config, autoencoder, images, path):
    """Encodes the training set, several times with other crops on request.

    Returns:
        A dict with int32 `codes` [n, *grid] and, with classes, float32
        `global` [n, num_classes].
    """
    if not path.exists():
        arrays = _encode(config, autoencoder, images)
        with write_atomically(path) as temporary:
            with open(temporary, "wb") as file:
                np.savez_compressed(file, **arrays)
    with np.load(path, allow_pickle=False) as arrays:
        codes = arrays["codes"].astype(np.int32)
        if "labels" not in arrays:
            return {"codes": codes}
        one_hot = data.one_hot(arrays["labels"], config.data.num_classes)
        return {"codes": codes, "global": one_hot}


def _encode(config, autoencoder, images):
    passes = config.prior_training.encode_passes
    classes = config.data.num_classes
    # Float32, as the codes will be made when the model is used.
    model = in_float32(autoencoder)
    encode = tf.function(
        lambda x: model.quantizer.encode(model.latents(x)),
        reduce_retracing=True,
    )
    rows = passes * images.num_examples
    size = min(64, images.num_examples)
    steps = -(-rows // size)
    training = config.training.copy_and_resolve_references()
    training.update(batch_size=size, crop_size=None)
    batches = _batches(config, images, training, 0, classes).take(steps)
    dtype = np.min_scalar_type(model.quantizer.num_embeddings - 1)
    codes, labels = [], []
    progress = keras.utils.Progbar(steps, verbose=_verbosity())
    logging.info("Encoding %d batches of %d.", steps, size)
    for batch in batches:
        x, context = batch if classes else (batch, None)
        codes.append(encode(x).numpy().astype(dtype))
        if classes:
            labels.append(np.argmax(context["global"], axis=-1))
        progress.add(1)
    # Batches are whole permutations end to end: these rows are all pictures.
    arrays = {"codes": np.concatenate(codes)[:rows]}
    if classes:
        arrays["labels"] = np.concatenate(labels)[:rows].astype(np.int64)
    return arrays


def _samples(config, generator, count=16):
    context = None
    if config.data.num_classes:
        labels = np.arange(count) % config.data.num_classes
        context = {"global": data.one_hot(labels, config.data.num_classes)}
    return generator.sample(count, context=context, seed=0)


# Fitting --------------------------------------------------------------------


def _fit(model, training, batches, directory, pictures):
    """Fits one stage up to its number of steps, from its last checkpoint."""
    model.compile(recipes.make_optimizer(training))
    model.optimizer.build(model.trainable_variables)
    checkpoints = Checkpoints(model, directory, training.checkpoint_minutes)
    done = checkpoints.restore()
    if done >= training.steps:
        return
    remaining = training.steps - done
    epoch = min(training.steps_per_epoch, remaining)
    logging.info("%s: steps %d to %d.", directory.name, done, training.steps)
    model.fit(
        batches(done),
        steps_per_epoch=epoch,
        epochs=-(-remaining // epoch),
        verbose=_verbosity(),
        callbacks=[
            StopAt(training.steps),
            Summaries(directory.parent / "logs" / directory.name, pictures),
            checkpoints,
        ],
    )
    checkpoints.save()


def _verbosity():
    return 1 if sys.stdout.isatty() else 2


class StopAt(keras.callbacks.Callback):
    """Ends a fit when the optimizer has made so many steps in all."""

    def __init__(self, steps):
        super().__init__()
        self.steps = steps

    def on_train_batch_end(self, batch, logs=None):
        if int(self.model.optimizer.iterations) >= self.steps:
            self.model.stop_training = True


class Checkpoints(keras.callbacks.Callback):
    """Saves model and optimizer every few minutes; keeps the last two.

    A checkpoint counts once TensorFlow has renamed its index into place, so a
    run that is killed while saving goes on from the one before.

    Args:
        model: a compiled model with variables.
        directory: where to save.
        minutes: the longest time that a killed run loses.
    """

    def __init__(self, model, directory, minutes):
        super().__init__()
        self.minutes = minutes
        # By number: a checkpoint of the model itself would not see what is
        # in lists of layers, and lose their state that is not trained.
        checkpoint = tf.train.Checkpoint(
            variables=[variable.value for variable in model.variables],
            optimizer=model.optimizer,
        )
        self.manager = tf.train.CheckpointManager(
            checkpoint, str(directory), max_to_keep=2
        )
        self.optimizer = model.optimizer
        self.saved_at = time.monotonic()

    def restore(self) -> int:
        """Restores the newest checkpoint; returns its step, 0 without one."""
        newest = self.manager.latest_checkpoint
        if newest is None:
            return 0
        status = self.manager.checkpoint.restore(newest)
        status.assert_existing_objects_matched()
        logging.info("Going on from %s.", newest)
        return int(self.optimizer.iterations)

    def save(self):
        """Saves now."""
        self.manager.save(int(self.optimizer.iterations))
        self.saved_at = time.monotonic()

    def on_train_batch_end(self, batch, logs=None):
        if time.monotonic() - self.saved_at >= 60 * self.minutes:
            self.save()


class Summaries(keras.callbacks.Callback):
    """Writes an epoch's metrics, and pictures, for TensorBoard.

    Args:
        directory: the log directory.
        pictures: a function without arguments that returns a dict of uint8
            `[height, width, channels]` pictures.
    """

    def __init__(self, directory, pictures):
        super().__init__()
        self.writer = tf.summary.create_file_writer(str(directory))
        self.pictures = pictures

    def on_epoch_end(self, epoch, logs=None):
        step = int(self.model.optimizer.iterations)
        with self.writer.as_default(step):
            for name, value in (logs or {}).items():
                tf.summary.scalar(name, value)
            rate = self.model.optimizer.learning_rate
            tf.summary.scalar("learning_rate", tf.convert_to_tensor(rate))
            for name, picture in self.pictures().items():
                tf.summary.image(name, tf.convert_to_tensor(picture)[None])
        self.writer.flush()


# The run's directory --------------------------------------------------------


def _compare_recipe(config, workdir):
    """Raises ValueError if the directory holds a run of another recipe."""
    path = workdir / "recipe.json"
    if not path.exists():
        return
    old, new = json.loads(path.read_text()), json.loads(recipes.to_json(config))
    if old != new:
        raise ValueError(
            f"{workdir} holds a run of another recipe; they differ in "
            f"{', '.join(_differences(old, new))}. Go on with the old recipe, "
            "or choose another --workdir."
        )


def _note_recipe(config, workdir):
    path = workdir / "recipe.json"
    if not path.exists():
        with write_atomically(path) as temporary:
            pathlib.Path(temporary).write_text(recipes.to_json(config))


def _differences(old, new, prefix=""):
    names = []
    for key in sorted({*old, *new}):
        a, b = old.get(key), new.get(key)
        if isinstance(a, dict) and isinstance(b, dict):
            names += _differences(a, b, f"{prefix}{key}.")
        elif a != b:
            names.append(f"{prefix}{key} ({a!r}, now {b!r})")
    return names
