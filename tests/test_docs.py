"""The pages about own parts: what they tell to type works, and gives what they show."""

import re
import shlex
import tomllib
from pathlib import Path

import pytest
import torch
from matplotlib import pyplot

from rnn_exp import figures
from rnn_exp.app import main
from rnn_exp.commands import new, report, verify
from rnn_exp.networks import ACTIVATIONS
from rnn_exp.registry.packages import GROUP
from tests.in_process import run
from tests.using import forget_used_files

DOCS = Path(__file__).parents[1] / "docs"
PAGES = [DOCS / "own-parts.md", *sorted((DOCS / "own").glob("*.md"))]
COMMANDS = {
    "rnn-exp": main,
    "rnn-exp-new": new,
    "rnn-exp-report": report,
    "rnn-exp-verify": verify,
}
MODELS = [DOCS / "own-model.md", DOCS / "visualizing-gradients.md"]
BLOCK = re.compile(r"(?:^`([\w/.]+)`:\n\n)?^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
VARIES = re.compile(r"(…|\b[0-9a-f]{8}\b|-?\d+(?:\.\d+)?(?:e-?\d+)?)")
PROGRESS = re.compile(r"^.*\d+/\d+ (?:done|updates).*\n", re.MULTILINE)  # where it takes long
ANYTHING = {"…": ".*"}
LEFT_OUT = re.compile(r"^…$", re.MULTILINE)


@pytest.fixture(autouse=True)
def forgotten():
    """What a page registers is gone after its test."""
    yield
    forget_used_files()
    if (source := ACTIVATIONS.source_of("sine")) is not None:
        ACTIVATIONS._remove("sine", source)
    pyplot.close("all")


def pattern(shown: str) -> str:
    """A pattern for what a page shows: numbers and digests may be others, … is anything.

    A line of … alone stands for one or more lines.
    """
    return r".*(?:\n.*)*".join(map(pattern_of_lines, LEFT_OUT.split(shown)))


def pattern_of_lines(shown: str) -> str:
    """The same of a text in which no line is left out."""
    parts = VARIES.split(shown)
    return "".join(
        re.escape(part) if place % 2 == 0 else ANYTHING.get(part, r"[-+.\w]+")
        for place, part in enumerate(parts)
    )


def type_lines(folder: Path, lines: str) -> str:
    """Type the lines of a block, and return what they print."""
    told = ""
    for line in lines.splitlines():
        program, *words = shlex.split(line, comments=True)
        ended = run(folder, *words, function=COMMANDS[program], program=program)
        assert (ended.code, PROGRESS.sub("", ended.err)) == (0, ""), line
        told += ended.out
    return told


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_what_a_page_tells_to_type_gives_what_it_shows(page, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(figures, "_found", lambda _: {})  # the figures of the package take seconds
    told, names = "", {"__name__": "page"}
    for file, kind, text in BLOCK.findall(page.read_text("utf-8")):
        if file and Path(file).exists():
            assert Path(file).read_text("utf-8") == text  # what rnn-exp-new has written
        elif file:
            Path(file).write_text(text, "utf-8")
        elif kind == "sh":
            told = type_lines(tmp_path, text)
        elif kind == "text":
            assert re.fullmatch(pattern(text), told), told
        elif kind == "python":
            exec(compile(text, page.name, "exec"), names)
        else:
            assert kind == "toml"
            assert list(tomllib.loads(text)["project"]["entry-points"]) == [GROUP]


@pytest.mark.parametrize("page", MODELS, ids=lambda page: page.stem)
def test_a_page_about_models_runs_from_top_to_bottom_and_prints_what_it_shows(
    page, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    Path("README.md").symlink_to(DOCS.parent / "README.md")  # the text that a model reads
    names = {"__name__": "page"}
    with torch.random.fork_rng(devices=[]):
        for _, kind, text in BLOCK.findall(page.read_text("utf-8")):
            if kind == "python":
                capsys.readouterr()
                exec(compile(text, page.name, "exec"), names)
            else:
                assert kind == "text"
                told = capsys.readouterr().out
                assert re.fullmatch(pattern(text), told), told
    written = [] if page.stem != "own-model" else ["gradients.html"]
    assert [file.name for file in tmp_path.iterdir() if file.name != "README.md"] == written


def test_every_link_between_the_pages_leads_somewhere():
    for page in [*PAGES, *MODELS, DOCS.parent / "README.md", DOCS / "architecture.md"]:
        for place in re.findall(r"\]\(([^)#:]*)(?:#[\w-]+)?\)", page.read_text("utf-8")):
            assert (page.parent / place).exists(), (page.name, place)
