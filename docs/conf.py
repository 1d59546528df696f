"""How the documentation is built: `make docs`."""

import os
import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "extensions"))
os.environ.setdefault("MKL_CBWR", "AUTO,STRICT")  # as rnn-exp asks for it: the same bits
os.environ["OMP_NUM_THREADS"] = "1"

project = "rnn-exp"
author = "the authors of rnn-exp"
extensions = [
    "myst_nb",
    "sphinx_copybutton",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "formulas",
    "from_program",
    "pages",
    "running",
    "searching",
]
exclude_patterns = ["extensions", "_build"]

html_theme = "furo"
html_title = "rnn-exp"
html_static_path = ["style"]
html_css_files = ["pages.css"]
html_math_renderer = "mathml"
html_show_copyright = False
html_copy_source = False
html_use_index = False  # names are found by the search
html_search_language = "english-and-chinese"  # extensions/searching.py
html_show_search_summary = False  # a summary is fetched, which pages from disk may not

default_role = "code"  # in docstrings
autodoc_typehints = "none"  # shapes are said in words
add_module_names = False
autodoc_preserve_defaults = True
nitpick_ignore_regex = [("py:.*", ".*")]  # docstrings name what is not on the page, too

myst_enable_extensions = ["dollarmath", "deflist"]
myst_heading_anchors = 4

nb_execution_mode = "cache"
nb_execution_in_temp = True
nb_execution_show_tb = True  # a page that fails is a warning, and with -W the build fails
nb_execution_timeout = 900
nb_merge_streams = True
nb_output_stderr = "remove"  # progress bars; what commands print is shown
