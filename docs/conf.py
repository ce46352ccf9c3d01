import re

import skrnn

project = "skrnn"
author = "the skrnn developers"
copyright = "2026, the skrnn developers"
version = release = skrnn.__version__

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
]
exclude_patterns = ["_build"]
templates_path = ["_templates"]

myst_enable_extensions = ["amsmath", "dollarmath"]
myst_heading_anchors = 3

autodoc_typehints = "none"  # numpydoc's sections give the types
numpydoc_show_class_members = False  # the class template lists the methods

html_theme = "pydata_sphinx_theme"
html_title = f"skrnn {release}"


def unlink(app, what, name, obj, options, lines):
    """Keep the words alone of links that inherited docstrings make into scikit-learn's guide."""
    if getattr(obj, "__module__", "").startswith("sklearn."):
        lines[:] = [re.sub(r":ref:`([^`<]*\S)\s*<[^`]*>`", r"\1", line) for line in lines]


def setup(app):
    app.connect("autodoc-process-docstring", unlink)
