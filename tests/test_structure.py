"""The rooms of the package: what may import what (docs/design.md)."""

import ast
import graphlib
import pathlib

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "vqvae_tf"
# From the ground up; those of one row do not know each other.
STOREYS = (
    ("_moved", "_versions", "zoo_path", "utils", "samples"),
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
TREES = {name: ast.parse(path.read_text()) for name, path in MODULES.items()}


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


def goes_down(module, other):
    here, there = room_of(module), room_of(other)
    return here == there or HEIGHT.get(there, len(STOREYS)) < HEIGHT[here]


def test_imports_go_down():
    assert not [
        f"{module} imports {other}"
        for module in set(MODULES) - {"vqvae_tf"}
        for other in imported(TREES[module])
        if not goes_down(module, other)
    ]


def test_imports_make_no_circle():
    """Nor could rooms: what goes up is told above."""
    graph = {
        module: {
            other
            for other in imported(TREES[module])
            if other != module and goes_down(module, other)
        }
        for module in set(MODULES) - {"vqvae_tf"}
    }
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        pytest.fail(" <- ".join(error.args[1]))


def test_own_modules_are_imported_at_the_top():
    """Only heavy packages of others may wait for a call."""
    assert not [
        f"{module}.{function.name} imports {other}"
        for module, tree in TREES.items()
        for function in functions(tree)
        for other in imported(function)
    ]


# Sizes ------------------------------------------------------------------------

ALL = [*MODULES.values(), *sorted((ROOT / "vqvae_tf_cli").glob("*.py"))]
LINES, FUNCTION_LINES, ARGUMENTS = 400, 60, 12


def functions(tree):
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield node


def lines_of(function):
    """How many lines a function has, its docstring not counted."""
    total = function.end_lineno - function.lineno + 1
    if ast.get_docstring(function) is None:
        return total
    return total - (function.body[0].end_lineno - function.body[0].lineno + 1)


def test_files_are_short():
    sizes = {
        path.relative_to(ROOT): path.read_text().count("\n") for path in ALL
    }
    assert not {path: size for path, size in sizes.items() if size > LINES}


def test_functions_are_short():
    assert not [
        f"{path.relative_to(ROOT)}: {function.name}"
        for path in ALL
        for function in functions(ast.parse(path.read_text()))
        if lines_of(function) > FUNCTION_LINES
    ]


def test_constructors_take_few_arguments_by_position():
    found = []
    for module, tree in TREES.items():
        for function in functions(tree):
            given = [*function.args.posonlyargs, *function.args.args][1:]
            if function.name == "__init__" and len(given) > ARGUMENTS:
                found.append(f"{module}, line {function.lineno}")
    assert not found


def test_the_kind_of_a_recipe_is_compared_in_one_place():
    """In the registry, by its name; tasks answer all that depends on it."""
    names = {"pictures", "codes", "video", "speech"}
    found = []
    for module, tree in TREES.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.Compare) and "kind" in ast.unparse(node):
                words = {
                    leaf.value
                    for leaf in ast.walk(node)
                    if isinstance(leaf, ast.Constant)
                }
                if words & names:
                    found.append(f"{module}: {ast.unparse(node)}")
    assert not found
