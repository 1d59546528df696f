"""Results in a few lines and chosen by their settings; several studies side by side."""

import shutil

import pytest
from pandas.testing import assert_frame_equal

import rnn_exp
from rnn_exp.fields import SettingError
from rnn_exp.networks.inits import Gaussian, TorchDefault
from rnn_exp.networks.network import Network
from rnn_exp.storage.loading import Results, held_in_memory, load
from rnn_exp.storage.walk import find
from rnn_exp.storage.writing import write, write_status
from rnn_exp.tasks import Adding
from rnn_exp.training.experiment import train_runs
from rnn_exp.training.run import Run
from rnn_exp.training.settings import Training

RUNS = [
    Run(Adding(length), Network(hidden_size=4), init, Training(updates=2), seed=seed)
    for length, init, seed in [
        (10, Gaussian(0.5), 0),
        (10, TorchDefault(), 1),
        (6, Gaussian(2.0), 2),
    ]
]


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = tmp_path_factory.mktemp("outputs") / "mine"
    for outcome in train_runs(RUNS):
        place = folder / outcome.run.name
        place.mkdir(parents=True)
        write(place, outcome)
    return folder


def fail(folder, why):
    run = Run(Adding(10), Network(hidden_size=4), training=Training(updates=2), seed=9)
    (folder / run.name).mkdir()
    write_status(folder / run.name, run, "failed", failure=why)
    return run


def test_results_say_how_many_runs_there_are_what_varies_and_how_they_ended(study):
    results = load(study)

    assert len(results) == 3
    assert results.varying == {
        "init": ["gaussian", "torch"],
        "task.length": [6, 10],
        "init.gain": [0.5, 2.0, None],
        "init.input_scale": [1.0, None],
        "seed": [0, 1, 2],
    }
    assert repr(results).splitlines() == [
        "Results of 3 runs",
        "  init: gaussian, torch",
        "  task.length: 6, 10",
        "  init.gain: 0.5, 2, null",
        "  init.input_scale: 1, null",
        "  seed: 0, 1, 2",
        "  ended: 3 finished",
    ]


def test_what_failed_and_what_cannot_be_read_is_said(study, tmp_path):
    folder = tmp_path / "some"
    shutil.copytree(study, folder)
    run = fail(folder, "no\nmemory")
    (folder / "broken").mkdir()
    (folder / "broken" / "run.json").write_text("{")

    lines = repr(load(folder)).splitlines()

    assert lines[0] == "Results of 4 runs"
    assert lines[-3:] == [
        "  ended: 3 finished, 1 failed",
        f"  failed: {run.name}: no memory",
        "  left out: 1 folder (.broken says why)",
    ]


def test_a_notebook_gets_nothing_of_a_folder_that_is_not_escaped(study, tmp_path):
    folder = tmp_path / "some"
    shutil.copytree(study, folder)
    fail(folder, "<script>alert(1)</script> & \x1b[31m")

    shown = load(folder)._repr_html_()

    assert "<script" not in shown
    assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp;" in shown
    assert "\x1b" not in shown + repr(load(folder))
    assert "<caption>Results of 4 runs</caption>" in shown


def test_no_runs_have_an_outline_as_well():
    assert repr(Results([], [])) == "Results of 0 runs"
    assert (len(Results([], [])), bool(Results([], []))) == (0, False)
    assert Results([], []).gradients.empty


