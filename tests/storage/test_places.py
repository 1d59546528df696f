"""Where runs lie: found at any depth, each once, and by their digest under any name."""

import json
import os
from pathlib import Path

import pytest

import rnn_exp
from rnn_exp.networks import Network
from rnn_exp.storage.places import RunFolders
from rnn_exp.storage.walk import DEPTH, find, name_in, refuse_hidden, studies_in
from rnn_exp.storage.writing import write, write_status
from rnn_exp.tasks import Adding
from rnn_exp.training.experiment import train_runs
from rnn_exp.training.run import Run
from rnn_exp.training.settings import Training
from tests.in_process import command

RUN, OTHER = (Run(Adding(5), Network(hidden_size=4), training=Training(2), seed=s) for s in (0, 1))
OLD = f"adding-T5-tanh-gaussian0.8-seed0-{RUN.digest[:8]}"


@pytest.fixture(scope="module")
def outcomes():
    return train_runs([RUN, OTHER])


def fake(folder: Path, run: Run = RUN, status: str = "failed") -> Path:
    """A run's folder with its run.json alone."""
    folder.mkdir(parents=True)
    write_status(folder, run, status)
    return folder


def names(folder: Path) -> list[str]:
    return [name_in(folder, place) for place in find(folder)]


def test_runs_are_found_at_any_depth_and_go_by_their_paths(tmp_path, outcomes):
    for place, outcome in zip(("T5/s0", "deep/er/still"), outcomes, strict=True):
        (tmp_path / place).mkdir(parents=True)
        write(tmp_path / place, outcome)

    results = rnn_exp.load(tmp_path)

    assert results.runs["run"].tolist() == ["T5/s0", "deep/er/still"]
    assert set(results.updates["run"]) == set(results.gradients["run"]) == set(results.runs["run"])
    chosen = results.gradient_rows(["run", "lag"], runs=["T5/s0"])
    assert chosen["run"].unique().tolist() == ["T5/s0"]


def test_a_damaged_table_of_a_nested_run_is_told_by_its_path(tmp_path, outcomes):
    (tmp_path / "T5" / "s0").mkdir(parents=True)
    write(tmp_path / "T5" / "s0", outcomes[0])
    results = rnn_exp.load(tmp_path)
    (tmp_path / "T5" / "s0" / "updates.parquet").write_bytes(b"")

    with pytest.warns(rnn_exp.storage.loading.DamagedWarning, match="^T5/s0 is left out"):
        _ = results.updates
    assert results.broken["run"].tolist() == ["T5/s0"]


def test_a_broken_nested_run_is_listed_by_its_path(tmp_path):
    (fake(tmp_path / "a" / "b") / "run.json").write_text("{")

    assert rnn_exp.load(tmp_path).broken["run"].tolist() == ["a/b"]


def test_what_is_hidden_a_report_or_inside_a_run_is_passed_over(tmp_path):
    fake(tmp_path / "a" / "run")
    for place in (".hidden/run", "a/.hidden/run", "report/run", "a/report/run", "a/run/inner"):
        fake(tmp_path / place, OTHER)

    assert names(tmp_path) == ["a/run"]


def test_links_in_a_circle_end_and_no_run_is_counted_twice(tmp_path):
    fake(tmp_path / "a" / "run")
    fake(tmp_path / "b" / "run", OTHER)
    (tmp_path / "a" / "up").symlink_to(tmp_path)
    (tmp_path / "a" / "z").symlink_to(tmp_path / "b")
    (tmp_path / "b" / "back").symlink_to(tmp_path / "a")
    (tmp_path / "c").symlink_to(tmp_path / "a" / "run")
    (tmp_path / "self").symlink_to(tmp_path / "self")
    (tmp_path / "gone").symlink_to(tmp_path / "nowhere")

    found = find(tmp_path)

    assert len(found) == 2
    assert {json.loads((place / "run.json").read_text())["seed"] for place in found} == {0, 1}


def test_runs_are_looked_for_so_deep_and_the_refusal_says_how_deep(tmp_path):
    tmp_path = tmp_path / "study"
    levels = [f"{number}" for number in range(DEPTH)]
    fake(tmp_path.joinpath(*levels))

    assert names(tmp_path) == ["/".join(levels)]
    assert names(tmp_path.joinpath(*levels)) == [levels[-1]]
    with pytest.raises(FileNotFoundError, match=f"no run.json up to {DEPTH} folders deep"):
        rnn_exp.load(tmp_path.parent)


def test_the_folder_that_is_loaded_may_be_given_in_any_way(tmp_path, monkeypatch):
    fake(tmp_path / "study" / "a" / "run")
    monkeypatch.chdir(tmp_path / "study")

    for folder in (".", "../study", tmp_path / "study", "a/.."):
        assert names(Path(folder)) == ["a/run"]


