"""Small models, recipes and data that many tests share."""

import numpy as np
import tensorflow as tf
from PIL import Image

import vqvae_tf as vq
from vqvae_tf import data
from vqvae_tf.recipes import defaults
from vqvae_tf.samples.photos import sample_pictures

SIZE = 16
# Graphs are traced in the time that their operations take: one block is enough.
SMALL = dict(hidden_channels=8, num_residual_layers=1)


def pictures(count=8, size=SIZE) -> np.ndarray:
    """Real photos, uint8 [count, size, size, 3], count up to 12."""
    paths = sample_pictures()[:count]
    return np.stack([data.load_picture(path, size) for path in paths])


def autoencoder(num_codebooks=1, quantizer=vq.VectorQuantizerEMA, channels=3):
    """An untrained VQ-VAE of 16x16 pictures with 4x4 codes of 8."""
    likelihood = vq.Gaussian()
    model = vq.VQVAE(
        vq.Encoder(4 * num_codebooks, **SMALL),
        quantizer(8, 4, num_codebooks=num_codebooks, seed=1),
        vq.FactorizedDensity(
            vq.Decoder(likelihood.num_parameters(channels), **SMALL),
            likelihood,
        ),
        event_shape=(SIZE, SIZE, channels),
    )
    model.build()
    # Latents of the size of the codebook, so that several codes are used.
    _assign_normal(model.quantizer.embeddings, 0.05)
    return model


def vae(bottleneck=None, latents=4, channels=3, **options):
    """An untrained VAE of 16x16 pictures, or one of its kin, on a 4x4 grid.

    Args:
        bottleneck: by default a Gaussian of two dimensions.
        latents: channels of the encoder's output.
        channels: of the pictures.
        options: further parts of the `Autoencoder`.
    """
    likelihood = vq.Gaussian()
    model = vq.Autoencoder(
        vq.Encoder(latents, **SMALL),
        bottleneck or vq.bottlenecks.DiagonalGaussian(),
        vq.FactorizedDensity(
            vq.Decoder(likelihood.num_parameters(channels), **SMALL),
            likelihood,
        ),
        event_shape=(SIZE, SIZE, channels),
        **options,
    )
    model.build()
    return model


def dense_vae(size=28):
    """An untrained VAE of grey digits: dense layers, binary pixels."""
    model = vq.Autoencoder(
        vq.DenseEncoder(2 * 3, size, hidden_units=(8,)),
        vq.bottlenecks.DiagonalGaussian(),
        vq.FactorizedDensity(
            vq.DenseDecoder(1, size, hidden_units=(8,)), vq.Bernoulli()
        ),
        observation=vq.layers.Binarization(),
        event_shape=(size, size, 1),
    )
    model.build()
    return model


def prior(num_codebooks=1, event_shape=(4, 4), **kwargs):
    """A PixelCNN of codes of `autoencoder()`, or of those above them."""
    sizes = dict(hidden_channels=8, num_layers=2, first_kernel_size=3)
    return vq.PixelCNN(
        8,
        event_shape,
        num_codebooks=num_codebooks,
        head_channels=8,
        **{**sizes, **kwargs},
    )


def generator(num_codebooks=1, num_classes=None):
    """`autoencoder()` with an untrained PixelCNN prior."""
    model = vq.LatentGenerator(
        autoencoder(num_codebooks),
        prior(num_codebooks, global_channels=num_classes),
    )
    model.build()
    return model


def two_levels():
    """`autoencoder()`, three codes above its maps and a prior of the three."""
    above = vq.VQVAE(
        vq.GlobalEncoder(4, 3 * 4, **SMALL),
        vq.VectorQuantizerEMA(8, 4, num_codebooks=3, seed=1),
        prior(local_channels=3 * 4, local_upsampling=4),
        preprocess=vq.CodeEmbedding(8, 6),
        event_shape=(4, 4),
    )
    top = vq.LatentGenerator(above, prior(3, (1, 1), num_layers=1))
    model = vq.LatentGenerator(autoencoder(), top)
    model.build()
    # As in `autoencoder`, so that several codes are used.
    _assign_normal(above.preprocess.embeddings, 1.0)
    _assign_normal(above.quantizer.embeddings, 0.05)
    return model


