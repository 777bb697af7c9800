"""What of a recipe may change in a run that has begun."""

import json

import pytest

from support import small
from vqvae_tf import recipes, tasks
from vqvae_tf.training import workdir

# Of speech: a key, and the stages whose checkpoints bind it.
BOUND = {
    "code_training.batch_size": ("coder", "autoencoder"),
    "training.batch_size": ("autoencoder",),
    "fast_training.batch_size": ("fast_decoder",),
    "fast_decoder.channels": ("fast_decoder",),
    "prior_training.batch_size": ("prior",),
    "prior.hidden_channels": ("prior",),
}


def run(folder, config):
    """A directory that notes a recipe, as a run does when it starts."""
    folder.mkdir(exist_ok=True)
    (folder / workdir.RECIPE).write_text(recipes.to_json(config))
    return folder


def compare(config, folder):
    workdir.compare_recipe(config, folder, tasks.of(config).plans)


@pytest.mark.parametrize("key", BOUND)
def test_keys_are_bound_by_checkpoints_of_their_stages(tmp_path, key):
    config = recipes.check_recipe(small.speech_recipe())
    folder = run(tmp_path / "run", config)
    compare(config, folder)
    section, last = key.split(".")
    config[section][last] += 1
    compare(config, folder)  # nothing has begun
    for stage in ("coder", "autoencoder", "fast_decoder", "prior"):
        checkpoint = folder / stage / "ckpt-1.index"
        checkpoint.parent.mkdir()
        checkpoint.touch()
        if stage in BOUND[key]:
            with pytest.raises(ValueError, match=f"differ in {key} "):
                compare(config, folder)
        else:
            compare(config, folder)
        checkpoint.unlink()


def test_passes_of_encoding_are_bound_by_the_codes(tmp_path):
    config = recipes.check_recipe(small.recipe())
    folder = run(tmp_path / "run", config)
    config.prior_training.encode_passes += 1
    compare(config, folder)
    (folder / workdir.CODES).touch()
    with pytest.raises(ValueError, match="prior_training.encode_passes"):
        compare(config, folder)


def test_other_parts_are_bound_from_the_start(tmp_path):
    config = recipes.check_recipe(small.recipe())
    folder = run(tmp_path / "run", config)
    config.encoder.hidden_channels += 1
    with pytest.raises(ValueError, match="differ in encoder.hidden_channels"):
        compare(config, folder)


def test_what_is_said_of_a_model_may_change(tmp_path):
    config = recipes.check_recipe(small.recipe())
    folder = run(tmp_path / "run", config)
    config.data.eval_split = "train"
    config.card.limits = "Other words."
    compare(config, folder)


@pytest.mark.parametrize(
    "make", [small.recipe, small.family_recipe, small.speech_recipe]
)
def test_runs_of_recipes_with_the_keys_of_all_kinds_go_on(tmp_path, make):
    """As they were noted before recipes had a kind."""
    config = recipes.defaults()
    with config.unlocked(), config.ignore_type():
        for key, value in make().items():
            config[key] = value
    noted = config.to_dict()
    noted.pop("kind")
    noted.pop("card")
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / workdir.RECIPE).write_text(json.dumps(noted))
    compare(recipes.check_recipe(make()), folder)


def test_a_run_of_another_kind_is_refused(tmp_path):
    folder = run(tmp_path / "run", small.speech_recipe())
    with pytest.raises(ValueError, match="kind \\('speech', now 'pictures'\\)"):
        compare(recipes.check_recipe(small.recipe()), folder)


def test_a_run_of_a_kind_that_is_unknown_is_refused(tmp_path):
    config = recipes.check_recipe(small.recipe())
    folder = run(tmp_path / "run", config)
    noted = json.loads((folder / workdir.RECIPE).read_text())
    noted["kind"] = "smells"
    (folder / workdir.RECIPE).write_text(json.dumps(noted))
    with pytest.raises(ValueError, match="is not the recipe of a run"):
        compare(config, folder)
