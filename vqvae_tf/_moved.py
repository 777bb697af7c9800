"""Modules of version 0.1.0 under their old names: they warn, until 0.3.0.

An old name is a module of its own, filled with what its successors have. Where
something else has the name now, that package asks its successors for what it
has not got itself. Imports no part of the package before it is asked to.
"""

import importlib
import importlib.abc
import importlib.util
import sys
import types
import warnings

_PACKAGE = __name__.rpartition(".")[0]
# Old names below the package's, and where what they had is now: the first that
# has a name counts.
MODULES = {
    "audio_inputs": "commands.inputs.recordings",
    "building": "recipes.building tasks.speech.recipe",
    "cards": "tasks.card tasks",
    "checkpoints": "training.checkpoints",
    "checks": "utils.checks",
    "clip_inputs": "commands.inputs.clips",
    "clips": "samples.clips",
    "code_beam": "encoding.beam encoding.job",
    "code_evaluation": "evaluation.two_levels",
    "code_labels": "evaluation.code_labels",
    "code_sets": "encoding.dataset",
    "comparison": "evaluation.comparison",
    "data.audio_decoding": "data.audio.decoding",
    "data.audio_files": "data.audio.files data.audio.decoding",
    "data.batching": "data.batches data.pictures.batches",
    "data.clips": "data.episodes.batches",
    "data.folder": "data.pictures.folder data.folders",
    "data.images": "data.pictures.open",
    "data.npz": "data.pictures.npz",
    "data.picture_files": "data.pictures.files",
    "data.rlds": "data.episodes.rlds",
    "data.shapes": "data.pictures.shapes",
    "demo": "commands.demo",
    "densities.levels": "densities.waveform",
    "densities.pixel_cnn": "densities.autoregressive.pixel_cnn",
    "densities.wavenet": "densities.autoregressive.wavenet",
    "digits": "samples.digits",
    "disentanglement": "evaluation.disentanglement",
    "divergence": "training.divergence",
    "dtype_policies": "runtime.dtype_policies",
    "errors": "utils.errors",
    "family_evaluation": "evaluation.autoencoders",
    "family_properties": "evaluation.autoencoder_properties",
    "files": "utils.files utils.npz_files",
    "fitting": "training.fitting utils.progress",
    "folders": "utils.folders",
    "gradient_rules": "runtime.gradient_rules",
    "history": "training.history",
    "interruption": "training.interruption",
    "latent_inputs": "commands.inputs.latents",
    "layers.companding": "layers.mu_law",
    "layers.scaling": "layers.preprocessing",
    "layers.vector_quantizer": "quantizers.vector_quantizer",
    "layers.vector_quantizer_ema": "quantizers.vector_quantizer_ema",
    "locking": "utils.locking",
    "neighbour_bound": "evaluation.neighbour_bound",
    "npz_files": "utils.npz_files",
    "paths": "utils.paths",
    "picture_inputs": "commands.inputs.pictures encoding.picture_format",
    "precision": "runtime.precision utils.configs",
    "preset_checks": "presets.checks",
    "preset_configs": "presets.configs",
    "preset_files": "presets.files",
    "preset_identity": "presets.identity",
    "preset_parts": "presets.loading",
    "random": "runtime.random",
    "replicas": "runtime.replicas",
    "sequences": "evaluation.classifiers utils.padding",
    "serving": "export.signatures",
    "sheets": "media.sheets",
    "spectral_distance": "evaluation.speech.spectral_distance layers.mel",
    "spectrograms": "media.spectrograms",
    "speech_codes": "encoding.recordings",
    "speech_evaluation": "evaluation.speech.evaluate "
    "evaluation.speech.codes evaluation.speech.drawn",
    "speech_judges": "evaluation.speech.judges",
    "speech_likelihoods": "evaluation.speech.likelihoods",
    "speech_probes": "evaluation.speech.probes",
    "speech_samples": "evaluation.speech.samples",
    "step": "runtime.step runtime.batches",
    "strategies": "runtime.strategies",
    "systems": "tasks",
    "tensor_checks": "utils.tensor_checks",
    "video_evaluation": "evaluation.video",
    "voices": "samples.voices",
    "warm_start": "recipes.warm_start",
    "wav": "media.wav",
}
# The same of those whose names now belong to packages.
PACKAGES = {
    "data.audio": "data.audio.open",
    "data.episodes": "data.episodes.episodes",
    "data.pictures": "data.decoding data.pictures.files",
    "data.source": "data.pictures.source data.options",
    "encoding": "encoding.arrays training.cache",
    "evaluation": "evaluation.pictures evaluation.statistics utils.progress",
    "export": "export.saved_model",
    "samples": "samples.photos",
    "training": "tasks.run",
}


def install():
    """Makes the old names importable; nothing real is ever hidden by them."""
    sys.meta_path.append(_OldNames())
    for old, successors in PACKAGES.items():
        package = importlib.import_module(f"{_PACKAGE}.{old}")
        package.__getattr__ = _lookup(package, successors)


class _OldNames(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds what all other finders have not found."""

    def find_spec(self, fullname, path=None, target=None):
        package, _, name = fullname.partition(".")
        if package != _PACKAGE or name not in MODULES:
            return None
        return importlib.util.spec_from_loader(fullname, self)

    def exec_module(self, module):
        successors = MODULES[module.__name__.partition(".")[2]]
        _warn(f"The module {module.__name__}", successors)
        for successor in reversed(_modules(successors)):
            module.__dict__.update(_names(successor))


def _lookup(package, successors):
    def lookup(name):
        # Python itself asks for the others, and is content with none.
        for successor in () if name.startswith("__") else _modules(successors):
            if name in _names(successor):
                _warn(f"{package.__name__}.{name}", successor.__name__)
                return _names(successor)[name]
        raise AttributeError(
            f"module {package.__name__!r} has no attribute {name!r}"
        )

    return lookup


def _names(module):
    return {
        name: value
        for name, value in vars(module).items()
        if not name.startswith("__") and not isinstance(value, types.ModuleType)
    }


def _modules(successors):
    return [
        importlib.import_module(f"{_PACKAGE}.{name}")
        for name in successors.split()
    ]


def _warn(what, successors):
    names = " or ".join(
        f"{_PACKAGE}.{name.removeprefix(f'{_PACKAGE}.')}"
        for name in successors.split()
    )
    warnings.warn(
        f"{what} has moved and will be gone in version 0.3.0. "
        f"Import from {names} instead (CHANGELOG.md).",
        DeprecationWarning,
        stacklevel=3,
    )
