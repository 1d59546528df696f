"""Loading: every run as tidy tables, with the settings of its own run.json; nothing is fatal."""

import json
import pickle
from pathlib import Path

import pandas as pd
import pytest

import rnn_exp
from rnn_exp.experiment import execute
from rnn_exp.inits import Gaussian, TorchDefault
from rnn_exp.loading import Results
from rnn_exp.network import Network
from rnn_exp.run import Run
from rnn_exp.storage import write, write_status
from rnn_exp.tasks import Adding
from rnn_exp.training import Training

RUNS = [
    Run(Adding(length), Network("relu", 4), init, Training(updates=3, clip_norm=clip), seed=seed)
    for length, init, clip, seed in [
        (10, Gaussian(0.5), None, 0), (10, TorchDefault(), 0.1, 1), (6, Gaussian(1e30), None, 2),
    ]
]  # fmt: skip


@pytest.fixture(scope="module")
def outcomes():
    return execute(RUNS)


@pytest.fixture
def study(tmp_path, outcomes) -> Path:
    """A study of three runs, the last of which diverged."""
    for outcome in outcomes:
        folder = tmp_path / "study" / outcome.run.name
        folder.mkdir(parents=True)
        write(folder, outcome)
    return tmp_path / "study"


def edit(run: Path, **changes: object) -> None:
    """Change values at the top of a run.json."""
    found = json.loads((run / "run.json").read_text(encoding="utf-8"))
    (run / "run.json").write_text(json.dumps(found | changes), encoding="utf-8")


def folder_of(study: Path, number: int) -> Path:
    return study / RUNS[number].name


def test_every_run_is_a_row_with_its_settings_and_its_end(study):
    results = rnn_exp.load(study)

    assert isinstance(results, Results)
    runs = results.runs.set_index("run")
    assert set(runs.index) == {run.name for run in RUNS}
    for run in RUNS:
        row = runs.loc[run.name]
        assert row["digest"] == run.digest
        assert row["command"] == run.command
        for key, value in run.settings().items():
            assert row[key] == value or (value is None and pd.isna(row[key]))
    assert runs.loc[RUNS[0].name, "status"] == "finished"
    assert runs.loc[RUNS[2].name, "status"] == runs.loc[RUNS[2].name, "verdict"] == "diverged"
    assert runs.loc[RUNS[2].name, "diverged_update"] == 0
    assert pd.isna(runs.loc[RUNS[0].name, "diverged_update"])
    assert pd.isna(runs.loc[RUNS[1].name, "init.gain"])  # torch's default has none
    assert results.broken.empty
    assert list(results.broken) == ["run", "why"]


def test_numbers_are_numbers_even_where_some_are_missing(study):
    runs = rnn_exp.load(study).runs

    for name in ("decay_rate", "half_life", "final_decay_rate", "predicted_rate", "drive", "bound",
                 "diverged_update", "diverged_time"):  # fmt: skip
        assert runs[name].dtype == float


def test_every_row_of_the_tables_carries_its_runs_settings(study, outcomes):
    results = rnn_exp.load(study)

    assert len(results.updates) == sum(len(outcome.updates["update"]) for outcome in outcomes)
    assert len(results.gradients) == 2 * 10 + 2 * 10 + 1 * 6
    for outcome in outcomes:
        own = results.gradients[results.gradients["run"] == outcome.run.name]
        assert own["log10_total"].tolist() == pytest.approx(
            outcome.gradients["log10_total"].tolist(), nan_ok=True, rel=0, abs=0
        )
        assert set(own["task.length"]) == {outcome.run.task.length}
        assert set(own["seed"]) == {outcome.run.seed}
    assert results.updates["run"].dtype == results.runs["run"].dtype


def test_settings_come_from_run_json_and_not_from_todays_code(study):
    run = folder_of(study, 0)
    found = json.loads((run / "run.json").read_text(encoding="utf-8"))["settings"]
    edit(run, settings=found | {"init.gain": 123.0, "a.setting.of.tomorrow": "x"})

    results = rnn_exp.load(study)

    for table in (results.runs, results.updates, results.gradients):
        row = table[table["run"] == run.name].iloc[0]
        assert row["init.gain"] == 123.0
        assert row["a.setting.of.tomorrow"] == "x"
        assert table.loc[table["run"] != run.name, "a.setting.of.tomorrow"].isna().all()


def test_a_single_runs_folder_can_be_loaded(study):
    results = rnn_exp.load(str(folder_of(study, 1)))

    assert results.runs["run"].tolist() == [RUNS[1].name]
    assert set(results.gradients["seed"]) == {1}
    assert len(results.updates) == 2


def _break_json(run: Path) -> None:
    (run / "run.json").write_text('{"run": "half')


def _no_object(run: Path) -> None:
    (run / "run.json").write_text("[]")


def _no_json(run: Path) -> None:
    (run / ".hydra").mkdir()
    (run / "run.json").unlink()


def _not_utf8(run: Path) -> None:
    (run / "run.json").write_bytes(b"\xff\xfe{}")


