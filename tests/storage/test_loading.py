"""Loading: every run as tidy tables, with the settings of its own run.json; nothing is fatal."""

import json
import pickle
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pandas.testing import assert_frame_equal, assert_series_equal

import rnn_exp
from rnn_exp.networks.inits import Gaussian, TorchDefault
from rnn_exp.networks.network import Network
from rnn_exp.profiles import RULE
from rnn_exp.schema import FORMAT, KERNEL, RUN_KEYS, TABLES
from rnn_exp.storage.loading import DamagedWarning, Results
from rnn_exp.storage.writing import is_done, write, write_status
from rnn_exp.tasks import Adding
from rnn_exp.training.experiment import train_runs
from rnn_exp.training.loop import Divergence
from rnn_exp.training.run import Run
from rnn_exp.training.settings import Training
from tests.sealing import reseal, write_sealed

RUNS = [
    Run(Adding(length), Network("relu", 4), init, Training(updates=3, clip_norm=clip), seed=seed)
    for length, init, clip, seed in [
        (10, Gaussian(0.5), None, 0),
        (10, TorchDefault(), 0.1, 1),
        (6, Gaussian(1e30), None, 2),
    ]
]


@pytest.fixture(scope="module")
def outcomes():
    return train_runs(RUNS)


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
    write_sealed(run, found | changes)


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
        assert row["chance_loss"] == run.task.chance_loss
        assert row["chance_error"] == run.task.chance_error
        for key, value in run.settings().items():
            assert row[key] == value or (value is None and pd.isna(row[key]))
    assert runs.loc[RUNS[0].name, "status"] == "finished"
    assert runs.loc[RUNS[2].name, "status"] == "diverged"
    assert runs.loc[RUNS[2].name, "verdict"] == "undetermined"
    assert runs.loc[RUNS[2].name, "diverged_update"] == 0
    assert pd.isna(runs.loc[RUNS[0].name, "diverged_update"])
    assert pd.isna(runs.loc[RUNS[1].name, "init.gain"])  # torch's default has none
    assert results.broken.empty
    assert list(results.broken) == ["run", "why"]


def test_numbers_are_numbers_even_where_some_are_missing(study):
    runs = rnn_exp.load(study).runs

    for name in (
        "decay_rate",
        "half_life",
        "final_decay_rate",
        "predicted_rate",
        "drive",
        "bound",
        "diverged_update",
        "diverged_time",
        "chance_loss",
        "chance_error",
    ):
        assert runs[name].dtype == float


def test_the_rules_of_verdicts_are_told_once_and_in_no_row(study):
    edit(folder_of(study, 1), verdict_rule="another rule")
    edit(folder_of(study, 2), verdict_rule=None)

    results = rnn_exp.load(study)

    assert results.rules == sorted([RULE, "another rule"])
    assert "verdict_rule" not in results.runs


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
    write_sealed(run, found)


def _settings_no_object(run: Path) -> None:
    edit(run, settings=["task.length"])


def _text_for_a_number(run: Path) -> None:
    edit(run, decay_rate="fast")


def rewrite(run: Path, table: str, change: Callable[[pa.Table], pa.Table]) -> None:
    """Replace a table of a run by another."""
    path = run / f"{table}.parquet"
    pq.write_table(change(pq.read_table(path)), path)
    reseal(run)


def _no_column(run: Path) -> None:
    rewrite(run, "gradients", lambda table: table.drop_columns("lag"))


def _two_columns_of_a_name(run: Path) -> None:
    rewrite(run, "gradients", lambda table: table.append_column("lag", table["lag"]))


def _text_for_a_column_of_numbers(run: Path) -> None:
    rewrite(
        run,
        "updates",
        lambda table: table.set_column(
            table.column_names.index("loss"), "loss", table["loss"].cast(pa.string())
        ),
    )


def _fewer_gradients_than_updates(run: Path) -> None:
    rewrite(run, "gradients", lambda table: table.slice(1))


def _more_updates_than_gradients(run: Path) -> None:
    rewrite(run, "updates", lambda table: pa.concat_tables([table, table]))


