"""Links between pages of the repository, as those of the site.

README.md, BUILD.md and CHANGELOG.md are beside docs/ and have pages of other
names here; links lead from file to file, so that they work in a checkout.
"""

import re

PAGES = {"README": "index", "BUILD": "building", "CHANGELOG": "changelog"}


def relinked(text):
    """Returns Markdown whose links lead to the site's pages."""
    for file, page in PAGES.items():
        text = re.sub(rf"\]\((\.\./)?{file}\.md", f"]({page}.md", text)
    return text.replace("](docs/", "](")


def rewrite(source):
    source[0] = relinked(source[0])


def setup(app):
    app.connect("source-read", lambda app, page, source: rewrite(source))
    app.connect(
        "include-read", lambda app, path, parent, source: rewrite(source)
    )
    return {"parallel_read_safe": True, "parallel_write_safe": True}
