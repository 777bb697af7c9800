"""The snippets of README.md run, in order, in one namespace."""

import pathlib
import re

README = pathlib.Path(__file__).resolve().parent.parent / "README.md"


def test_snippets_run():
    text = README.read_text()
    blocks = re.findall(
        r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE
    )
    assert len(blocks) >= 4
    names = {}
    for block in blocks:
        exec(compile(block, str(README), "exec"), names)
    assert names["codes"].shape == (8, 8, 8)
    assert names["pictures"].shape == (8, 32, 32, 3)
    assert names["samples"].shape == (4, 32, 32, 3)
    assert names["futures"].shape == (8, 2, 84, 84, 3)
    assert names["likely"].shape == (4, 10, 84, 84, 3)
    assert names["three"].shape == (4, 1, 1, 3)
    assert names["means"].shape == (8, 8, 8, 4)
    assert names["drawn"].shape == (4, 32, 32, 3)
    assert names["nats"].shape == (8,)
    assert set(names["bits"]) == {"total", "reconstruction", "prior"}


def test_links_lead_somewhere():
    for target in re.findall(r"\]\((?!http)([^)#]+)\)", README.read_text()):
        assert (README.parent / target).exists(), target