def test_runs_are_chosen_by_value_and_keep_their_rows(study):
    every = load(study)

    chosen = every.where({"task.length": 10})

    assert sorted(chosen.runs["seed"]) == [0, 1]
    rows = every.gradients[every.gradients["task.length"] == 10]
    assert chosen.gradients["log10_total"].tolist() == rows["log10_total"].tolist()
    assert sorted(every.where(length=[6, 10], init="gaussian").runs["seed"]) == [0, 2]
    assert every.where(init__gain=None).runs["seed"].tolist() == [1]
    assert every.where(status="finished", seed=2).runs["task.length"].tolist() == [6]
    assert len(every) == 3


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ({"task.length": 11}, "task.length=11 is not possible: allowed is one of 6, 10"),
        ({"seed": 0, "length": 6}, "task.length=6 is not possible: allowed is one of 10"),
        ({"lenght": 6}, r"lenght=6 is .* a column of the table of runs \(did you mean length\?\)"),
        ({"init.gian": 6}, r"did you mean init.gain\?"),
        ({"zzz": 6}, "zzz=6 is .* a column of the table of runs, such as task, "),
        ({"length": []}, "one of 6, 10"),
        ({"length": [6, 11, 12]}, "task.length=11, 12 is not possible: allowed is one of 6, 10"),
    ],
)
def test_what_no_run_has_is_refused_in_one_line(study, wanted, said):
    with pytest.raises(SettingError, match=said) as error:
        load(study).where(wanted)
    assert "\n" not in str(error.value)


def test_a_setting_that_is_given_in_both_ways_is_refused(study):
    with pytest.raises(SettingError, match="seed=1 is not possible: allowed is one value or list"):
        load(study).where({"seed": 0}, seed=1)


def test_results_held_in_memory_are_those_of_the_folder_that_is_gone(study, tmp_path):
    folder = tmp_path / "mine"
    shutil.copytree(study, folder)

    held = held_in_memory({place: place.name for place in find(folder)})
    shutil.rmtree(folder)

    expected = load(study)
    for table in ("runs", "updates", "gradients", "exponents", "broken"):
        assert_frame_equal(getattr(held, table), getattr(expected, table))
    columns = ["run", "lag", "log10_total"]
    found = held.gradient_rows(columns, updates=[0], layer=-1)
    assert_frame_equal(found, expected.gradient_rows(columns, updates=[0], layer=-1))


def test_several_studies_have_a_column_that_names_them(study, tmp_path):
    for name in ("a", "b"):
        shutil.copytree(study, tmp_path / name)
    (tmp_path / "a.txt").write_text("no folder")

    both = load([tmp_path / "a", tmp_path / "b"])

    assert both.runs["study"].tolist() == [*["a"] * 3, *["b"] * 3]
    assert set(both.runs["run"]) == {f"{name}/{run.name}" for name in "ab" for run in RUNS}
    assert {*both.gradients["study"]} == {*both.updates["study"]} == {"a", "b"}
    assert both.varying["study"] == ["a", "b"]
    assert_frame_equal(load(f"{tmp_path}/*").gradients, both.gradients)
    one = both.where(study="b")
    assert one.gradients["log10_total"].tolist() == load(study).gradients["log10_total"].tolist()


def test_a_study_that_is_named_twice_is_read_once(study):
    twice = load([study, study / ".." / study.name])

    assert len(twice.runs) == len(RUNS)
    assert {*twice.runs["study"]} == {study.name}


def test_a_single_folder_has_the_columns_of_before(study):
    assert "study" not in load(study).runs
    assert "study" not in load(str(study)).gradients
    assert {*load([study]).runs} == {*load(study).runs, "study"}


def test_studies_of_one_name_are_told_apart_by_their_paths(study, tmp_path, monkeypatch):
    for above in ("x", "y"):
        shutil.copytree(study, tmp_path / above / "mine")
    monkeypatch.chdir(tmp_path)

    both = load("*/mine")

    assert list(dict.fromkeys(both.runs["study"])) == ["x/mine", "y/mine"]
    assert both.runs["run"].is_unique


def test_a_folder_whose_name_looks_like_a_pattern_is_that_folder(study, tmp_path):
    shutil.copytree(study, tmp_path / "run[1]")
    assert len(load(f"{tmp_path}/run[1]")) == 3
    assert "study" not in load(f"{tmp_path}/run[1]").runs


def test_what_no_folder_fits_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"there is no folder .*/x\*$"):
        load(f"{tmp_path}/x*")
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        load([])
    with pytest.raises(FileNotFoundError, match=r"there is no folder .*/nowhere"):
        rnn_exp.load([tmp_path / "nowhere"])
