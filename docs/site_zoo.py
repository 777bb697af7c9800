"""The gallery of the zoo: a page of all presets, and the card of each.

Both come from what the presets have: metadata.json, the card README.md and its
pictures, films and recordings, and the table of README.md.
"""

import html
import json
import pathlib
import re
import shutil

from vqvae_tf import zoo_path

ROOT = pathlib.Path(__file__).resolve().parent.parent
SHOWN = (".gif", ".jpg", ".png", ".wav")
# Kinds as visitors call them, by the name or the class of a preset.
KINDS = ("pictures", "video", "speech", "autoencoders", "classifiers")


def rows():
    """Returns what README.md's table says of each preset, by its name."""
    text = (ROOT / "README.md").read_text()
    found = re.findall(r"^\| `(\w+)` \| (.*) \|$", text, re.M)
    return {
        name: [cell.strip() for cell in rest.split("|")] for name, rest in found
    }


def presets():
    """Returns the folders of all presets, in the order of that table."""
    return [zoo_path.zoo_dir() / "presets" / name for name in rows()]


def kind_of(metadata):
    name = metadata["class"]
    if name == "Autoencoder":
        return "autoencoders"
    if name == "PictureClassifier":
        return "classifiers"
    kind = metadata["data"].get("kind", "pictures")
    return kind if kind in KINDS else "pictures"


def media_of(folder):
    """Returns the names of what a preset shows, as its card lists them."""
    text = (folder / "README.md").read_text()
    names = re.findall(r"\]\(([\w.]+)\)", text)
    return [n for n in dict.fromkeys(names) if n.endswith(SHOWN)]


def _megabytes(folder):
    return sum(path.stat().st_size for path in folder.iterdir()) / 1e6


def entry(folder, row):
    """Returns a preset's entry in the gallery, HTML."""
    metadata = json.loads((folder / "metadata.json").read_text())
    what, quality, bits = (html.escape(cell) for cell in row)
    place = f"../_zoo/{folder.name}"
    pictures = [n for n in media_of(folder) if not n.endswith(".wav")]
    sounds = [n for n in media_of(folder) if n.endswith(".wav")]
    lines = [f'<article class="preset" data-kind="{kind_of(metadata)}">']
    lines.append(f'<h3><a href="{folder.name}.html">{folder.name}</a></h3>')
    lines.append(f"<p>{what}</p>")
    for name in pictures[:1]:
        lines.append(
            f'<a href="{folder.name}.html"><img loading="lazy" '
            f'src="{place}/{name}" alt="{what}"></a>'
        )
    for name in sounds:
        label = name.removesuffix(".wav").replace("_", " ")
        lines.append(
            f"<p><label>{label} {player(folder.name, name)}</label></p>"
        )
    figures = [cell for cell in (quality, bits) if cell]
    lines.append(f"<p>{'<br>'.join(figures)}</p>")
    code = f'vqvae_tf.{metadata["class"]}.from_preset("{folder.name}")'
    lines.append(f"<pre>{html.escape(code)}</pre>")
    lines.append(f"<p class=size>{_megabytes(folder):.1f} MB</p></article>")
    return "\n".join(lines)


def gallery():
    """Returns the page of all presets, Markdown with HTML."""
    buttons = "\n".join(
        f'<button data-kind="{kind}">{kind}</button>'
        for kind in ("all", *KINDS)
    )
    table = rows()
    entries = "\n".join(entry(p, table[p.name]) for p in presets())
    cards = "\n".join(path.name for path in presets())
    return (
        "# The zoo\n\nPretrained models. Each name leads to a card with its "
        "data, all figures, and what they were measured on.\n\n"
        f"```{{raw}} html\n<p class=kinds>{buttons}</p>\n"
        f"<div class=zoo>{entries}</div>\n```\n\n"
        f"```{{toctree}}\n:hidden:\n{cards}\n```\n"
    )


def player(preset, name):
    return (
        f'<audio controls preload=none src="../_zoo/{preset}/{name}"></audio>'
    )


def card(folder):
    """Returns the page of a preset's card: its README.md, with players."""
    text = (folder / "README.md").read_text()
    text = re.sub(
        r"\[([^\]]*)\]\((\w+\.wav)\)",
        lambda found: f"{found[1]} {player(folder.name, found[2])}",
        text,
    )
    home = f"../../zoo/presets/{folder.name}"
    return re.sub(r"\]\((?!http)(\w+\.\w+)\)", rf"]({home}/\1)", text)


def write_pages(folder):
    shutil.rmtree(folder, ignore_errors=True)  # pages of former presets
    folder.mkdir()
    (folder / "index.md").write_text(gallery())
    for path in presets():
        (folder / f"{path.name}.md").write_text(card(path))


def copy_media(output):
    """Copies what the gallery shows beside its pages."""
    for folder in presets():
        target = output / "_zoo" / folder.name
        target.mkdir(parents=True, exist_ok=True)
        for name in media_of(folder):
            shutil.copyfile(folder / name, target / name)


def setup(app):
    # Before Sphinx looks which pages there are.
    app.connect(
        "config-inited",
        lambda app, config: write_pages(pathlib.Path(app.srcdir) / "gallery"),
    )
    app.connect(
        "build-finished",
        lambda app, error: error or copy_media(pathlib.Path(app.outdir)),
    )
    app.add_css_file("zoo.css")
    app.add_js_file("zoo.js", loading_method="defer")
    return {"parallel_read_safe": True, "parallel_write_safe": True}
