"""What the tests of densities of codes share."""

import keras
import numpy as np
import tensorflow as tf


def dependence(function, inputs):
    """Returns whether each output depends on each position of the inputs.

    Args:
        function: maps `[1, ..., channels]` to `[n]`.
        inputs: float `[1, ..., channels]`, the channels being one position's.

    Returns:
        bool `[n, positions]`: where the gradient is not 0.
    """
    inputs = tf.convert_to_tensor(inputs, tf.float32)

    @tf.function
    def jacobian():
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            outputs = function(inputs)
        return tape.jacobian(outputs, inputs, unconnected_gradients="zero")

    result = jacobian().numpy()
    assert np.all(np.isfinite(result))
    return np.any(result.reshape(len(result), -1, inputs.shape[-1]), axis=-1)


def exported_sampler(density, folder):
    """Writes a SavedModel of a density that is given both contexts.

    Args:
        density: one of codes; nothing but its channels is fixed.
        folder: where to export to.

    Returns:
        A function of batch, temperature, seed and context that returns what
        the SavedModel draws.
    """
    grid = [None] * len(density.grid_axes)

    @tf.function(
        input_signature=[
            tf.TensorSpec([], tf.int32),
            tf.TensorSpec([], tf.float32),
            tf.TensorSpec([], tf.int32),
            tf.TensorSpec([None, density.global_channels]),
            tf.TensorSpec([None, *grid, density.local_channels]),
        ]
    )
    def sample(num_samples, temperature, seed, label, local):
        context = {"global": label, "local": local}
        codes = density.sample(
            num_samples, context, temperature=temperature, seed=seed
        )
        return {"codes": codes}

    archive = keras.export.ExportArchive()
    archive.track(density)
    archive.add_endpoint("sample", sample)
    archive.write_out(str(folder), verbose=False)
    loaded = tf.saved_model.load(str(folder))

    def draw(batch, temperature, seed, context):
        return loaded.signatures["sample"](
            num_samples=tf.constant(batch),
            temperature=tf.constant(temperature),
            seed=tf.constant(seed),
            label=context["global"],
            local=context["local"],
        )["codes"]

    return draw
