"""The network of the judges of speech."""

import keras
import tensorflow as tf

from vqvae_tf.evaluation import classifiers
from vqvae_tf.layers.mel import LogMel, frame_window


def judge_network(
    sample_rate: int, num_classes: int, seed: int = 0
) -> keras.Model:
    """Returns an untrained judge; frames are 32 ms and overlap by half."""
    window = frame_window(sample_rate)
    mels = LogMel(sample_rate, window=window, hop=window // 2, name="mels")
    waveform = keras.Input([None], name="values")
    mask = keras.Input([None], name="mask")
    frames, kept = _Frames(mels, name="frames")([waveform, mask])
    frames = _Masks(seed, name="masks")(frames)
    found = classifiers.classify(
        frames,
        kept,
        num_classes,
        channels=96,
        dilations=(1, 2, 4),
        dropout=0.1,
        seed=seed,
    )
    return keras.Model({"values": waveform, "mask": mask}, found, name="judge")


@keras.saving.register_keras_serializable("vqvae_tf", "JudgeFrames")
class _Frames(keras.layers.Layer):
    """Log-mel frames, normalized to mean 0 and variance 1 in each recording.

    Takes `[waveform, mask]`, each `[batch, time]`; returns frames `[batch,
    frames, M]`, 0 at padding, and their mask `[batch, frames]`.
    """

    def __init__(self, mels, **kwargs):
        super().__init__(**{"autocast": False, **kwargs})
        self.mels = mels

    def call(self, inputs):
        waveform, mask = (tf.cast(entry, tf.float32) for entry in inputs)
        waveform *= mask
        peak = tf.reduce_max(tf.abs(waveform), axis=1, keepdims=True)
        frames = self.mels(tf.math.divide_no_nan(waveform, peak))
        kept = self.mels.frame_mask(mask)
        weight = kept[..., tf.newaxis]
        size = tf.reduce_sum(weight, [1, 2], keepdims=True)
        size *= frames.shape[-1]
        mean = tf.reduce_sum(frames * weight, [1, 2], keepdims=True) / size
        frames = (frames - mean) * weight
        square = tf.reduce_sum(frames**2, [1, 2], keepdims=True) / size
        return frames * tf.math.rsqrt(square + 1e-3), kept

    def compute_output_spec(self, inputs):
        frames = self.mels.compute_output_spec(inputs[0])
        return frames, keras.KerasTensor(frames.shape[:2], "float32")

    def get_config(self):
        mels = keras.saving.serialize_keras_object(self.mels)
        return {**super().get_config(), "mels": mels}

    @classmethod
    def from_config(cls, config):
        mels = keras.saving.deserialize_keras_object(config.pop("mels"))
        return cls(mels, **config)


@keras.saving.register_keras_serializable("vqvae_tf", "JudgeMasks")
class _Masks(keras.layers.Layer):
    """Masks a range of frames and one of bands, in training only.

    Each is up to a fifth of its axis; length and place are drawn for each
    recording.
    """

    def __init__(self, seed=0, **kwargs):
        super().__init__(**kwargs)
        self.seed = seed
        self._generator = keras.random.SeedGenerator(seed)

    def call(self, frames, training=False):
        if not training:
            return frames
        for axis in (1, 2):
            frames *= self._stretch(tf.shape(frames), axis)
        return frames

    def _stretch(self, shape, axis):
        size = tf.cast(shape[axis], tf.float32)
        noise = keras.random.uniform([2, shape[0], 1], seed=self._generator)
        width = noise[0] * size / 5
        first = noise[1] * (size - width)
        places = tf.range(size)
        inside = (places >= first) & (places < first + width)
        return tf.expand_dims(tf.cast(~inside, tf.float32), 3 - axis)

    def get_config(self):
        return {**super().get_config(), "seed": self.seed}
