"""Tables of benchmarks stand in the docs as the runs' files give them."""

import importlib
import pathlib
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "benchmarks"))

# The benchmark, and the page.
TABLES = {
    "priors": "results.md",
    "prior_samples": "results.md",
}


@pytest.mark.parametrize("name", TABLES)
def test_a_page_has_the_table(name):
    benchmark = importlib.import_module(name)
    page = (ROOT / "docs" / TABLES[name]).read_text()
    table = benchmark.table(benchmark.FOLDER)
    assert len(table.splitlines()) > 2
    assert f"\n\n{table}\n\n" in page
