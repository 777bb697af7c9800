"""SavedModels that need only TensorFlow, laid out for TensorFlow Serving."""

import os
import pathlib
import shutil
import tempfile

import keras
import tensorflow as tf
from absl import logging

from vqvae_tf.export.signatures import endpoints
from vqvae_tf.export.signatures.bounds import Bounds
from vqvae_tf.models import (
    Autoencoder,
    CodedSequenceModel,
    CodeModel,
    LatentGenerator,
    SpeechVQVAE,
    VideoGenerator,
)
from vqvae_tf.models.sequence_model import SequenceModel
from vqvae_tf.runtime.precision import in_float32
from vqvae_tf.utils import finite, folders
from vqvae_tf.utils.paths import printable, resolve

# The place in a version's folder where TensorFlow Serving looks for it.
WARMUP_FILE = pathlib.PurePath("assets.extra", "tf_serving_warmup_requests")
# Beside models of sequences.
_CLASSES = (
    Autoencoder,
    CodedSequenceModel,
    CodeModel,
    LatentGenerator,
    VideoGenerator,
)


def export(
    generator: keras.Model,
    path: str | os.PathLike,
    version: int = 1,
    jit_sampling: bool | None = None,
    max_batch: int | None = None,
    max_pixels: int | None = None,
    max_samples: int | None = None,
) -> pathlib.Path:
    """Writes a model as a SavedModel, `path/<version>/`.

    The signatures of a model of pictures, with named inputs and outputs (B
    pictures of H x W pixels, codes on a grid of h x w, with a last axis G for
    G > 1 codebooks; grey pictures have 1 instead of 3 channels)::

        encode(images uint8 [B, H, W, 3]) -> codes int32 [B, h, w]
        decode(codes int32 [B, h, w]) -> images uint8 [B, H, W, 3]
        reconstruct(images) -> images

    If the model has a prior, also::

        sample(num_samples int32 [], temperature float32 [], seed int32 [])
            -> images uint8 [num_samples, H, W, 3]
        score(images) -> bits_per_dim, reconstruction, prior: float32 [B],
            bits per dimension, where the first is the sum of the others

    With a class-conditional prior, `sample` and `score` take another input
    `labels`, int32 `[1]` (for all pictures) or one for each. Batch, height
    and width are free; samples have the prior's grid.

    A model of two levels, a `LatentGenerator` whose prior is one as well, has
    these and, for the G global codes of each picture::

        encode_global(images) -> global_codes int32 [B, G]
        decode_global(global_codes, temperature, seed) -> images, of code maps
            drawn from the decoder

    where `encode_global` and `score` take pictures of one size only. A
    `HierarchicalVQVAE` has codes_top, ..., codes_bottom instead of codes, and
    decode_top(codes_top) -> images, of the top's codes alone. A
    `VideoGenerator` has, for B clips of T frames::

        encode(frames uint8 [B, T, H, W, 3]) -> codes int32 [B, T, h, w]
        decode(codes) -> frames
        continue(context_frames uint8 [B, T, H, W, 3], num_frames int32 [],
            temperature, seed) -> frames uint8 [B, num_frames, H, W, 3]
        rollout(context_frames, actions int32 [B, N] or float32 [B, N, size],
            temperature, seed) -> frames uint8 [B, N, H, W, 3]

    the last only with a prior that is given actions. An `Autoencoder`, with
    latents of C channels instead of codes, has `reconstruct` and `sample` as
    above and::

        encode(images) -> latents float32 [B, h, w, C]
        decode(latents) -> images
        score(images, seed int32 []) -> bits_per_dim, reconstruction, prior:
            float32 [B], of the bound of one draw of z

    where `sample` and `score` need a bottleneck with a prior. A `SpeechVQVAE`
    has, for B waveforms of T samples and n = ceil(T / stride) codes::

        encode(waveform float32 [B, T], sample_rate int32 []) -> codes int32
            [B, n]
        decode(codes, speaker int32 [1] or [B], temperature, seed) ->
            waveform float32 [B, n * stride]
        convert(waveform, sample_rate, speaker, temperature, seed) ->
            waveform float32 [B, T]

    with a fast decoder also decode_fast(codes, speaker) and
    convert_fast(waveform, sample_rate, speaker), with a prior::

        sample(num_samples, num_codes int32 [], speaker, temperature, seed) ->
            waveform float32 [num_samples, num_codes * stride], codes
        score(waveform, sample_rate, speaker) -> bits_per_sample,
            reconstruction, prior: float32 [B]

    and the speakers' names and the sample rate in assets.extra/speech.json. A
    `TDVAE`, `StateSpaceModel` or `NextFrameModel` has, for B sequences of T
    frames of its event shape E (uint8 pixels, int32 codes or float32 numbers)::

        belief(frames [B, T, *E]) -> belief float32 [B, T, size]
        rollout(frames, times int32 [n], num_futures int32 [], temperature,
            seed) -> frames [B * num_futures, n, *E]

    and a `CodedSequenceModel` also encode(frames) -> codes and decode(codes)
    -> frames, as a `VideoGenerator` has them.

    `serving_default` is `encode`, or `belief` of sequences. Everything is
    computed in float32, in a copy if necessary. Invalid requests get an
    InvalidArgumentError with a message.

    The folder appears once it is complete. If the package
    tensorflow-serving-api is installed, it contains warm-up requests for every
    signature.

    Args:
        generator: a `VQVAE` or `HierarchicalVQVAE` of pictures or a
            `SpeechVQVAE`, a `LatentGenerator` with one, a `VideoGenerator`, an
            `Autoencoder`, or a model of sequences.
        path: the model's folder; its name is the model's name on a server.
        version: a whole number of at least 1; servers use the highest.
        jit_sampling: for speech, and for pictures with a prior: whether XLA
            compiles the steps of the decoder or of `sample` where the model
            runs; by default not. They are then up to several times as fast,
            but TensorFlow Serving needs a flag (docs/serving.md).
        max_batch, max_pixels, max_samples: the limits of a request, so that
            none uses up all memory; see `signatures.bounds.Bounds`. By default
            256 examples, 2**23 pixels, 256 drawn pictures or frames, and for
            speech 2**19 samples of waveforms. 0 is no limit.

    Returns:
        The path of the version's folder.

    Raises:
        TypeError: for other objects.
        ValueError: for a model of other data, a second level whose codes are
            not global, a prior that needs a local context, an invalid version,
            jit_sampling where nothing is drawn in steps, or weights that are
            not finite.
        FileExistsError: if the version already exists.

    Example:

    >>> generator = LatentGenerator.from_preset("vqvae_photo128")
    >>> folder = export(generator, "serving/vqvae_photo128", version=1)
    >>> model = tf.saved_model.load(folder)  # needs only TensorFlow
    >>> images = tf.zeros([1, 128, 128, 3], tf.uint8)
    >>> codes = model.signatures["encode"](images=images)["codes"]

    References:
        docs/serving.md; https://www.tensorflow.org/guide/saved_model
    """
    bounds = Bounds(max_batch, max_pixels, max_samples)
    _check_generator(generator)
    target = check_target(path, version)
    finite.check_weights(generator, "exported")
    served = endpoints(in_float32(generator), jit_sampling, bounds)
    signatures, examples = served.signatures(), served.examples()
    with folders.new_folder(target, _refuse) as folder:
        _save(signatures, folder)
        for name, text in served.extra_files().items():
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_text(text)
        _write_warmup(folder, target.parent.name, examples)
    return target


