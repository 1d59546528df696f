"""The pages about own parts: what they tell to type works, and gives what they show."""

import json
import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pandas
import pytest
import torch
from matplotlib import pyplot

from rnn_exp import figures
from rnn_exp.app import main
from rnn_exp.commands import new, report, verify
from rnn_exp.networks import ACTIVATIONS
from rnn_exp.registry.packages import GROUP
from tests.event_files import points_in
from tests.in_process import run
from tests.using import forget_used_files

DOCS = Path(__file__).parents[1] / "docs"
PAGES = [DOCS / "how-to" / "own-parts.md", *sorted((DOCS / "how-to" / "own").glob("*.md"))]
COMMANDS = {
    "rnn-exp": main,
    "rnn-exp-new": new,
    "rnn-exp-report": report,
    "rnn-exp-verify": verify,
}
TRACKERS = DOCS / "how-to" / "trackers.md"
MODELS = [DOCS / "how-to" / "own-model.md", DOCS / "background" / "visualizing-gradients.md"]
BLOCK = re.compile(
    r"(?:^`([\w/.]+)`:\n\n)?^```(\w+)(?: not-run)?\n(.*?)^```$", re.DOTALL | re.MULTILINE
)
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
    # To draw all figures of the package takes seconds: there is one that a page names.
    few = {"general": {"decay": figures.figure("decay")}}
    monkeypatch.setattr(figures, "_found", lambda room: few.get(room, {}))
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
    Path("examples").symlink_to(DOCS.parent / "examples")  # the text that a model reads
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
    assert [file.name for file in tmp_path.iterdir() if file.name != "examples"] == written


SECTIONS = re.split(r"^## (.+)\n", TRACKERS.read_text("utf-8"), flags=re.MULTILINE)
BY_TITLE = dict(zip(SECTIONS[1::2], SECTIONS[2::2], strict=True))
NEEDED = {"TensorBoard": "tensorboard", "Lightning": "lightning", "Weights & Biases": "wandb"}


@pytest.mark.filterwarnings("default")  # those of Lightning are its own
@pytest.mark.parametrize("title", BY_TITLE)
def test_a_section_about_trackers_runs_and_prints_what_it_shows(
    title, tmp_path, monkeypatch, capsys
):
    if package := NEEDED.get(title):
        pytest.importorskip(package, reason=f"{package} is not installed: make recipes brings it")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WANDB_SILENT", "true")
    names = {"__name__": "page"}
    with torch.random.fork_rng(devices=[]):
        for _, kind, text in BLOCK.findall(SECTIONS[0] + BY_TITLE[title]):
            if kind == "python":
                capsys.readouterr()
                exec(compile(text, TRACKERS.name, "exec"), names)
            elif kind == "sh":
                type_lines(tmp_path, text)
            else:
                assert kind == "text"
                told = capsys.readouterr().out
                assert re.fullmatch(pattern(text), told), told
    CHECKS.get(title, lambda folder: None)(tmp_path)


def check_tensorboard(folder: Path) -> None:
    points = points_in(folder / "logs" / "lstm")
    assert [step for step, _ in points["lstm/layer_0/decay_rate"]] == [0, 10, 20]
    runs = [*(folder / "outputs" / "mine").glob("*/run.json")]
    assert len(runs) == 4
    for each in runs:
        assert [step for step, _ in points_in(each.parent)["updates/loss"]] == [0, 10, 19]


def check_lightning(folder: Path) -> None:
    [file] = folder.rglob("metrics.csv")
    table = pandas.read_csv(file)
    rates = table.set_index("step")["model.lstm/layer_0/decay_rate"].dropna()
    assert rates.index.tolist() == [0, 10, 20]
    assert table["updates/grad_norm"].notna().sum() == 3


def check_wandb(folder: Path) -> None:
    records = pytest.importorskip("wandb.proto.wandb_internal_pb2")
    pytest.importorskip("wandb").teardown()  # its process ends, so all of the file is there
    [file] = folder.rglob("*.wandb")
    steps = []
    for data in wandb_records(file.read_bytes()):
        record = records.Record.FromString(data)
        items = {".".join(each.nested_key) or each.key: each for each in record.history.item}
        if items:
            assert float(items["gradients/lstm/layer_0/decay_rate"].value_json) < 1
            steps.append(int(items["gradients/update"].value_json))
    assert steps == [0, 10, 20]


def wandb_records(content: bytes) -> Iterator[bytes]:
    """The records of a file of W&B: a log of LevelDB, behind 7 bytes of its own.

    A block of 32 KiB has pieces: 4 bytes of a checksum, 2 of the size, 1 that says whether the
    piece is a whole record (1), its first (2), a middle (3) or its last one (4).
    """
    assert content[:4] == b":W&B"
    place, record = 7, b""
    while place + 7 <= len(content):
        if (1 << 15) - place % (1 << 15) < 7:
            place += (1 << 15) - place % (1 << 15)
            continue
        size, kind = int.from_bytes(content[place + 4 : place + 6], "little"), content[place + 6]
        record += content[place + 7 : place + 7 + size]
        place += 7 + size
        if kind in (1, 4):
            yield record
            record = b""


def check_own(folder: Path) -> None:
    lines = (folder / "curves.jsonl").read_text("utf-8").splitlines()
    assert [json.loads(line)["update"] for line in lines] == [0, 10, 20]


CHECKS = {
    "TensorBoard": check_tensorboard,
    "Lightning": check_lightning,
    "Weights & Biases": check_wandb,
    "A tracker of your own": check_own,
}


def test_every_link_between_the_pages_leads_somewhere():
    for page in [
        *PAGES,
        *MODELS,
        *sorted((DOCS / "how-to").glob("*.md")),
        *sorted((DOCS / "developers").glob("*.md")),
        DOCS.parent / "README.md",
    ]:
        for place in re.findall(r"\]\(([^)#:]*)(?:#[\w-]+)?\)", page.read_text("utf-8")):
            assert (page.parent / place).exists(), (page.name, place)
