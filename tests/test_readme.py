"""The snippets of README.md and docs run, in order, in one namespace each."""

import pathlib
import re

import numpy as np

from vqvae_tf import VectorQuantizer, recipes
from vqvae_tf.recipes import building

ROOT = pathlib.Path(__file__).resolve().parent.parent
README = ROOT / "README.md"


def snippets(path):
    return re.findall(
        r"^```python\n(.*?)^```", path.read_text(), re.DOTALL | re.MULTILINE
    )


def run(path, at_least, blocks=None):
    """Runs a page's snippets and returns their names."""
    blocks = blocks or snippets(path)
    assert len(blocks) >= at_least
    names = {"__name__": "__main__"}  # as in a script
    for block in blocks:
        exec(compile(block, str(path), "exec"), names)
    return names


def test_the_quantizer_of_the_readme_needs_no_other_snippet():
    (block,) = [b for b in snippets(README) if "VectorQuantizerEMA" in b]
    names = run(README, 1, [block])
    assert set(names["history"].history) >= {"loss", "vq_perplexity"}


def test_snippets_of_the_readme_run():
    names = run(README, at_least=2)
    assert names["codes"].shape == (1, 32, 32)
    assert names["restored"].shape == (1, 128, 128, 3)
    assert names["samples"].shape == (2, 128, 128, 3)
    assert names["pictures"].shape == names["restored"].shape


def test_snippets_of_models_run():
    names = run(ROOT / "docs" / "models.md", at_least=7)
    assert names["codes"].shape == (8, 8, 8)
    assert names["pictures"].shape == (8, 32, 32, 3)
    assert names["samples"].shape == (4, 32, 32, 3)
    assert names["from_levels"].shape == (4, 32, 32, 3)
    assert names["futures"].shape == (8, 2, 84, 84, 3)
    assert names["likely"].shape == (4, 10, 84, 84, 3)
    assert names["another"].shape == (4, 84, 84, 3)
    assert names["horses"].shape == (4, 32, 32, 3)
    assert names["three"].shape == (4, 1, 1, 3)
    assert names["george"].shape == names["waveform"].shape
    assert names["rough"].shape == names["waveform"].shape
    assert names["means"].shape == (8, 8, 8, 4)
    assert names["drawn"].shape == (4, 32, 32, 3)
    assert names["nats"].shape == (8,)
    assert set(names["bits"]) == {"total", "reconstruction", "prior"}


def test_snippets_of_scale_run():
    assert run(ROOT / "docs" / "scale.md", at_least=1)["strategy"]


def test_snippets_of_troubleshooting_run(monkeypatch):
    monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", "0")  # and it stays
    names = run(ROOT / "docs" / "troubleshooting.md", at_least=1)
    assert names["os"].environ["TF_ENABLE_ONEDNN_OPTS"] == "0"


def test_snippets_of_speech_run():
    names = run(ROOT / "docs" / "speech.md", at_least=2)
    assert names["codes"].shape == (4, 16)
    assert names["converted"].shape == (1, 256)
    assert names["labels"].tolist() == [1] * 8 + [0] * 8
    assert 0 <= names["found"].accuracy <= 1


def test_snippets_of_keras_run():
    names = run(ROOT / "docs" / "keras.md", at_least=1)
    restored, codes = names["model"].outputs
    assert restored.shape[1:] == (32, 32, 3) and codes.shape[1:] == (8, 8)


def test_snippets_of_migrating_run():
    names = run(ROOT / "docs" / "migrating.md", at_least=9)
    assert names["head_codes"].shape == (1, 32, 32, 8)
    assert names["coarse"].shape == (1, 1024, 256)
    np.testing.assert_allclose(  # the stages' vectors add up to the latents
        sum(names["each"]), names["residual"].decode(names["stage_codes"])
    )
    assert names["sign_codes"].shape == (1, 32, 32)
    assert names["residual_codes"].shape == (1, 1024, 4)
    assert names["grids"].shape == (32, 7, 7)
    assert names["drawn"].shape == (4, 7, 7, 16)
    assert names["tuples"].shape == (64, 4)


def test_snippets_of_semantic_ids_run():
    names = run(ROOT / "docs" / "semantic_ids.md", at_least=2)
    assert names["ids"].shape == (512, 3)
    assert set(names["history"].history) >= {"level_usage", "level_2_usage"}
    assert len(np.unique(names["distinct"], axis=0)) == 512


def test_snippets_of_own_pictures_run():
    names = run(ROOT / "docs" / "own_pictures.md", at_least=1)
    assert names["codes"].shape == (1, 32, 32)
    assert 0 < float(names["bits"][0]) < 9 * 32 * 32 * 1.2


def test_snippets_of_own_episodes_run(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    names = run(ROOT / "docs" / "own_episodes.md", at_least=2)
    episodes = names["episodes"]
    assert episodes.values.shape == (240, 32, 32, 3)
    assert episodes.num_actions == 2
    for t, action in enumerate(episodes.actions[:11]):
        moved = np.roll(episodes.values[t], 4 if action else -4, axis=1)
        np.testing.assert_array_equal(episodes.values[t + 1], moved)


def test_snippets_of_training_run_in_a_recipe():
    config = recipes.defaults("pictures")
    (block,) = snippets(ROOT / "docs" / "training.md")
    exec(compile(block, "training.md", "exec"), {"config": config})
    quantizer = building.make(config, "quantizer")
    assert type(quantizer) is VectorQuantizer
    assert quantizer.initialization.iterations == 10


def test_the_code_of_every_page_runs_somewhere():
    found = {
        page.name
        for page in (README, *(ROOT / "docs").glob("*.md"))
        if "\n```python\n" in page.read_text()
    }
    here = {"README.md", "models.md", "keras.md", "scale.md", "speech.md"}
    here |= {"troubleshooting.md", "migrating.md", "semantic_ids.md"}
    here |= {"training.md", "own_episodes.md", "own_pictures.md"}
    # tests/encoding/test_dataset.py, tests/export/
    assert found == here | {"encoding.md", "serving.md"}