def _check_generator(generator):
    if isinstance(generator, SequenceModel):
        return
    if not isinstance(generator, _CLASSES):
        raise TypeError(
            "export supports an Autoencoder, a VQVAE, a HierarchicalVQVAE, a "
            "LatentGenerator, a VideoGenerator or a model of sequences (TDVAE, "
            "CodedSequenceModel, ...). Received: "
            f"{type(generator).__name__}."
        )
    autoencoder = generator.autoencoder
    shape = autoencoder.event_shape
    speech = isinstance(autoencoder, SpeechVQVAE)
    if not speech and len(shape) != 3:
        raise ValueError(
            "export supports models of speech (SpeechVQVAE), and of pictures "
            "with event_shape=(height, width, channels). Received: "
            f"event_shape={shape}."
        )
    prior = generator.prior
    while isinstance(prior, LatentGenerator):
        _check_level(prior.autoencoder)
        prior = prior.prior
    if prior is not None and prior.local_channels:
        raise ValueError(
            "A prior that needs a local context cannot be exported: no "
            "signature has an input for it. Received: a prior with "
            f"local_channels={prior.local_channels}."
        )


def _check_level(autoencoder):
    shape = autoencoder.event_shape
    factor = autoencoder.downsampling
    if shape != (factor, factor):
        raise ValueError(
            "Export supports a second level only if its codes stand for a "
            "whole picture: with a GlobalEncoder, and event_shape=(grid_size, "
            f"grid_size). Received: event_shape={shape}, and an encoder of "
            f"{factor} x {factor} codes to one."
        )


