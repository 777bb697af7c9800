"""What the pages name exists: files, headings, modules, commands, presets."""

import importlib
import json
import pathlib
import re

import pytest

from vqvae_tf_cli import arguments

ROOT = pathlib.Path(__file__).resolve().parent.parent
PAGES = sorted(
    path
    for folder in (".", "docs", "zoo/presets/*")
    for path in ROOT.glob(f"{folder}/*.md")
)


def _of(pages):
    return pytest.mark.parametrize(
        "page", pages, ids=lambda path: str(path.relative_to(ROOT))
    )


EVERY_PAGE = _of(PAGES)
# The changelog names former places as well.
EVERY_PAGE_OF_NOW = _of([p for p in PAGES if p.name != "CHANGELOG.md"])


def anchors(page):
    """Returns the headings of a page as GitHub writes them in links."""
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.S | re.M)
    titles = re.findall(r"^#+ (.*)$", text, re.M)
    words = (re.sub(r"[^\w\- ]", "", title.lower()) for title in titles)
    return {title.replace(" ", "-") for title in words}


@EVERY_PAGE
def test_links_lead_somewhere(page):
    for link in re.findall(r"\]\((?!http)([^)\s=]+)\)", page.read_text()):
        target, _, heading = link.partition("#")
        path = page.parent / target if target else page
        assert path.exists(), link
        if heading:
            assert heading in anchors(path), link


def is_module(name):
    # By its file: an installed copy may have modules of another version.
    path = ROOT / name.replace(".", "/")
    return path.with_suffix(".py").exists() or (path / "__init__.py").exists()


def exists(name):
    """Says whether a dotted name is a module, or a name within one."""
    parts = name.split(".")
    size = len(parts)
    while size and not is_module(".".join(parts[:size])):
        size -= 1
    if size == len(parts):
        return True  # not imported: it may need an extra
    found = importlib.import_module(".".join(parts[:size])) if size else None
    for part in parts[size:]:
        if not hasattr(found, part):
            return False
        found = getattr(found, part)
    return True


@EVERY_PAGE_OF_NOW
def test_modules_exist(page):
    for name in re.findall(
        r"(?<![\w/.>-])vqvae_tf(?:_cli)?(?:\.\w+)+", page.read_text()
    ):
        assert exists(name), name


@EVERY_PAGE_OF_NOW
def test_files_of_the_repository_exist(page):
    names = re.findall(
        r"(?<![\w/])((?:vqvae_tf|vqvae_tf_cli|tests|benchmarks|zoo|docs)"
        r"/[\w/.]*\w)(?![\w/*])",
        page.read_text(),
    )
    for name in names:
        # The zoo is there in a wheel alone.
        place = "zoo" if name == "vqvae_tf/zoo" else name
        assert (ROOT / place).exists(), name


@EVERY_PAGE
def test_commands_exist(page):
    text = page.read_text()
    for name in re.findall(r"vqvae-tf ([a-z]+)(?: [A-Za-z/-]|$)", text, re.M):
        assert name in arguments.COMMANDS, name
    flags = set(arguments.FLAGS)
    for line in re.findall(r"^ *vqvae-tf (?:.*\\\n)*.*$", text, re.M):
        for flag in re.findall(r"--(\w+)", line):
            assert flag == "config" or flag in flags, line


def test_the_changelog_tells_where_modules_have_moved():
    text = (ROOT / "CHANGELOG.md").read_text()
    moves = re.findall(r"^\| `([\w.]+)` \| `([\w.]+)` \|$", text, re.M)
    assert len(moves) > 60
    for _, new in moves:
        assert exists(f"vqvae_tf.{new}"), new
    assert len({old for old, _ in moves}) == len(moves)


def test_the_readme_has_every_preset_with_its_figures():
    text = (ROOT / "README.md").read_text()
    rows = dict(re.findall(r"^\| `(\w+)` \| (.*)$", text, re.M))
    folders = sorted((ROOT / "zoo" / "presets").iterdir())
    assert sorted(rows) == [folder.name for folder in folders]
    for folder in folders:
        metadata = json.loads((folder / "metadata.json").read_text())
        known = {
            f"{scale * value:.{digits}f}"
            for value in metadata["metrics"].values()
            for scale in (1, 100)
            for digits in range(4)
        }
        for number in re.findall(r"\d+\.\d+", rows[folder.name]):
            assert number in known, (folder.name, number)


def test_the_first_page_is_short():
    assert len((ROOT / "README.md").read_text().splitlines()) <= 120


def test_pages_are_in_a_source_distribution():
    manifest = (ROOT / "MANIFEST.in").read_text()
    listed = re.findall(r"^include (.*)$", manifest, re.M)[0].split()
    for page in ROOT.glob("*.md"):
        assert page.name in listed