def _no_gradients(run: Path) -> None:
    (run / "gradients.parquet").unlink()


def _truncated(run: Path) -> None:
    content = (run / "updates.parquet").read_bytes()
    (run / "updates.parquet").write_bytes(content[: len(content) // 2])


def _empty(run: Path) -> None:
    (run / "gradients.parquet").write_bytes(b"")


def _pickled(run: Path) -> None:
    (run / "gradients.parquet").write_bytes(pickle.dumps(_Explosive()))


def _missing_keys(run: Path) -> None:
    found = json.loads((run / "run.json").read_text(encoding="utf-8"))
    del found["settings"], found["command"]
    (run / "run.json").write_text(json.dumps(found))


def _settings_no_object(run: Path) -> None:
    edit(run, settings=["task.length"])


def _text_for_a_number(run: Path) -> None:
    edit(run, decay_rate="fast")


class _Explosive:
    """Unpickled, it would end the tests."""

    def __reduce__(self):
        return (pytest.exit, ("a results file ran code",))


BREAKS = {
    _break_json: "JSONDecodeError: Unterminated string",
    _no_object: "ValueError: run.json has no run, digest, status, settings, command",
    _no_json: "FileNotFoundError: .*run.json",
    _not_utf8: "UnicodeDecodeError: ",
    _no_gradients: "FileNotFoundError: .*gradients.parquet",
    _truncated: "ArrowInvalid: .*Parquet",
    _empty: "ArrowInvalid: .*Parquet file size is 0",
    _pickled: "ArrowInvalid: .*Parquet",
    _missing_keys: "ValueError: run.json has no settings, command",
    _settings_no_object: "ValueError: run.json: settings is not an object",
    _text_for_a_number: "ValueError: run.json: decay_rate is not a number",
}


@pytest.mark.parametrize("break_it", BREAKS, ids=lambda function: function.__name__)
def test_a_broken_run_is_listed_with_a_reason_and_harms_no_other(study, break_it):
    run = folder_of(study, 0)
    break_it(run)

    results = rnn_exp.load(study)

    assert results.broken["run"].tolist() == [run.name]
    assert results.broken["why"].str.match(BREAKS[break_it]).all(), results.broken["why"].item()
    for table in (results.runs, results.updates, results.gradients):
        assert set(table["run"]) == {RUNS[1].name, RUNS[2].name}


def test_a_study_of_broken_runs_alone_has_empty_tables(study):
    for number in range(3):
        _break_json(folder_of(study, number))

    results = rnn_exp.load(study)

    assert len(results.broken) == 3
    assert len(results.runs) == len(results.updates) == len(results.gradients) == 0
    assert {"run", "status", "verdict", "decay_rate"} <= set(results.runs)
    assert "run" in results.gradients


@pytest.mark.parametrize("status", ["running", "failed"])
def test_a_run_without_results_is_listed_with_its_status_and_has_no_rows(study, status):
    write_status(folder_of(study, 0), RUNS[0], status, failure="OSError: full")

    results = rnn_exp.load(study)

    row = results.runs.set_index("run").loc[RUNS[0].name]
    assert (row["status"], row["failure"]) == (status, "OSError: full")
    assert pd.isna(row["decay_rate"])
    assert set(results.gradients["run"]) == {RUNS[1].name, RUNS[2].name}
    assert results.broken.empty


def test_a_study_that_has_only_begun_loads(tmp_path):
    (tmp_path / "one").mkdir()
    write_status(tmp_path / "one", RUNS[0], "running")

    results = rnn_exp.load(tmp_path)

    assert results.runs["status"].tolist() == ["running"]
    assert len(results.updates) == len(results.gradients) == 0


def test_what_is_no_run_is_passed_over(study):
    (study / "report").mkdir()
    (study / "report" / "index.html").write_text("")
    (study / "multirun.yaml").write_text("")

    results = rnn_exp.load(study)

    assert len(results.runs) == 3
    assert results.broken.empty


def test_a_renamed_run_goes_by_the_name_of_its_folder(study):
    folder_of(study, 0).rename(study / "mine")

    results = rnn_exp.load(study)

    assert "mine" in set(results.runs["run"])
    assert "mine" in set(results.gradients["run"])


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=f"^there is no folder {tmp_path}/decai$"):
        rnn_exp.load(tmp_path / "decai")


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "file").write_text("")

    with pytest.raises(FileNotFoundError, match=f"^there is no folder {tmp_path}/file$"):
        rnn_exp.load(tmp_path / "file")


def test_a_folder_without_runs_is_named(tmp_path):
    (tmp_path / "notes").mkdir()

    with pytest.raises(FileNotFoundError, match=rf"^there are no runs in {tmp_path} \(no \*/run"):
        rnn_exp.load(tmp_path)


def test_the_package_has_nothing_else_that_is_not_there():
    with pytest.raises(AttributeError, match="module 'rnn_exp' has no attribute 'lood'"):
        _ = rnn_exp.lood
