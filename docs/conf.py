"""Sphinx: every page is Markdown (MyST), warnings are errors, `{doctest}` blocks are run by scripts/docs."""

import atexit
import os
import re
import shutil
import tempfile

import sparsewire

# What the examples measure is not what the user's own plans should stand on, and is gone when this process ends.
os.environ["SPARSEWIRE_CACHE"] = tempfile.mkdtemp(prefix="sparsewire-docs-")
atexit.register(shutil.rmtree, os.environ["SPARSEWIRE_CACHE"], ignore_errors=True)

project = "sparsewire"
author = "The sparsewire authors"
copyright = "2026, The sparsewire authors"
release = version = sparsewire.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.doctest", "sphinx.ext.mathjax"]
myst_enable_extensions = ["dollarmath", "deflist"]
myst_heading_anchors = 3
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = "sparsewire"
html_static_path = ["_static"]
default_role = "code"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
autodoc_member_order = "bysource"
napoleon_google_docstring = True
napoleon_numpy_docstring = False
doctest_test_doctest_blocks = ""
doctest_global_setup = """
import warnings
import torch
from torch import nn
import sparsewire as sw
warnings.filterwarnings("error")
warnings.filterwarnings("ignore", "sparsewire runs on plain torch", RuntimeWarning)  # the docs build without a compiler
torch.set_num_threads(1)
"""


def setup(app):
    app.connect("autodoc-process-docstring", as_restructured_text, priority=100)


def as_restructured_text(app, what, name, obj, options, lines):
    """Docstrings are plain text with `code`: bars, stars and a name's last underscore mean themselves.

    But for a star before a space, which begins an item of a list.
    """
    for index, line in enumerate(lines):
        if ">>>" not in line and not line.strip().startswith("..."):
            parts = re.split(r"(``?[^`]+``?)", line)
            parts[::2] = [re.sub(r"(\||(?<=\w)_(?!\w)|(?<!\*)\*(?!\*| ))", r"\\\1", part) for part in parts[::2]]
            parts[2::2] = [f"\\ {part}" if part[:1].isalnum() else part for part in parts[2::2]]
            lines[index] = "".join(parts)
