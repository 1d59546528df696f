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
extensions = ["myst_nb", "sphinx_copybutton", "formulas", "pages"]
exclude_patterns = ["extensions", "_build"]

html_theme = "furo"
html_title = "rnn-exp"
html_static_path = ["style"]
html_css_files = ["pages.css"]
html_math_renderer = "mathml"
html_show_copyright = False
html_copy_source = False
html_search_language = "zh"  # divides Chinese into words, and takes the endings off English ones

myst_enable_extensions = ["dollarmath", "deflist"]
myst_heading_anchors = 4

nb_execution_mode = "cache"
nb_execution_in_temp = True
nb_execution_raise_on_error = True
nb_execution_timeout = 900
nb_merge_streams = True
nb_output_stderr = "remove"  # progress, which is told where the machine is slow