def _number_for_a_text(run: Path) -> None:
    edit(run, verdict=3)


def _setting_named_like_a_result(run: Path) -> None:
    found = json.loads((run / "run.json").read_text(encoding="utf-8"))["settings"]
    edit(run, settings=found | {"lag": 3, "verdict": "mine"})


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
    _number_for_a_text: "ValueError: run.json: verdict is not text",
    _setting_named_like_a_result: "ValueError: .* name of a result: lag, verdict",
    _no_column: "ValueError: gradients.parquet has no column lag",
    _two_columns_of_a_name: "ValueError: gradients.parquet: lag is there 2 times",
    _text_for_a_column_of_numbers: "ValueError: updates.parquet: loss holds string, not numbers",
    _fewer_gradients_than_updates: "ValueError: gradients.parquet has 19 rows, updates.parquet 2",
    _more_updates_than_gradients: "ValueError: updates.parquet has 4 rows, where its run records",
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


def of_other_kernels(study: Path, number: int, version: int | None, status: str = "") -> Path:
    """Lay a copy of a run beside it that kernels of another version have made."""
    run = folder_of(study, number)
    other = Path(shutil.copytree(run, run.with_name(f"{run.name}-{version}")))
    network = json.loads((run / "run.json").read_text(encoding="utf-8"))["network"]
    ended = {"status": status} if status else {}
    edit(other, digest=f"{version}" * 16, network=network | {"kernel": version}, **ended)
    return other


def test_of_a_run_that_later_kernels_made_again_the_later_one_counts(study):
    earlier = of_other_kernels(study, 0, KERNEL.version - 1)
    begun = of_other_kernels(study, 1, KERNEL.version + 1, "running")

    results = rnn_exp.load(study)

    assert sorted(results.runs["run"]) == sorted([*(run.name for run in RUNS), begun.name])
    assert not set(results.updates["run"]) & {earlier.name, begun.name}
    [[run, why]] = results.broken.to_numpy().tolist()
    assert run == earlier.name
    assert why == (
        f"made by kernels of version {KERNEL.version - 1}; {RUNS[0].name} is the same run by those "
        f"of version {KERNEL.version}"
    )
    assert "left out: 1 folder" in repr(results)


def test_runs_of_other_settings_count_whatever_kernels_made_them(study):
    edit(folder_of(study, 0), network={"kernel": KERNEL.version - 1})
    assert len(rnn_exp.load(study)) == len(RUNS)
    assert rnn_exp.load(study).broken.empty


def test_a_study_of_broken_runs_alone_has_empty_tables(study):
    for number in range(3):
        _break_json(folder_of(study, number))

    results = rnn_exp.load(study)

    assert len(results.broken) == 3
    assert len(results.runs) == len(results.updates) == len(results.gradients) == 0
    assert {"run", "status", "verdict", "decay_rate"} <= set(results.runs)
    assert list(results.updates) == [*TABLES["updates"].always, "run"]
    always = list(TABLES["gradients"].always)
    assert list(results.gradients) == [*always, "run"]


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
    folder_of(study, 0).rename(study / ".hidden")

    results = rnn_exp.load(study)

    assert set(results.runs["run"]) == {RUNS[1].name, RUNS[2].name}
    assert results.broken.empty


def test_a_run_loaded_from_inside_its_folder_has_its_name(study, monkeypatch):
    monkeypatch.chdir(folder_of(study, 1))

    assert rnn_exp.load(".").runs["run"].tolist() == [RUNS[1].name]


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

    with pytest.raises(
        FileNotFoundError, match=f"^there is no folder {tmp_path}/file: it is a file$"
    ):
        rnn_exp.load(tmp_path / "file")


def test_a_folder_without_runs_is_named(tmp_path):
    (tmp_path / "notes").mkdir()

    with pytest.raises(FileNotFoundError, match=rf"^there are no runs in {tmp_path} \(no run"):
        rnn_exp.load(tmp_path)


def test_the_package_has_nothing_else_that_is_not_there():
    with pytest.raises(AttributeError, match="module 'rnn_exp' has no attribute 'lood'"):
        _ = rnn_exp.lood


