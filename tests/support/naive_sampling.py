"""The slow sampler of benchmarks/, which tests compare with."""

import importlib.util
import pathlib

_PATH = pathlib.Path(__file__).parents[2] / "benchmarks/naive_sampling.py"
_spec = importlib.util.spec_from_file_location("naive_sampling", _PATH)
_module = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_module)
NaiveSampler = _module.NaiveSampler
