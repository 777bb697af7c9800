"""The documentation site: `make docs` builds it into build/site."""

import os
import pathlib
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import vqvae_tf  # noqa: E402

project = "vqvae_tf"
version = release = vqvae_tf.__version__
language = "en"

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.napoleon",
    "sphinx-mathjax-offline",
    "sphinx_copybutton",
    "site_links",
    "site_reference",
    "site_zoo",
]
templates_path = ["site_templates"]
exclude_patterns = ["site_templates"]
html_static_path = ["site_static"]
myst_enable_extensions = ["dollarmath", "colon_fence"]
myst_heading_anchors = 4
# Of names in single backticks, as docstrings have them.
default_role = "name"
autosummary_generate = True
autodoc_member_order = "bysource"
autodoc_typehints = "none"
# Overridden methods without a docstring would show that of Keras.
autodoc_inherit_docstrings = False
napoleon_use_rtype = False
napoleon_use_ivar = True
napoleon_custom_sections = [
    ("Call arguments", "params_style"),
    ("Terms and shapes", "params_style"),
]
copybutton_prompt_text = ">>> "

html_theme = "furo"
html_title = f"vqvae_tf {release}"
html_copy_source = False
