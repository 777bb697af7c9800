"""The examples in docstrings say what happens."""

import doctest
import functools
import importlib
import inspect
import pkgutil

import keras
import numpy as np
import pytest
import tensorflow as tf

import vqvae_tf

NOT_RUN = {
    # Slow, and tests/export/test_saved_model.py does the same.
    "vqvae_tf.export.saved_model.export",
    # Needs prepared episodes; tests/data/episodes/test_rlds.py opens the same.
    "vqvae_tf.data.episodes.rlds.open_episodes",
}


def modules():
    yield vqvae_tf
    for info in pkgutil.walk_packages(vqvae_tf.__path__, "vqvae_tf."):
        if info.name.startswith("vqvae_tf.zoo"):
            continue
        try:
            yield importlib.import_module(info.name)
        except ImportError as error:  # of an extra that is not installed
            if "pip install vqvae_tf[" not in str(error):
                raise


# Tracing takes these some 10 seconds each.
SLOW = (
    "vqvae_tf.densities.waveform.WaveformDensity",
    "vqvae_tf.densities.autoregressive.code_transformer.CodeTransformer",
    "vqvae_tf.densities.autoregressive.masked_code_transformer."
    "MaskedCodeTransformer",
    "vqvae_tf.densities.autoregressive.pixel_cnn.PixelCNN",
    "vqvae_tf.densities.autoregressive.pixel_snail.PixelSNAIL",
    "vqvae_tf.models.video_generator.VideoGenerator",
    "vqvae_tf.models.vqgan.VQGAN",
    "vqvae_tf.evaluation.speech.judges.train_judge",
    "vqvae_tf.evaluation.speech.probes.probe",
)


def examples():
    """Yields the docstrings with examples, each with its module's names."""
    finder = doctest.DocTestFinder(exclude_empty=True)
    names = {"keras": keras, "np": np, "tf": tf, "vqvae_tf": vqvae_tf}
    names |= {name: getattr(vqvae_tf, name) for name in vqvae_tf.__all__}
    for module in modules():
        for test in finder.find(module, globs={**vars(module), **names}):
            if test.examples and test.name not in NOT_RUN:
                marks = [pytest.mark.slow] * (test.name in SLOW)
                yield pytest.param(test, id=test.name, marks=marks)


@functools.cache
def untrained_preset(name=None):
    """Stands in for the presets: 32x32 pictures of 10 classes."""
    likelihood = vqvae_tf.Gaussian()
    autoencoder = vqvae_tf.VQVAE(
        vqvae_tf.Encoder(4, hidden_channels=8),
        vqvae_tf.VectorQuantizerEMA(8, 4),
        vqvae_tf.FactorizedDensity(
            vqvae_tf.Decoder(3, hidden_channels=8), likelihood
        ),
    )
    prior = vqvae_tf.PixelCNN(
        8, (8, 8), hidden_channels=8, num_layers=1, global_channels=10
    )
    generator = vqvae_tf.LatentGenerator(autoencoder, prior)
    generator.build()
    return generator


@functools.cache
def untrained_video(name=None):
    """Stands in for the presets: 84x84 frames, 21x21 codes, 9 actions."""
    autoencoder = untrained_preset().autoencoder
    video = vqvae_tf.VideoGenerator(
        autoencoder,
        vqvae_tf.ConditionalDensity(
            vqvae_tf.PastFrames(8, 6, 9, hidden_channels=8),
            vqvae_tf.PixelCNN(
                8,
                (21, 21),
                hidden_channels=8,
                num_layers=1,
                local_channels=8,
            ),
        ),
    )
    video.build()
    return video


@pytest.mark.parametrize("example", list(examples()))
def test_example(example, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(
        vqvae_tf.LatentGenerator, "from_preset", untrained_preset
    )
    monkeypatch.setattr(vqvae_tf.VideoGenerator, "from_preset", untrained_video)
    sources = "".join(part.source for part in example.examples)
    if "generator" in sources or "images" in sources:
        example.globs["generator"] = untrained_preset()
        example.globs["images"] = np.zeros([2, 32, 32, 3], np.uint8)
    runner = doctest.DocTestRunner(
        optionflags=doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
    )
    report = []
    runner.run(example, out=report.append)
    assert runner.failures == 0, "".join(report)


PUBLIC = "bottlenecks densities layers models networks quantizers".split()


def test_every_public_class_has_a_docstring_and_most_an_example():
    parts = [vqvae_tf, *(getattr(vqvae_tf, name) for name in PUBLIC)]
    classes = {
        found
        for part in parts
        for name in part.__all__
        if inspect.isclass(found := getattr(part, name))
    }
    assert len(classes) >= 40
    assert [c for c in classes if not c.__doc__] == []
    without = {c.__name__ for c in classes if ">>>" not in c.__doc__}
    # And a metric of the quantizers'.
    bases = {"CodeModel", "DensityModel", "Likelihood"}
    assert without <= {*bases, "CodebookUsage"}
