"""The recipes of the documentation, in which trackers get what is recorded; its links and blocks.

What a page tells to type is run when it is built (make docs), and fails the build.
"""

import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pandas
import pytest
import torch

from rnn_exp.app import main
from tests.event_files import points_in
from tests.in_process import run

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = [page for page in sorted(DOCS.rglob("*.md")) if "_build" not in page.parts]
TRACKERS = DOCS / "how-to" / "trackers.md"
BLOCK = re.compile(r"^```(\w+)(?: [\w-]+)?\n(.*?)^```$", re.DOTALL | re.MULTILINE)
FENCE = re.compile(r"^(?:```(?P<kind>.+)|#+ .*|```)$", re.MULTILINE)
SHOWN, EXECUTED = {"text", "toml", "yaml", "json", "pycon"}, {"sh", "python"}
KINDS = {*SHOWN, *EXECUTED, "sh not-run", "python not-run", "from-program"}


SECTIONS = re.split(r"^## (.+)\n", TRACKERS.read_text("utf-8"), flags=re.MULTILINE)
BY_TITLE = dict(zip(SECTIONS[1::2], SECTIONS[2::2], strict=True))
NEEDED = {"TensorBoard": "tensorboard", "Lightning": "lightning", "Weights & Biases": "wandb"}


def run_section(text: str, folder: Path) -> None:
    """Run all blocks of a part of a page, those that a build shows only too."""
    names = {"__name__": "page"}
    with torch.random.fork_rng(devices=[]):
        for kind, block in BLOCK.findall(text):
            if kind == "python":
                exec(compile(block, TRACKERS.name, "exec"), names)
                continue
            for line in block.splitlines():
                program, *words = shlex.split(line, comments=True)
                assert program == "rnn-exp"
                assert run(folder, *words, function=main, program=program).code == 0, line


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


@pytest.mark.filterwarnings("default")  # those of Lightning are its own
@pytest.mark.parametrize("title", CHECKS)
def test_a_tracker_of_the_page_gets_the_curves(title, tmp_path, monkeypatch):
    if package := NEEDED.get(title):
        pytest.importorskip(package, reason=f"{package} is not installed: make recipes brings it")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WANDB_SILENT", "true")
    run_section(SECTIONS[0] + BY_TITLE[title], tmp_path)
    CHECKS[title](tmp_path)


@pytest.mark.parametrize("page", [ROOT / "README.md", *PAGES], ids=lambda page: page.stem)
def test_every_link_to_a_file_leads_somewhere(page):
    for place in re.findall(r"\]\(([^)#:\s]+)(?:#[\w-]+)?\)", page.read_text("utf-8")):
        assert (page.parent / place).exists(), place


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_no_block_of_a_page_is_of_an_unknown_kind_and_none_is_pasted_output(page):
    before, inside = None, False
    for line in FENCE.finditer(page.read_text("utf-8")):
        kind = line["kind"]
        if inside:
            inside = line[0] != "```"
        elif kind is None:
            before = None  # a heading
        else:
            inside = True
            assert kind in KINDS or kind.startswith("{"), line[0]
            assert (before, kind) not in {(one, "text") for one in EXECUTED}
            before = kind