def video(num_actions=5, action_size=None, **marginals):
    """`autoencoder()` with an untrained prior of the frame after two."""
    network = vq.PastFrames(
        8,
        num_past=2,
        num_actions=num_actions,
        action_size=action_size,
        embedding_dim=4,
        hidden_channels=8,
        num_residual_layers=1,
    )
    density = vq.ConditionalDensity(
        network, prior(local_channels=8), **marginals
    )
    model = vq.VideoGenerator(autoencoder(), density)
    model.build()
    # So that frames and actions make a difference.
    _assign_normal(network.embedding.embeddings, 1.0)
    if network.of_action is not None:
        _assign_normal(network.of_action.kernel, 3.0)
    return model


def _assign_normal(variable, scale):
    values = tf.random.stateless_normal(variable.shape, [0, 1])
    variable.assign(values * scale)


SPEAKERS = ("ann", "bob", "eve")


def waveforms(count=3, time=50, seed=0) -> np.ndarray:
    """Tones with overtones, float32 [count, time] in [-1, 1]."""
    rng = np.random.default_rng(seed)
    pitch = rng.uniform(0.05, 0.6, [count, 1])
    phase = np.arange(time) * pitch
    wave = np.sin(phase) + 0.4 * np.sin(3 * phase + 1)
    return (wave / np.abs(wave).max(axis=1, keepdims=True)).astype(np.float32)


def wavenet(num_embeddings, **context):
    """A WaveNet that sees eight positions back."""
    return vq.WaveNet(
        num_embeddings,
        hidden_channels=8,
        skip_channels=8,
        head_channels=8,
        num_stacks=1,
        layers_per_stack=3,
        **context,
    )


def speech_vqvae(**helpers):
    """An untrained VQ-VAE of waveforms: a code of 8 for four samples."""
    model = vq.SpeechVQVAE(
        vq.Encoder(4, num_downsamples=2, rank=1, **SMALL),
        vq.VectorQuantizerEMA(8, 4, seed=1),
        vq.WaveformDensity(
            wavenet(
                16, global_channels=3, local_channels=4, local_upsampling=4
            ),
            vq.MuLaw(16),
        ),
        vq.MuLaw(16),
        sample_rate=800,
        speaker_names=SPEAKERS,
        **helpers,
    )
    model.build()
    _assign_normal(model.quantizer.embeddings, 0.05)
    return model


def spectral_decoder(**options):
    """An auxiliary or fast decoder for `speech_vqvae`."""
    sizes = dict(hop=4, window=16, num_mels=3, channels=4, weight=0.1)
    return vq.layers.SpectralDecoder(**{"sample_rate": 800, **sizes, **options})


def speech():
    """As `speech_vqvae()`, with a fast decoder and a WaveNet prior."""
    model = vq.LatentGenerator(
        speech_vqvae(auxiliary=spectral_decoder()),
        wavenet(8, event_shape=(6,)),
    )
    model.build()
    return model


def speech_recipe():
    """A recipe that trains in seconds on the recordings of `write_voices`."""
    config = recipe()
    for section in ("encoder", "decoder", "prior"):
        config[section] = defaults()[section]
    config.name = "small_speech"
    config.data.update(
        source="folder", sample_rate=8000, window=64, num_speakers=2
    )
    config.preprocess.update(name="MuLaw", num_levels=16)
    config.encoder.update(
        output_channels=4,
        hidden_channels=8,
        num_downsamples=2,
        num_residual_layers=1,
        batch_norm=True,
    )
    sizes = dict(hidden_channels=8, skip_channels=8, head_channels=8)
    net = dict(name="WaveNet", num_stacks=1, layers_per_stack=3, **sizes)
    config.decoder.update(net)
    config.adversary.update(name="LabelAdversary", channels=4)
    config.auxiliary.update(name="SpectralDecoder", channels=4)
    config.code_training.update(
        steps=5, batch_size=2, steps_per_epoch=2, warmup_steps=1
    )
    config.fast_decoder.update(
        name="SpectralDecoder", channels=4, dilation_rates=(1, 2)
    )
    config.fast_training.update(
        steps=3, batch_size=2, steps_per_epoch=2, warmup_steps=1
    )
    config.prior.update(net, event_shape=(6,))
    config.prior_training.encode_passes = 2
    return config


