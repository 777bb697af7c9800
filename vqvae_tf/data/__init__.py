"""Input pipelines: pictures, episodes, sequences, codes and recordings."""

from vqvae_tf.data.audio.batches import audio_evaluation_batches, window_batches
from vqvae_tf.data.audio.files import load_waveform
from vqvae_tf.data.audio.open import open_audio
from vqvae_tf.data.audio.source import AudioSource, PackedAudio
from vqvae_tf.data.batches import (
    array_batches,
    array_evaluation_batches,
    one_hot,
)
from vqvae_tf.data.decoding import load_picture, resize_and_crop
from vqvae_tf.data.episodes.batches import clip_batches, clip_evaluation_batches
from vqvae_tf.data.episodes.episodes import Episodes
from vqvae_tf.data.episodes.rlds import open_episodes
from vqvae_tf.data.pictures.batches import evaluation_batches, training_batches
from vqvae_tf.data.pictures.open import open_images
from vqvae_tf.data.pictures.shapes import load_shapes
from vqvae_tf.data.pictures.source import ImageSource
from vqvae_tf.data.sequences.batches import (
    evaluation_sequences,
    sequence_batches,
    sequence_evaluation_batches,
)
from vqvae_tf.data.sequences.clips import EpisodeSequences
from vqvae_tf.data.sequences.moving import MovingPictures
from vqvae_tf.data.sequences.open import open_sequences
from vqvae_tf.data.sequences.oscillators import (
    Oscillators,
    SwitchingOscillators,
)
from vqvae_tf.data.sequences.source import SequenceSource

__all__ = [
    "AudioSource",
    "EpisodeSequences",
    "Episodes",
    "ImageSource",
    "MovingPictures",
    "Oscillators",
    "PackedAudio",
    "SequenceSource",
    "SwitchingOscillators",
    "array_batches",
    "array_evaluation_batches",
    "audio_evaluation_batches",
    "clip_batches",
    "clip_evaluation_batches",
    "evaluation_batches",
    "evaluation_sequences",
    "load_picture",
    "load_shapes",
    "load_waveform",
    "one_hot",
    "open_audio",
    "open_episodes",
    "open_images",
    "open_sequences",
    "resize_and_crop",
    "sequence_batches",
    "sequence_evaluation_batches",
    "training_batches",
    "window_batches",
]
