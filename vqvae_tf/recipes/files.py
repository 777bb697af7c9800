"""Finds and runs recipe files, and explains their errors."""

import contextlib
import importlib.machinery
import importlib.util
import pathlib
import traceback

import ml_collections

from vqvae_tf.recipes.small import SUFFIX, make_small
from vqvae_tf.utils.errors import ExplainedError
from vqvae_tf.utils.messages import first_line
from vqvae_tf.utils.paths import expand
from vqvae_tf.zoo_path import zoo_dir


def built_in() -> dict[str, pathlib.Path]:
    """Returns the files of the zoo's recipes, by name."""
    folder = zoo_dir() / "recipes"
    return {path.stem: path for path in sorted(folder.glob("*.py"))}


def find_recipe(name: str) -> pathlib.Path:
    """Returns a recipe's file.

    Args:
        name: a Python file with `get_config()`, or one of `built_in()`;
            followed by ":small" for the variant that trains in about a minute.

    Raises:
        FileNotFoundError: if there is no such file.
    """
    path = expand(name)
    if path.is_file():
        return path
    if str(name) in built_in():
        return built_in()[str(name)]
    if str(name).endswith(SUFFIX):
        return pathlib.Path(f"{find_recipe(str(name)[: -len(SUFFIX)])}{SUFFIX}")
    if path.is_dir():
        raise FileNotFoundError(
            f"A recipe is a Python file. Received: the folder {name}."
        )
    raise FileNotFoundError(
        f"There is no recipe at {name}. Expected a Python file with a function "
        f"get_config(), or one of the package's own: {', '.join(built_in())}."
    )


def read_recipe(path: str | pathlib.Path) -> ml_collections.ConfigDict:
    """Reads a recipe file, without checking its keys.

    Args:
        path: from `find_recipe`.

    Raises:
        RecipeError: if it cannot be run, or has no get_config that returns a
            recipe.
    """
    path = expand(path)
    if path.name.endswith(SUFFIX) and not path.is_file():
        return make_small(read_recipe(str(path)[: -len(SUFFIX)]))
    # With a loader, so that the file's name can have any ending.
    loader = importlib.machinery.SourceFileLoader("recipe", str(path))
    spec = importlib.util.spec_from_loader("recipe", loader)
    module = importlib.util.module_from_spec(spec)
    with _explained(path):
        spec.loader.exec_module(module)
    if not callable(getattr(module, "get_config", None)):
        raise RecipeError(f"The recipe {path} defines no get_config().")
    with _explained(path):
        config = module.get_config()
    if not isinstance(config, ml_collections.ConfigDict):
        raise RecipeError(
            f"get_config() of the recipe {path} must return a ConfigDict. "
            f"Received: {type(config).__name__}. Start from "
            "recipes.defaults() and change its values."
        )
    # Callers may change its keys.
    if isinstance(config, ml_collections.FrozenConfigDict):
        return ml_collections.ConfigDict(config)
    return config


class RecipeError(ExplainedError, ValueError):
    """A recipe cannot be read, or its code fails."""


@contextlib.contextmanager
def _explained(path):
    """Names the recipe and the line where its own code fails."""
    try:
        yield
    except (RecipeError, KeyboardInterrupt):
        raise
    except BaseException as error:  # SystemExit, too
        raise RecipeError(
            f"The recipe {path} cannot be read: {_place(error, path)}"
            f"{type(error).__name__}: {first_line(error)}"
        ) from error


def _place(error, path):
    """Returns "line N: ", the last line of the recipe in a traceback."""
    if isinstance(error, SyntaxError):
        return ""  # its message names the line
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if frame.filename == str(path)]
    return f"line {lines[-1]}: " if lines else ""
