"""The page of all figures: whole studies only, every figure with its question and its command."""

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import pytest

import rnn_exp
from rnn_exp import figures
from rnn_exp.schema import SWEEP_JSON
from rnn_exp.storage.study import Study, StudyPage, built_in_page

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"


@pytest.fixture(scope="module")
def sheet() -> ModuleType:
    """The script as a module."""
    found = importlib.util.spec_from_file_location("sheet", ROOT / "scripts" / "contact_sheet.py")
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small study that has ended."""
    place = tmp_path_factory.mktemp("outputs") / "harm"
    rnn_exp.train(rnn_exp.grid(length=6, updates=2, hidden_size=4, gain=[0.5, 1.0]), folder=place)
    names = [path.name for path in place.iterdir() if path.is_dir()]
    said = {"runs": names, "begun": 0.0, "command": "rnn-exp study=harm hydra.sweep.dir=elsewhere"}
    (place / SWEEP_JSON).write_text(json.dumps(said), "utf-8")
    return place


def test_a_study_that_has_ended_at_its_whole_dose_is_taken(sheet, folder):
    assert sheet.refusal(folder) == ""
    assert sheet.folders_of(folder.parent) == sheet.folders_of(folder) == [folder]


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"runs": ["one that is missing"]}, "0 of 1 run done"),
        ({"command": "rnn-exp study=harm training.updates=2"}, "changed by training.updates=2"),
        ({"command": "rnn-exp study=decay"}, "not made by rnn-exp study=harm"),
    ],
)
def test_what_is_no_whole_study_is_refused_and_nothing_is_written(
    sheet, folder, tmp_path, monkeypatch, changes, why
):
    part = tmp_path / "harm"
    part.mkdir()
    said = json.loads((folder / SWEEP_JSON).read_text("utf-8"))
    for name in said["runs"]:
        (part / name).symlink_to(folder / name)
    (part / SWEEP_JSON).write_text(json.dumps(said | changes), "utf-8")
    monkeypatch.setattr("sys.argv", ["contact_sheet", str(part), "--docs", str(tmp_path / "docs")])

    assert sheet.refusal(part) == f"{part}: {why}"
    with pytest.raises(SystemExit, match="Nothing was written"):
        sheet.main()
    assert not (tmp_path / "docs").exists()


def test_a_page_has_each_figure_with_its_question_and_command_and_names_what_is_missing(
    sheet, folder, tmp_path
):
    thumbnail = sheet._thumbnail("decay", rnn_exp.load(folder))
    refused = sheet.Thumbnail("rates", "Where?", refusal="No run has a rate.")
    study = Study("harm", StudyPage("What harms?", ("decay", "rates"), ("decay",)))
    sheet.write([sheet.Part(study, 2, [thumbnail, refused])], tmp_path)

    written = (tmp_path / "gallery.md").read_text("utf-8")
    assert "| `harm` | [What harms?](#what-harms) |" in written
    assert "## What harms?\n\n```sh not-run\nrnn-exp study=harm  # 2 runs\n```\n" in written
    assert f"\n**{thumbnail.answer}**\n" in written  # the study says that this figure answers
    assert "### Where?\n\nNot drawn for this study" in written
    [missing] = [line for line in written.splitlines() if line.startswith("Not drawn yet: ")]
    assert "`decay`" in missing
    assert "`harm`" not in missing
    assert [path.name for path in (tmp_path / "figures").iterdir()] == ["harm-decay.png"]


def test_the_page_in_the_docs_has_every_figure_of_every_study_that_it_does_not_call_missing(sheet):
    written = (DOCS / "gallery.md").read_text("utf-8")
    missing = [line for line in written.splitlines() if line.startswith("Not drawn yet: ")]
    pictures = {path.name for path in (DOCS / "figures").iterdir()}
    for name in sheet.studies():
        if any(f"`{name}`" in line for line in missing):
            continue
        page = built_in_page(name)
        assert f"## {page.question}" in written
        assert f"rnn-exp study={name} " in written
        for figure in figures.of_page(page.figures):
            assert f"{name}-{figure}.png" in pictures
            if figure not in (page.answer or ()):
                assert f"rnn-exp-figure {figure} outputs/{name} " in written
    assert all(f"figures/{picture}" in written for picture in pictures)
    assert sum(path.stat().st_size for path in (DOCS / "figures").iterdir()) < 1_500_000
