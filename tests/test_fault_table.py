"""docs/faults.md names tests that exist."""

import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parent.parent


def rows():
    for line in (ROOT / "docs" / "faults.md").read_text().splitlines():
        if line.startswith("| ") and not line.startswith(("| ---", "| kind")):
            yield line


def test_every_test_of_the_table_exists():
    count = 0
    for row in rows():
        path = None
        for name in re.findall(r"`([^`]*\.py[^`]*|::\w+)`", row):
            file, _, test = name.partition("::")
            path = ROOT / "tests" / file if file else path
            assert path.is_file(), row
            text = path.read_text()
            assert re.search(
                rf"^def {test}\(" if test else "^def test_", text, re.M
            ), row
            count += 1
    assert count > 80