def check_target(path: str | os.PathLike, version: int) -> pathlib.Path:
    """Returns the folder of a version, which must not exist.

    Raises:
        ValueError: unless version is a whole number of at least 1.
        FileExistsError: if the folder exists.
    """
    whole = isinstance(version, int) and not isinstance(version, bool)
    if not whole or version < 1:
        raise ValueError(
            "version must be a whole number of at least 1, the name of a "
            f"folder. Received: version={version!r}."
        )
    # Resolved, since the last component of the path is the model's name.
    target = resolve(path) / str(version)
    folders.replaceable(target, _refuse)
    return target


def _refuse(target):
    """Raises FileExistsError: existing versions are never replaced."""
    raise FileExistsError(
        f"{target} exists already; a server may be using it. Export another "
        "version (a server takes the highest), or remove the folder first."
    )


def _save(signatures, folder):
    # A plain module with only the variables in use, which keeps Keras objects
    # and training state out of the SavedModel.
    module = tf.Module()
    variables = {
        id(variable): variable
        for signature in signatures.values()
        for variable in signature.variables
    }
    module.served_variables = list(variables.values())
    if str(folder) != printable(str(folder)):
        # TensorFlow does not support such a name.
        with tempfile.TemporaryDirectory() as temporary:
            tf.saved_model.save(module, temporary, signatures)
            shutil.copytree(temporary, folder, dirs_exist_ok=True)
    else:
        tf.saved_model.save(module, str(folder), signatures)


def _write_warmup(folder, model_name, requests):
    """Writes the requests that TensorFlow Serving sends to a loaded SavedModel.

    Otherwise the first request to a signature would wait for the setup of
    memory, threads and kernels. The protocol buffers are TensorFlow Serving's;
    without its package the SavedModel is complete except for warm-up.

    Args:
        folder: the version's folder, which contains the SavedModel.
        model_name: the name used by clients.
        requests: inputs by name, by signature.

    References:
        https://www.tensorflow.org/tfx/serving/saved_model_warmup
    """
    protos = _protos()
    if protos is None:
        logging.warning(
            "The SavedModel of %s has no warm-up requests, so the first "
            "requests to a server will be slow: the package "
            "tensorflow-serving-api is not installed. To include them: "
            "pip install vqvae_tf[serving], and export again.",
            model_name,
        )
        return
    path = folder / WARMUP_FILE
    path.parent.mkdir(exist_ok=True)
    with tf.io.TFRecordWriter(os.fsencode(path)) as writer:
        for signature, inputs in requests.items():
            record = _record(protos, model_name, signature, inputs)
            writer.write(record.SerializeToString())


def _protos():
    """Returns the modules of PredictRequest and PredictionLog, or None."""
    try:
        from tensorflow_serving.apis import predict_pb2, prediction_log_pb2
    except ImportError:
        return None
    return predict_pb2, prediction_log_pb2


def _record(protos, model_name, signature, inputs):
    predict_pb2, prediction_log_pb2 = protos
    request = predict_pb2.PredictRequest()
    request.model_spec.name = printable(model_name)
    request.model_spec.signature_name = signature
    for name, value in inputs.items():
        request.inputs[name].CopyFrom(tf.make_tensor_proto(value))
    log = prediction_log_pb2.PredictLog(request=request)
    return prediction_log_pb2.PredictionLog(predict_log=log)
