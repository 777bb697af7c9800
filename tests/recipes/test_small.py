"""The small variants of recipes."""

import pytest

from vqvae_tf import recipes
from vqvae_tf.recipes import small as small_recipes


@pytest.mark.parametrize("name", recipes.built_in())
def test_all_recipes_have_a_small_variant(name):
    config = recipes.load_recipe(f"{name}:small")
    whole = recipes.load_recipe(name)
    assert recipes.kind(config) == recipes.kind(whole)
    assert not recipes.is_built_in(config)
    for section in whole.keys():
        if "training" in section:
            assert config[section].steps <= small_recipes.STEPS
    for section in ("encoder", "prior", "context"):
        if section in whole:
            assert config[section] == whole[section]


def test_a_file_has_a_small_variant_too(tmp_path):
    path = recipes.built_in()["ae_mnist"]
    (tmp_path / "mine.py").write_text(path.read_text())
    config = recipes.load_recipe(f"{tmp_path / 'mine.py'}:small")
    assert config.training.steps == small_recipes.STEPS


def test_a_file_of_that_name_is_a_file(tmp_path):
    path = recipes.built_in()["ae_mnist"]
    (tmp_path / "mine:small").write_text(path.read_text())
    config = recipes.load_recipe(tmp_path / "mine:small")
    assert config.training.steps == 2_000


def test_no_such_recipe():
    with pytest.raises(FileNotFoundError, match="no recipe at nothing. "):
        recipes.find_recipe("nothing:small")


@pytest.mark.parametrize(
    "split, expected",
    [
        ("train", "train[:400]"),
        ("test[:3000]", "test[:400]"),
        ("train[50:]", "train[50:450]"),
        ("train[10%:]", "train[10%:]"),
        ("train[-9:]", "train[-9:]"),
    ],
)
def test_splits_are_cut(split, expected):
    assert small_recipes._first(split, 400) == expected


def test_the_recipe_itself_stays():
    config = recipes.load_recipe("ae_mnist")
    before = recipes.to_json(config)
    small_recipes.make_small(config)
    assert recipes.to_json(config) == before
