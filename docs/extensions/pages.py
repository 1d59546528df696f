"""Plain Markdown in, pages whose code has run out: every block of `sh` and `python` is executed.

A page is read as it is, and what its blocks print or draw comes from the build. Blocks:

* `sh`: run by bash, which stops at the first command that fails; so does the build. A picture that
  `rnn-exp-figure … -o NAME.png` writes is shown below.
* `python`: run one after the other; the value of the last line is shown, also a figure.
* below a line that is a file's name in backquotes and a colon: written to that file. If a command
  has written that file before, the page must show what is in it, to the letter.
* `sh not-run`, `python not-run`: shown only (needs a cluster, a GPU, hours, an account).
* a comment that begins with `<!-- python`: run like a block, not shown. A page asserts there what
  its text says of numbers, so that the build fails where that is no longer true. ``told`` is what
  the last `sh` block printed.
* any other language: shown only.

What a busy machine shows while a sweep trains is left out. A page has a folder of its own, with
`examples/` in it, that goes when the page is done.
"""

import functools
import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from docutils import nodes
from sphinx.util.parallel import make_chunks

if TYPE_CHECKING:
    from sphinx.application import Sphinx
    from sphinx.environment import BuildEnvironment

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(
    r"(?:^`([\w./-]+)`:\n\n)?^```(\w+)( not-run)?\n(.*?)^```$", re.DOTALL | re.MULTILINE
)
HIDDEN = re.compile(r"^<!-- python\n(.*?)^-->$", re.DOTALL | re.MULTILINE)
DRAWN = re.compile(r"^rnn-exp-figure (\w+) (?:.*\\\n)*.*-o (\S+\.png)\b", re.MULTILINE)
PROGRESS = r"(?m)^(?:\S+: )?\d+/\d+ (?:done|updates), .*\n"
CELL = re.compile(r"^```\{code-cell\}\n(.*?)^```$", re.DOTALL | re.MULTILINE)
STARTS = re.compile(r"^(?:rnn-exp|python)\b", re.MULTILINE)  # a process that imports everything
NOTEBOOK = """\
---
file_format: mystnb
kernelspec:
  name: python3
---

"""
SHELL, FILE = "%%typed\n", "%%written "
LANGUAGES = {".py": "python", ".toml": "toml", ".yaml": "yaml"}
BEGIN = f"""\
import os
import pathlib
import re
import subprocess
import sys

from IPython.core.magic import register_cell_magic

os.symlink({str(ROOT / "examples")!r}, "examples")
sys.path.insert(0, os.getcwd())
%config InlineBackend.figure_formats = ["retina"]
told, _by_the_page = "", set()


@register_cell_magic
def typed(line, commands):
    global told
    bash = ["bash", "-e", "-o", "pipefail", "-c", commands]
    done = subprocess.run(bash, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    told = re.sub({PROGRESS!r}, "", done.stdout)
    print(told, end="")
    done.check_returncode()


@register_cell_magic
def written(line, text):
    file = pathlib.Path(line)
    if file.exists() and line not in _by_the_page:
        assert file.read_text("utf-8") == text, f"a command has written another {{line}}"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, "utf-8")
    _by_the_page.add(line)"""


def cell(text: str, *options: str) -> str:
    """Return a block that is executed."""
    return "\n".join(["```{code-cell}", *options, text.rstrip("\n"), "```"])


def executed(block: re.Match[str]) -> str:
    """Return what becomes of a block of a page."""
    file, language, not_run, text = block.groups()
    if not_run or (language not in ("sh", "python") and not file):
        shown = f"```{language}\n{text}```"
        return f"`{file}`:\n\n{shown}" if file else shown
    if file:
        return cell(f"{FILE}{file}\n{text}", ":tags: [remove-output]")
    if language == "python":
        return cell(text)
    pictures = [
        cell(
            f"from IPython.display import Image\nImage({name!r}, retina=True)",
            ":tags: [remove-input]",
            ":mystnb:",
            f":  image: {{alt: the figure {figure}}}",
        )
        for figure, name in DRAWN.findall(text)
    ]
    return "\n\n".join([cell(SHELL + text), *pictures])


def sources(files: Iterable[Path]) -> str:
    """Return a line that changes with any of these files: pages run anew when the package does."""
    text = b"".join(file.read_bytes() for file in sorted(files))
    return f"# sources {hashlib.sha256(text).hexdigest()[:16]}"