@pytest.fixture(scope="module")
def deep(tmp_path_factory, outcomes) -> Results:
    """The study and a run of three layers; to be left as it is."""
    study = tmp_path_factory.mktemp("deep")
    run = Run(Adding(5), Network(hidden_size=4, num_layers=3), training=Training(updates=20))
    for outcome in [*outcomes, *train_runs([run])]:
        (study / outcome.run.name).mkdir()
        write(study / outcome.run.name, outcome)
    return rnn_exp.load(study)


@pytest.mark.parametrize("runs", [None, [], ["none"], [RUNS[1].name], [run.name for run in RUNS]])
@pytest.mark.parametrize("updates", [None, [], [0], [2, 10, 999]])
@pytest.mark.parametrize("layer", [None, 0, 2, -1, -3])
def test_chosen_rows_are_those_of_the_whole_table(deep, runs, updates, layer):
    columns = ["lag", "run", "log10_total", "init.gain", "status"]

    got = deep.gradient_rows(columns, runs=runs, updates=updates, layer=layer)

    whole = deep.gradients
    layers = whole["network.num_layers"] if layer is not None and layer < 0 else 0
    keep = pd.Series(True, index=whole.index) if layer is None else whole["layer"] == layers + layer
    if runs is not None:
        keep &= whole["run"].isin(runs)
    if updates is not None:
        keep &= whole["update"].isin(updates)
    assert_frame_equal(got, whole.loc[keep, columns].reset_index(drop=True))


def test_a_column_that_is_not_there_is_named(study):
    with pytest.raises(KeyError, match="the table of gradients has no column lags, gain"):
        rnn_exp.load(study).gradient_rows(["lags", "run", "gain"])


def test_nothing_is_read_before_it_is_asked_for_and_then_no_more_than_that(study, monkeypatch):
    reads = []
    read = pq.ParquetFile.read

    def noted(self, columns=None, **more):
        reads.append(columns)
        return read(self, columns=columns, **more)

    monkeypatch.setattr(pq.ParquetFile, "read", noted)
    results = rnn_exp.load(study)

    assert results.broken.empty
    assert reads == []
    results.gradient_rows(["lag", "run", "init.gain"], runs=[RUNS[0].name], updates=[0])
    assert reads == [["lag", "update"]]
    assert results.updates is results.updates
    assert len(reads) == 1 + 3


def damage(path: Path) -> None:
    """Overwrite the pages of a parquet file and leave its footer whole."""
    content = path.read_bytes()
    footer = int.from_bytes(content[-8:-4], "little") + 8
    path.write_bytes(b"PAR1" + b"\xff" * (len(content) - footer - 4) + content[-footer:])


def replace(run: Path, name: str, values: pa.Array) -> None:
    """Replace a column of a run's gradients by another."""
    rewrite(
        run,
        "gradients",
        lambda table: table.set_column(table.column_names.index(name), name, values),
    )


def _unknown_status(run: Path) -> None:
    replace(run, "status", pa.array(["fine"] * 20))


def _missing_lag(run: Path) -> None:
    replace(run, "lag", pa.array([None] * 20, pa.int64()))


def _lag_beyond_32_bits(run: Path) -> None:
    replace(run, "lag", pa.array([2**40] * 20))


DAMAGES = {
    lambda run: damage(
        run / "gradients.parquet"
    ): "gradients.parquet: ValueError: its contents were changed after it was written",
    lambda run: (damage(run / "gradients.parquet"), reseal(run)): "gradients.parquet: OSError: ",
    _unknown_status: "gradients.parquet: ValueError: a value is missing, or is no status",
    _missing_lag: "gradients.parquet: ValueError: a value is missing",
    _lag_beyond_32_bits: "gradients.parquet: ArrowInvalid: Integer value 1099511627776",
}