def test_studies_are_told_apart_in_a_folder_of_several(tmp_path):
    for study in ("decay", "mine"):
        fake(tmp_path / study / "run")
        (tmp_path / study / "sweep.json").write_text("{}")
    fake(tmp_path / "single" / "run")

    assert studies_in(tmp_path) == ["decay", "mine"]
    assert studies_in(tmp_path / "decay") == studies_in(tmp_path / "decay" / "run") == []
    assert rnn_exp.load(tmp_path).runs["run"].tolist() == ["decay/run", "mine/run", "single/run"]


def test_a_run_that_is_not_there_has_the_name_of_today(tmp_path):
    fake(tmp_path / OTHER.name, OTHER)

    assert RunFolders().of(tmp_path, RUN) == tmp_path / RUN.name
    assert RunFolders().of(tmp_path / "nowhere", RUN) == tmp_path / "nowhere" / RUN.name


def test_a_run_under_an_old_name_is_found_by_its_digest(tmp_path):
    assert RUN.name != OLD

    assert RunFolders().of(tmp_path, RUN) == tmp_path / RUN.name
    fake(tmp_path / OLD)
    assert RunFolders().of(tmp_path, RUN) == tmp_path / OLD


@pytest.mark.parametrize("spoil", ["another", "broken", "empty", "file"])
def test_a_name_that_ends_alike_is_not_taken_for_the_run(tmp_path, spoil):
    folder = tmp_path / OLD
    if spoil == "file":
        folder.write_text("")
    else:
        fake(folder, OTHER if spoil == "another" else RUN)
    if spoil == "broken":
        (folder / "run.json").write_text("[1, 2")
    if spoil == "empty":
        (folder / "run.json").unlink()

    assert RunFolders().of(tmp_path, RUN) == tmp_path / RUN.name


def test_of_two_folders_of_a_run_the_done_one_counts_then_the_name_of_today_then_the_newest(
    tmp_path,
):
    older, newer = (fake(tmp_path / f"{word}-{RUN.digest[:8]}") for word in ("b", "a"))
    os.utime(older / "run.json", (1, 1))
    assert RunFolders().of(tmp_path, RUN) == newer

    today = fake(tmp_path / RUN.name)
    os.utime(today / "run.json", (0, 0))
    assert RunFolders().of(tmp_path, RUN) == today

    write_status(older, RUN, "finished")
    assert RunFolders().of(tmp_path, RUN) == older


def test_a_folder_is_listed_once_for_all_its_runs(tmp_path, monkeypatch):
    fake(tmp_path / OLD)
    listed = []
    scandir = os.scandir
    monkeypatch.setattr(os, "scandir", lambda place: listed.append(place) or scandir(place))
    folders = RunFolders()

    for run in (RUN, OTHER, RUN):
        folders.of(tmp_path, run)

    assert listed == [tmp_path]


def test_no_run_is_put_where_it_would_hide_another_one(tmp_path):
    fake(tmp_path / "sweep" / "T5" / "s0")
    (tmp_path / "sweep" / "T5" / "s0" / "aside-1").mkdir()
    fake(tmp_path / "started" / "aside-1")

    with pytest.raises(FileExistsError, match=r"lies in .*/sweep/T5/s0, the folder of a run"):
        refuse_hidden([tmp_path / "sweep" / "T5" / "s0" / "more" / "s1"])
    for above in (tmp_path / "sweep", tmp_path / "sweep" / "T5"):
        with pytest.raises(FileExistsError, match=r"holds other runs \(.*s0\)"):
            refuse_hidden([above])
    refuse_hidden([tmp_path / "sweep" / "T5" / "s0", tmp_path / "sweep" / "T5" / "s1"])
    refuse_hidden([tmp_path / "started"])  # what was put aside there is its own


def test_the_folder_above_the_current_one_hides_nothing(tmp_path, monkeypatch):
    fake(tmp_path / "run")
    monkeypatch.chdir(tmp_path / "run")

    refuse_hidden([Path("outputs/another")])


@pytest.mark.parametrize("words", [["hydra.run.dir=d"], ["hydra.run.dir=d/s0/more"]])
def test_a_single_run_that_would_hide_others_is_refused(tmp_path, words):
    fake(tmp_path / "d" / "s0")

    ended = command(tmp_path, "training.updates=2", "seed=9", *words)

    assert ended.is_refusal, ended
    assert "choose another folder" in ended.err


def test_a_sweep_in_the_folder_of_a_run_is_refused(tmp_path):
    fake(tmp_path / "d")

    ended = command(tmp_path, "-m", "training.updates=2", "seed=0,1", "hydra.sweep.dir=d")

    assert ended.is_refusal, ended
    assert "lies in d, the folder of a run" in ended.err
