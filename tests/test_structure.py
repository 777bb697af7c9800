"""The rooms of the package: what may import what (docs/design.md)."""

import ast
import pathlib

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "vqvae_tf"
# From the ground up; those of one row do not know each other.
STOREYS = (
    ("_versions", "zoo_path", "utils", "samples"),
    ("media",),
    ("data", "presets"),
    ("runtime",),
    ("quantizers",),
    ("layers",),
    ("bottlenecks",),
    ("networks",),
    ("densities",),
    ("models",),
    ("export", "recipes", "encoding"),
    ("training", "evaluation"),
    ("tasks",),
    ("commands",),
)
HEIGHT = {room: i for i, row in enumerate(STOREYS) for room in row}


def module_of(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_of(path): path for path in sorted(PACKAGE.rglob("*.py"))}


def imported(tree):
    """Yields the modules of the package that a syntax tree imports."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            if name.split(".")[0] != "vqvae_tf":
                continue
            yield name if name in MODULES else name.rpartition(".")[0]


def room_of(module):
    return (module.split(".") + [""])[1]


@pytest.mark.parametrize("module", MODULES)
def test_imports_go_down(module):
    here = room_of(module)
    if not here:
        return  # the package itself shows names of all rooms
    tree = ast.parse(MODULES[module].read_text())
    for other in imported(tree):
        there = room_of(other)
        if there != here:
            assert HEIGHT[there] < HEIGHT[here], f"{module} imports {other}"