def write_voices(folder):
    """Writes train and test recordings of two speakers, wav at 8 kHz."""
    import soundfile

    for split, count in (("train", 6), ("test", 4)):
        for i, wave in enumerate(waveforms(count, 600, seed=count)):
            path = folder / split / SPEAKERS[i % 2] / f"{i}.wav"
            path.parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(path, wave[: 300 + 50 * i] * 0.9, 8000)


def recipe(num_classes=None):
    """A recipe that trains in seconds on data of `write_data`."""
    config = defaults()
    config.name = "small"
    config.dtype_policy = "float32"
    config.data.update(
        source="npz:small.npz", image_size=SIZE, num_classes=num_classes
    )
    sizes = dict(hidden_channels=8, residual_channels=8, num_residual_layers=1)
    config.encoder.update(output_channels=4, **sizes)
    config.decoder.update(**sizes)
    config.quantizer.update(num_embeddings=8, embedding_dim=4)
    config.training.update(
        steps=6, batch_size=4, steps_per_epoch=3, warmup_steps=1
    )
    config.prior.update(
        name="PixelCNN",
        event_shape=(4, 4),
        hidden_channels=8,
        num_layers=2,
        first_kernel_size=3,
        head_channels=8,
    )
    config.prior_training.update(
        steps=4, batch_size=4, steps_per_epoch=2, warmup_steps=1
    )
    return config


def family_recipe(bottleneck="DiagonalGaussian", latents=4, **options):
    """As `recipe()`, of an autoencoder with a bottleneck.

    Args:
        bottleneck: its name.
        latents: channels of the encoder's output.
        options: of the bottleneck.
    """
    config = recipe()
    config.prior = defaults().prior
    config.quantizer = defaults().quantizer
    config.encoder.output_channels = latents
    config.bottleneck.update(name=bottleneck, **options)
    return config


def stateful_recipe():
    """`recipe()` with all that has a state, saved whenever it is asked."""
    config = recipe(num_classes=2)
    config.quantizer.update(restart_after=2, initialize_from_data=True)
    config.prior.dropout = 0.2
    config.training.update(
        steps=23, steps_per_epoch=8, checkpoint_minutes=0.0, clip_norm=0.1
    )
    config.prior_training.update(
        steps=22, steps_per_epoch=8, checkpoint_minutes=0.0
    )
    return config


def vqgan_recipe():
    """A VQGAN with all that has a state, and no prior."""
    config = recipe()
    config.prior = defaults().prior
    sizes = dict(stage_channels=(4, 4), num_residual_layers=0, num_groups=2)
    config.encoder = dict(
        name="GroupNormEncoder", output_channels=4, dropout=0.1, **sizes
    )
    config.decoder = dict(name="GroupNormDecoder", **sizes)
    config.quantizer = dict(
        name="VectorQuantizer",
        num_embeddings=8,
        embedding_dim=4,
        codebook_dim=2,
        distance="cosine",
        restart_after=2,
    )
    config.discriminator = dict(
        name="PatchDiscriminator",
        hidden_channels=4,
        num_layers=1,
        norm="batch",
        spectral_norm=True,
    )
    config.adversarial.update(
        adversarial_start=2, adversarial_ramp=3, squared_weight=0.5
    )
    config.training.update(
        steps=11,
        steps_per_epoch=4,
        checkpoint_minutes=0.0,
        ema_momentum=0.9,
    )
    return config


def write_data(folder):
    """Writes small.npz, train and test pictures with labels 0 and 1."""
    images = pictures(12)
    labels = np.arange(12) % 2
    np.savez(
        folder / "small.npz",
        train_images=images[:8],
        train_labels=labels[:8],
        test_images=images[8:],
        test_labels=labels[8:],
    )


def read_picture(path) -> np.ndarray:
    """Reads a picture's pixels as they are in the file."""
    with Image.open(path) as picture:
        return np.array(picture)