@pytest.mark.parametrize("damage_it", DAMAGES, ids=["hash", "pages", "status", "missing", "large"])
def test_a_table_found_damaged_when_read_is_told_listed_and_left_out(study, damage_it):
    run = folder_of(study, 0)
    damage_it(run)
    results = rnn_exp.load(study)
    assert results.broken.empty

    with pytest.warns(DamagedWarning, match=f"{run.name} is left out: {DAMAGES[damage_it]}"):
        gradients = results.gradients

    assert set(gradients["run"]) == {RUNS[1].name, RUNS[2].name}
    assert set(gradients.loc[gradients["run"] == RUNS[2].name, "seed"]) == {2}
    assert results.broken["run"].tolist() == [run.name]
    assert results.broken["why"].str.match(DAMAGES[damage_it]).all()
    assert set(results.updates["run"]) == set(results.runs["run"]) == {run.name for run in RUNS}


def test_a_damaged_table_is_told_and_listed_once(study):
    damage(folder_of(study, 0) / "gradients.parquet")
    results = rnn_exp.load(study)
    with pytest.warns(DamagedWarning):
        results.gradient_rows(["lag"])

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        results.gradient_rows(["lag", "status"], updates=[0])
    assert len(results.broken) == 1


def test_damage_does_no_harm_to_those_who_do_not_read_it(study):
    damage(folder_of(study, 0) / "gradients.parquet")
    results = rnn_exp.load(study)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(results.gradient_rows(["lag"], runs=[RUNS[1].name])) == 20
        assert len(results.updates) == 5


def test_a_table_that_changed_after_loading_is_left_out(study):
    results = rnn_exp.load(study)
    _fewer_gradients_than_updates(folder_of(study, 0))

    with pytest.warns(DamagedWarning, match="it has .* bytes, and had"):
        assert set(results.gradients["run"]) == {RUNS[1].name, RUNS[2].name}


def test_columns_of_tomorrow_do_no_harm(study):
    run = folder_of(study, 0)
    rewrite(run, "gradients", lambda table: table.append_column("new", table["lag"]))

    results = rnn_exp.load(study)

    assert results.broken.empty
    assert "new" not in results.gradients
    assert len(results.gradients) == 46


def test_what_is_read_is_what_a_run_writes(outcomes):
    for name, table in TABLES.items():
        assert list(getattr(outcomes[0], name)) == list(table.always)


def test_an_empty_table_has_the_columns_and_types_of_a_full_one(study):
    full = rnn_exp.load(study)
    for place, status in enumerate(("running", "running", "failed")):
        write_status(folder_of(study, place), RUNS[place], status)

    empty = rnn_exp.load(study)

    for name in ("runs", "updates", "gradients"):
        assert_series_equal(getattr(empty, name).dtypes, getattr(full, name).dtypes)
    assert len(empty.gradients) == len(empty.updates) == 0
    assert_series_equal(
        empty.gradient_rows(["lag", "seed"]).dtypes, full.gradients[["lag", "seed"]].dtypes
    )


def test_columns_of_the_large_tables_are_small_and_numbers_stay_numbers(study):
    edit_settings(study, 0, {"seed": 2**40})

    gradients = rnn_exp.load(study).gradients

    assert {str(gradients[name].dtype) for name in ("update", "layer", "time", "lag")} == {"int32"}
    assert gradients["task.length"].dtype == np.int32
    assert gradients["seed"].dtype == np.int64
    assert gradients["init.gain"].dtype == gradients["log10_total"].dtype == float
    for name in ("run", "status", "network.activation", "init"):
        assert isinstance(gradients[name].dtype, pd.CategoricalDtype)
    assert gradients["seed"].max() == 2**40


def edit_settings(study: Path, number: int, changes: dict[str, object]) -> None:
    """Change some settings in the run.json of a run."""
    run = folder_of(study, number)
    found = json.loads((run / "run.json").read_text(encoding="utf-8"))["settings"]
    edit(run, settings=found | changes)


def test_a_setting_that_is_null_in_every_run_is_a_number_that_is_missing(study):
    edit_settings(study, 1, {"training.clip_norm": None})

    results = rnn_exp.load(study)

    for table in (results.runs, results.gradients):
        assert table["training.clip_norm"].dtype == float
        assert table["training.clip_norm"].isna().all()


