"""All that computes, with oneDNN off and on: as on any processor."""

import json
import pathlib

import numpy as np
import pytest

from support import processors

TESTS = pathlib.Path(__file__).parent
SCRIPT = TESTS / "support" / "train_steps.py"


@pytest.mark.slow
def test_train_steps_of_all_models_agree():
    off, on = (
        json.loads(processors.run_python(SCRIPT, onednn=onednn))
        for onednn in processors.ONEDNN
    )
    assert off.keys() == on.keys() and len(off) > 15
    for name, losses in off.items():
        assert np.all(np.isfinite(losses)), name
        (first, change), expected = (
            (values[0], values[1] - values[0]) for values in (losses, on[name])
        )
        np.testing.assert_allclose(first, expected[0], rtol=1e-5, err_msg=name)
        # What a step along the gradient changes.
        np.testing.assert_allclose(change, expected[1], rtol=0.02, err_msg=name)


@pytest.mark.slow
@pytest.mark.parametrize("onednn", processors.ONEDNN)
@pytest.mark.parametrize(
    "path",
    [
        "layers",
        "densities/autoregressive/test_wavenet.py",
        "densities/autoregressive/test_wavenet_sampling.py",
        "test_readme.py",
    ],
)
def test_with_onednn_off_and_on(path, onednn):
    words = ("-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", "not slow")
    processors.run_python(*words, TESTS / path, onednn=onednn)
