"""The built-in presets answer as they did: on any processor.

outputs.npz is what `python tests/support/preset_outputs.py write` found when
the presets were published; tests/support/preset_outputs.py says how to compare
two versions on one machine bit for bit.
"""

import pathlib

import numpy as np
import pytest

from support import preset_outputs
from vqvae_tf import presets

STORED = np.load(pathlib.Path(__file__).parent / "outputs.npz")
COUNT = 2
# Latents that are equally near to two embeddings, or draws that are as near
# to a boundary, may go either way on another processor.
EQUAL = 0.99
# Of the largest value. The phases of Griffin-Lim make more of rounding.
TOLERANCE = {"fast_waveform": 2e-3}


@pytest.mark.parametrize("name", sorted(presets.BUILT_IN))
def test_presets_answer_as_before(name):
    if name == preset_outputs.SPEECH:
        pytest.importorskip("soundfile", reason="reads recordings")
    found = preset_outputs.answers(name, COUNT)
    before = {key for key in STORED if key.startswith(f"{name}/")}
    assert found.keys() == before
    for key, value in found.items():
        expected = STORED[key]
        assert value.dtype == expected.dtype and value.shape == expected.shape
        if value.dtype == np.uint8:
            near = np.abs(value.astype(int) - expected) <= 1
            assert near.mean() >= EQUAL, key
        elif np.issubdtype(value.dtype, np.integer):
            assert (value == expected).mean() >= EQUAL, key
        else:
            tolerance = TOLERANCE.get(key.partition("/")[2], 1e-4)
            scale = np.abs(expected).max()
            np.testing.assert_allclose(
                value, expected, 1e-4, tolerance * scale, err_msg=key
            )


def test_every_preset_is_among_them():
    assert {key.partition("/")[0] for key in STORED} == set(presets.BUILT_IN)