@functools.cache
def _sources_of_the_package() -> str:
    """Return the line for all that a page may run."""
    folders = ("rnn_exp", "conf", "examples")
    return sources(
        file
        for folder in folders
        for file in (ROOT / folder).rglob("*")
        if file.suffix in (".py", ".yaml", ".txt", ".json", ".html", ".js", ".css")
    )


def blocks(source: str) -> str:
    """Return the source of a page with all its blocks as they are executed or shown."""
    made = BLOCK.sub(executed, source)
    return HIDDEN.sub(lambda block: cell(block[1], ":tags: [remove-cell]"), made)


def page(source: str) -> str:
    """Return the source of a page as a notebook, if any of its blocks is to run."""
    made = blocks(re.sub(r"\]\((?:\.\./)+README\.md", "](/index.md", source))
    if "```{code-cell}" not in made:
        return made
    heading, newline, rest = made.partition("\n")
    begin = cell(f"{_sources_of_the_package()}\n{BEGIN}", ":tags: [remove-cell]")
    return f"{NOTEBOOK}{heading}{newline}\n{begin}{rest}"


def front_page(source: str) -> str:
    """Return the README as the first page: its links lead from docs/, and nothing of it is run."""
    text = (ROOT / "README.md").read_text("utf-8")
    text = re.sub(r"\]\((?!https?:|#|docs/)", "](../", text).replace("](docs/", "](")
    text = text.replace("](../conf/study)", "](gallery.md)")  # a folder is no page
    return text + "\n" + source


def dealt(cells: Mapping[str, Sequence[str]], processes: int) -> list[str]:
    """Return pages in an order in which Sphinx's processes have about as much to execute each.

    Sphinx gives a process a piece at a time, of pages that follow one another. In the order of the
    alphabet most of what takes long is in one piece, and the other processes wait for it. Here the
    first pieces have all that takes long, as many pieces as there are processes.

    Args:
        cells: what each page executes. A page that executes the same as another one comes after
            it, in the same piece: it finds what the other one has kept.
        processes: how many there are.
    """
    size = len(make_chunks([*cells], processes)[0])
    pieces: list[list[str]] = [[] for _ in range(processes)]
    loads = [0] * processes
    # In seconds, more or less: a page is a process, and each command is one that imports it all.
    weights = {
        name: bool(blocks) * 3 + sum(1 + 2 * len(STARTS.findall(block)) for block in blocks)
        for name, blocks in cells.items()
    }
    rest = []
    for name in sorted(cells, key=lambda name: (-weights[name], name)):
        free = [place for place in range(processes) if len(pieces[place]) < size]
        after = [
            place for place in free if pieces[place] and cells[pieces[place][-1]] == cells[name]
        ]
        place = min(after or free, key=loads.__getitem__, default=None)
        if place is None:
            rest.append(name)
        else:
            loads[place] += 0 if after else weights[name]
            pieces[place].append(name)
    return [name for piece in [*pieces, rest] for name in piece]


def deal(app: "Sphinx", env: "BuildEnvironment", names: list[str]) -> None:
    """Change the order in which pages are read."""
    if not names:  # nothing has changed
        return
    sources = {name: Path(env.doc2path(name)).read_text("utf-8") for name in names}
    cells = {name: CELL.findall(page(source)) for name, source in sources.items()}
    names[:] = dealt(cells, app.parallel)


def read(app: "Sphinx", name: str, source: list[str]) -> None:
    """Change what Sphinx has read of a page."""
    if app.env.doc2path(name).suffix != ".md":
        return
    source[0] = front_page(source[0]) if name == "index" else page(source[0])


def as_typed(app: "Sphinx", doctree: nodes.document) -> None:
    """Show commands and files as they are in the page, without the words that run them."""
    for block in list(doctree.findall(nodes.literal_block)):
        text = block.astext()
        if text.startswith(SHELL):
            shown = text.removeprefix(SHELL)
            block.replace_self(nodes.literal_block(shown, shown, language="sh"))
        elif text.startswith(FILE):
            line, _, shown = text.partition("\n")
            name = line.removeprefix(FILE)
            language = LANGUAGES.get(Path(name).suffix, "text")
            above = nodes.paragraph("", "", nodes.literal(name, name), nodes.Text(":"))
            block.replace_self([above, nodes.literal_block(shown, shown, language=language)])


def setup(app: "Sphinx") -> dict[str, bool]:
    """Tell Sphinx what is done with a page."""
    app.connect("env-before-read-docs", deal)
    app.connect("source-read", read)
    app.connect("doctree-read", as_typed)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