@pytest.mark.parametrize("value", [True, [1, 2], {"a": 1}, "auto"])
def test_a_setting_of_any_kind_reaches_every_row(study, value):
    edit_settings(study, 0, {"odd": value})

    gradients = rnn_exp.load(study).gradients

    own = gradients["run"] == RUNS[0].name
    assert all(found == value for found in gradients.loc[own, "odd"])
    assert gradients.loc[~own, "odd"].isna().all()


USES: dict[str, Callable[[pd.DataFrame], object]] = {
    "query": lambda frame: frame.query("`init.gain` == 0.5 and status == 'ok'"),
    "group": lambda frame: frame.groupby(["run", "init.gain"], observed=True)["lag"].mean(),
    "merge": lambda frame: frame.merge(frame[["run", "seed"]].drop_duplicates(), on="run"),
    "pivot": lambda frame: frame.pivot_table(index="lag", columns="seed", values="state_rms"),
    "column": lambda frame: frame.__setitem__("twice", 2 * frame["seed"]),
    "cell": lambda frame: frame.loc.__setitem__((0, "init.gain"), 3.0),
    "mask": lambda frame: frame.loc.__setitem__((frame["lag"] > 2, "seed"), 3),
    "sort": lambda frame: frame.sort_values(["run", "lag"]),
    "concatenate": lambda frame: pd.concat([frame, frame]),
    "copy": lambda frame: frame.copy(),
}


@pytest.mark.parametrize("use", USES.values(), ids=USES)
def test_a_large_table_is_a_frame_like_any_other(study, use):
    results = rnn_exp.load(study)
    plain = pd.DataFrame({name: column.copy() for name, column in results.gradients.items()})

    got, expected = use(results.gradients), use(plain)

    assert_frame_equal(results.gradients, plain)
    if isinstance(expected, pd.DataFrame):
        assert_frame_equal(got, expected)
    elif isinstance(expected, pd.Series):
        assert_series_equal(got, expected)


def test_a_large_table_can_be_saved_and_sent(study, tmp_path):
    gradients = rnn_exp.load(study).gradients
    gradients.to_parquet(tmp_path / "all.parquet")

    assert_frame_equal(pd.read_parquet(tmp_path / "all.parquet"), gradients)
    assert_frame_equal(pickle.loads(pickle.dumps(gradients)), gradients)


def test_runs_join_their_rows_by_name(study):
    results = rnn_exp.load(study)

    joined = results.gradients.merge(results.runs[["run", "verdict"]], on="run")

    assert joined["run"].dtype == results.runs["run"].dtype
    assert len(joined) == 46


def test_changes_to_the_table_of_runs_reach_no_other_table(study):
    results, untouched = rnn_exp.load(study), rnn_exp.load(study)
    results.runs["mine"] = 1
    results.runs = results.runs.iloc[::-1]
    results.runs["init.gain"] = 0.0

    assert_frame_equal(results.gradients, untouched.gradients)


def test_results_unpack_into_the_four_tables(study):
    results = rnn_exp.load(study)
    runs, updates, gradients, broken = results

    assert runs is results.runs
    assert updates is results.updates
    assert gradients is results.gradients
    assert_frame_equal(broken, results.broken)


def test_a_column_that_only_some_runs_have_is_missing_in_the_others(study):
    run = Run(Adding(5), Network(hidden_size=4), training=Training(3, loss_at="every"))
    before = rnn_exp.load(study).gradients
    (study / run.name).mkdir()
    [outcome] = train_runs([run])
    write(study / run.name, outcome)

    results = rnn_exp.load(study)

    assert results.broken.empty
    gradients = results.gradients
    assert set(gradients) - set(before) == {"log10_late", "status_late"}
    assert gradients.loc[gradients["run"] != run.name, "status_late"].isna().all()
    own = gradients["run"] == run.name
    assert gradients.loc[own, "log10_late"].tolist() == outcome.gradients["log10_late"].tolist()
    assert gradients.loc[~own, "log10_late"].isna().all()
    assert gradients["log10_late"].dtype == float
    rows_of_one = results.gradient_rows(["log10_late", "lag"], runs=[RUNS[0].name])
    assert rows_of_one["log10_late"].isna().all()
    assert len(rows_of_one) == 20
    with pytest.raises(KeyError, match="no column log10_memory"):
        results.gradient_rows(["log10_memory"])


def test_runs_of_several_lengths_load_with_the_rows_they_have(tmp_path):
    run = Run(Adding(40, "pascanu"), Network(hidden_size=4), training=Training(5))
    [outcome] = train_runs([run])
    write(tmp_path, outcome)

    runs, updates, gradients, broken = rnn_exp.load(tmp_path)

    assert broken.empty
    assert len(runs) == 1
    lengths = outcome.updates["length"].tolist()
    assert updates["length"].tolist() == lengths
    assert len(gradients) == sum(lengths)
    assert json.loads((tmp_path / "run.json").read_text())["steps"] == [40, 43]


@pytest.mark.parametrize("kept", [79, 87])
def test_a_table_with_fewer_rows_than_the_shortest_sequences_or_more_than_the_longest_is_broken(
    tmp_path, kept
):
    run = Run(Adding(40, "pascanu"), Network(hidden_size=4), training=Training(2))
    write(tmp_path, train_runs([run])[0])
    rewrite(tmp_path, "gradients", lambda table: pa.concat_tables([table, table]).slice(0, kept))

    [why] = rnn_exp.load(tmp_path).broken["why"]

    assert why == (
        f"ValueError: gradients.parquet has {kept} rows, updates.parquet 2: not 1 (layers) times "
        "40 to 43 (steps) as many"
    )


# What each former format did not have yet: columns of updates.parquet, and keys of run.json.
NOT_YET = {
    5: (["learning_rate"], []),
    4: (["update_norm", "update_ratio", "learning_rate"], ["clipped_at_start"]),
}


def as_former(folder, version):
    """Turn a run's folder into what a version before wrote."""
    path, table = folder / "run.json", folder / "updates.parquet"
    columns, keys = NOT_YET[version]
    pq.write_table(pq.read_table(table).drop_columns(columns), table)
    said = json.loads(path.read_text(encoding="utf-8")) | {"format": version}
    for key in keys:
        del said[key]
    path.write_text(json.dumps(said), encoding="utf-8")
    reseal(folder)


@pytest.mark.parametrize("version", NOT_YET)
def test_a_folder_of_a_former_format_is_read_and_trusted_without_columns_that_came_after_it(
    tmp_path, outcomes, version
):
    for outcome in outcomes[:2]:
        (tmp_path / outcome.run.name).mkdir()
        write(tmp_path / outcome.run.name, outcome)
    old = tmp_path / outcomes[0].run.name
    as_former(old, version)

    results = rnn_exp.load(tmp_path)

    assert results.broken.empty
    assert is_done(old, outcomes[0].run)
    for column in NOT_YET[version][0]:
        missing = results.updates[column].isna()
        assert set(results.updates["run"][missing]) == {old.name}
    (old / "updates.parquet").write_bytes(b"changed")
    assert not is_done(old, outcomes[0].run)


def as_format_1(folder):
    """Turn a run's folder into what the version before wrote."""
    path = folder / "run.json"
    said = json.loads(path.read_text(encoding="utf-8"))
    del said["format"], said["network"], said["files"], said["sha256"]
    path.write_text(json.dumps(said), encoding="utf-8")
    table = pq.read_table(folder / "updates.parquet")
    names = ["moved" if name == "weight_change" else name for name in table.column_names]
    pq.write_table(table.rename_columns(names), folder / "updates.parquet")
    without_statuses(folder)


def without_statuses(folder):
    """Take away the statuses that came with format 3."""
    table = pq.read_table(folder / "gradients.parquet")
    newer = [name for name in table.column_names if name.startswith("status_")]
    pq.write_table(table.drop_columns(newer), folder / "gradients.parquet")


def as_format_2(folder):
    """Turn a run's folder into what the version before wrote."""
    path = folder / "run.json"
    said = json.loads(path.read_text(encoding="utf-8")) | {"format": 2}
    del said["files"], said["sha256"]
    path.write_text(json.dumps(said), encoding="utf-8")
    without_statuses(folder)


def test_statuses_that_a_former_format_did_not_keep_are_read_off_the_norms(tmp_path):
    run = Run(Adding(5), Network(cell="lstm", hidden_size=3), training=Training(1))
    [outcome] = train_runs([run])
    outcome.gradients["log10_memory"][:3] = [-np.inf, np.inf, np.nan]
    outcome.gradients["status"][:] = "underflow"
    write(tmp_path, outcome)
    as_format_2(tmp_path)

    results = rnn_exp.load(tmp_path)

    assert results.broken.empty
    rows = results.gradients
    assert rows["status_memory"].tolist() == ["zero", "inf", "nan", "ok", "ok"]
    assert rows["status_direct"].tolist() == ["zero"] * 4 + ["ok"]
    assert rows["status"].tolist() == ["underflow"] * 5, "what was kept stays"
    assert "status_late" not in rows
    assert results.gradient_rows(["status_memory"])["status_memory"].tolist()[:2] == ["zero", "inf"]


def test_a_folder_of_today_without_a_status_is_broken(tmp_path, outcomes):
    write(tmp_path, outcomes[0])
    without_statuses(tmp_path)
    reseal(tmp_path)

    [why] = rnn_exp.load(tmp_path).broken["why"]

    assert why == "ValueError: gradients.parquet has no column status_direct"


def test_a_folder_of_format_1_is_read_under_the_names_of_today(tmp_path, outcomes):
    for outcome in outcomes[:2]:
        (tmp_path / outcome.run.name).mkdir()
        write(tmp_path / outcome.run.name, outcome)
    new = rnn_exp.load(tmp_path)
    updates, gradients = new.updates, new.gradients
    as_format_1(tmp_path / outcomes[0].run.name)

    mixed = rnn_exp.load(tmp_path)

    assert mixed.broken.empty
    pd.testing.assert_frame_equal(mixed.updates, updates)
    pd.testing.assert_frame_equal(mixed.gradients, gradients)
    assert mixed.runs["largest_slope"].isna().tolist().count(True) == 1


def test_a_folder_of_a_newer_format_is_listed_as_broken_with_its_number(tmp_path, outcomes):
    write(tmp_path, outcomes[0])
    path = tmp_path / "run.json"
    said = json.loads(path.read_text(encoding="utf-8")) | {"format": FORMAT + 1}
    path.write_text(json.dumps(said), encoding="utf-8")

    [why] = rnn_exp.load(tmp_path).broken["why"]

    assert (
        why == f"ValueError: run.json: format {FORMAT + 1}, where this version reads up to {FORMAT}"
    )


def test_run_json_has_the_keys_of_the_schema_and_no_other(tmp_path, outcomes):
    write(tmp_path, outcomes[0])
    said = json.loads((tmp_path / "run.json").read_text(encoding="utf-8"))
    known = {key.path for key in RUN_KEYS}
    nested = {path.partition(".")[0] for path in known if "." in path}
    paths = {
        path
        for key, value in said.items()
        for path in ([f"{key}.{inner}" for inner in value or ()] if key in nested else [key])
    }

    assert paths <= known
    optional = {key.path for key in RUN_KEYS if key.path.endswith("_h") or ".test_" in key.path}
    diverged = {f"diverged.{end}" for end in Divergence._fields}
    assert known - paths <= {"failure", *optional, *diverged}


@pytest.mark.parametrize(
    ("key", "value", "why"),
    [
        ("carrier", "status", "carrier is no column of gradients: status"),
        ("carrier", 5, "carrier is not text"),
        ("bent", "x", "bent is not true or false"),
        ("decay_rate", True, "decay_rate is not a number"),
        ("decay_rate", -1.0, "decay_rate is negative"),
        ("horizon", 10**400, "horizon is too large a number"),
    ],
)
def test_a_summary_that_cannot_be_is_listed_as_broken(tmp_path, outcomes, key, value, why):
    write(tmp_path, outcomes[0])
    path = tmp_path / "run.json"
    write_sealed(tmp_path, json.loads(path.read_text(encoding="utf-8")) | {key: value})

    [told] = rnn_exp.load(tmp_path).broken["why"]

    assert told == f"ValueError: run.json: {why}"
