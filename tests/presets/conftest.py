"""A preset that the tests share, and a copy for those that change it."""

import shutil

import pytest

from support import small
from vqvae_tf import presets


@pytest.fixture(scope="session")
def preset(tmp_path_factory):
    folder = tmp_path_factory.mktemp("presets") / "tiny"
    model = small.generator()
    digest = model.save_to_preset(folder, {"seed": 3}, "# tiny\n")
    assert digest == presets.sha256(folder / "metadata.json")
    return folder, model


@pytest.fixture
def copy(preset, tmp_path):
    return shutil.copytree(preset[0], tmp_path / "copy")
