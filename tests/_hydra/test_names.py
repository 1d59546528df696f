"""Folders under the command line: nested ones, old names, notes."""

import json
from pathlib import Path

import pytest

import rnn_exp
from rnn_exp import commands
from tests._hydra.test_app import SMALL, start

SWEEP = ("-m", *SMALL, "seed=0,1", "hydra.sweep.dir=s")


def said(run: Path) -> dict[str, object]:
    return json.loads((run / "run.json").read_text(encoding="utf-8"))


def under_old_names(sweep: Path) -> list[Path]:
    """Give the folders of a sweep the names that an older version gave them."""
    return [
        run.parent.rename(sweep / f"adding-T10-{said(run.parent)['digest'][:8]}")
        for run in sorted(sweep.glob("*/run.json"))
    ]


def test_a_sweep_into_nested_folders_can_be_loaded_and_told_of(tmp_path, monkeypatch, capsys):
    done = start(tmp_path, *SWEEP, "hydra.sweep.subdir=T${task.length}/s${seed}", "note=nested")

    assert done.code == 0
    assert rnn_exp.load(tmp_path / "s").runs["run"].tolist() == ["T10/s0", "T10/s1"]
    monkeypatch.setattr("sys.argv", ["rnn-exp-status", str(tmp_path / "s")])
    commands.status()
    assert capsys.readouterr().out.splitlines() == [
        f"{tmp_path / 's'}: 2/2 done; all have ended, note: nested",
    ]


@pytest.mark.parametrize("launcher", [(), ("hydra/launcher=basic",)])
def test_a_sweep_under_old_names_is_there(tmp_path, launcher):
    start(tmp_path, *SWEEP)
    old = under_old_names(tmp_path / "s")
    before = [(run / "updates.parquet").stat().st_mtime_ns for run in old]
    (old[1] / "weights.safetensors").unlink()  # one is to be trained again: there, and not beside

    done = start(tmp_path, *SWEEP, *launcher)

    assert done.code == 0
    assert sorted(path.parent for path in (tmp_path / "s").glob("*/run.json")) == sorted(old)
    after = [(run / "updates.parquet").stat().st_mtime_ns for run in old]
    assert after[0] == before[0]
    assert after[1] > before[1]
    assert (old[1] / "weights.safetensors").exists()


def test_a_single_run_under_an_old_name_is_there_and_gets_the_note_of_the_command(tmp_path):
    start(tmp_path, *SMALL, "note=first try", "tags=[a]")
    [old] = under_old_names(tmp_path / "outputs" / "single")

    again = start(tmp_path, *SMALL, "note=second try")

    assert again.code == 0
    told = again.out.splitlines()
    assert str(old.relative_to(tmp_path)) in told
    assert sum(line.endswith("are those of this command now.") for line in told) == 1
    assert [path.name for path in old.parent.iterdir()] == [old.name]
    assert (said(old)["note"], said(old)["tags"]) == ("second try", ["a"])


def test_a_name_of_the_users_own_is_not_looked_for(tmp_path):
    start(tmp_path, *SWEEP)
    under_old_names(tmp_path / "s")

    done = start(tmp_path, *SWEEP, "hydra.sweep.subdir=${seed}")

    assert done.code == 0
    assert {"0", "1"} <= {path.name for path in (tmp_path / "s").iterdir()}


def test_a_sweep_started_again_with_another_note_says_how_many_it_replaced(tmp_path):
    start(tmp_path, *SWEEP, "note=first")

    done = start(tmp_path, *SWEEP, "note=second", "tags=[paper,fig2]")

    assert "2 of the runs already there have another note or other tags now" in done.out
    runs = rnn_exp.load(tmp_path / "s").runs
    assert runs["note"].tolist() == ["second", "second"]
    assert runs["tags"].tolist() == ["paper,fig2", "paper,fig2"]


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("-m", "note=a,b"), "note=a,b is not possible: allowed is one note for adding-"),
        (("-m", "tags=[a],[b]"), "is not possible: allowed is one list for adding-"),
        (("-m", "tags=paper,fig2"), "such as [paper,fig2]"),
        (("tags=paper",), "such as [paper,fig2]"),
        (("note=0.5",), "in quotes"),
    ],
)
def test_a_label_that_cannot_be_is_refused_in_a_line_and_nothing_is_written(tmp_path, words, line):
    refused = start(tmp_path, *words, *SMALL)

    assert refused.code == 1
    assert line in refused.err
    assert refused.err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []
