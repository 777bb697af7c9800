"""No test fails because a machine is slow, or busy with other work."""

import ast
import pathlib

import hypothesis
import pytest

TESTS = pathlib.Path(__file__).parent
# Less is a limit; this and more a guard against what never ends.
LEAST_SECONDS = 1800


def limits(tree):
    """Yields the keywords of a module that say how long something may take."""
    for node in ast.walk(tree):
        if isinstance(node, ast.keyword) and _is_limit(node):
            yield node
        if isinstance(node, ast.Attribute):
            if ast.unparse(node).endswith("mark.timeout"):
                yield node


def _is_limit(keyword):
    seconds = getattr(keyword.value, "value", None)
    if not isinstance(seconds, (int, float)):
        return False
    if keyword.arg == "timeout":
        return seconds < LEAST_SECONDS
    return keyword.arg == "deadline"


@pytest.mark.parametrize(
    "line",
    [
        "process.communicate(timeout=120)",
        "settings(max_examples=3, deadline=500)",
        "pytest.mark.timeout(5)",
    ],
)
def test_limits_are_found(line):
    assert len(list(limits(ast.parse(line)))) == 1


def test_guards_against_what_never_ends_are_no_limits():
    line = "settings(deadline=None), wait(timeout=7200), f(timeout=HANGS)"
    assert list(limits(ast.parse(line))) == []


def test_no_test_has_a_time_limit():
    found = [
        f"{path.relative_to(TESTS)}:{node.lineno}"
        for path in sorted(TESTS.rglob("*.py"))
        for node in limits(ast.parse(path.read_text()))
    ]
    assert found == []


def test_hypothesis_has_no_time_limit():
    settings = hypothesis.settings()
    assert settings.deadline is None
    too_slow = hypothesis.HealthCheck.too_slow
    assert too_slow in settings.suppress_health_check
