"""Hostile and odd results folders are listed as broken, and stop nothing."""

import json
import os
import shutil
import sys
from contextlib import suppress

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import rnn_exp
from rnn_exp.commands import report, status
from rnn_exp.networks.network import Network
from rnn_exp.report.page import csv
from rnn_exp.schema import SWEEP_JSON
from rnn_exp.storage.trust import read_json
from rnn_exp.storage.writing import write
from rnn_exp.sweeps.status import FOLDER, chunks_in_training
from rnn_exp.tasks import Adding
from rnn_exp.training.experiment import train_runs
from rnn_exp.training.run import Run
from rnn_exp.training.settings import Training
from tests.sealing import write_sealed


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    """The folder of one small run."""
    run = Run(Adding(6), Network(hidden_size=3), training=Training(updates=2))
    folder = tmp_path_factory.mktemp("good") / run.name
    folder.mkdir()
    [outcome] = train_runs([run])
    write(folder, outcome)
    return folder


def _edited(key, value):
    def edit(run):
        found = json.loads((run / "run.json").read_text())
        place = found
        *groups, last = key
        for group in groups:
            place = place[group]
        place[last] = value
        write_sealed(run, found)

    return edit


def _text(text):
    return lambda run: (run / "run.json").write_text(text)


def _number(digits):
    def edit(run):
        text = (run / "run.json").read_text().replace('"lags": 5', f'"lags": {digits * "9"}')
        (run / "run.json").write_text(text)
        with suppress(ValueError):  # Python reads no number of 5,000 digits
            write_sealed(run, json.loads(text))

    return edit


def _bomb(run):
    rows = pq.read_table(run / "gradients.parquet").slice(0, 1)
    table = pa.Table.from_arrays(
        [pa.array(np.repeat(column.to_numpy(), 3_000_000)) for column in rows.columns],
        names=rows.column_names,
    )
    pq.write_table(table, run / "gradients.parquet")
    _edited(["steps"], [1, 2_000_000])(run)


def _pipe(run):
    (run / "run.json").unlink()
    os.mkfifo(run / "run.json")


HOSTILE = {
    "nested": (_text(100_000 * "[" + 100_000 * "]"), "nested too deeply"),
    "400 digits": (_number(400), "too large a number"),
    "10,000 digits": (_number(10_000), "limit"),
    "a setting of 400 digits": (_edited(["settings", "odd"], 10**400), "too large a number"),
    "infinity": (_text('{"status": Infinity}'), "Infinity is no JSON"),
    "1e999": (_text('{"run": 1e999}'), "has no digest"),
    "a long setting": (_edited(["settings", "odd"], 100_000 * "x"), "has 100000 letters"),
    "a long key": (_edited(["settings", 100_000 * "x"], 1), "has 100000 letters"),
    "a setting with escapes": (_edited(["settings", "odd"], "\x1b[31m"), "cannot be shown"),
    "half a sign": (_edited(["settings", "odd"], "\ud800"), "cannot be shown"),
    "half a sign of a result": (_edited(["verdict_reason"], "\ud800"), "surrogates"),
    "a long list": (_edited(["settings", "odd"], 10_000 * [1]), "has 10000 values"),
    "an unknown status": (_edited(["status"], "great"), "status is none of"),
    "an unknown verdict": (_edited(["verdict"], "great"), "verdict is none of"),
    "a pipe": (_pipe, "run.json is no file"),
    "a table that unpacks to much": (_bomb, " rows in "),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_folder_is_listed_and_harms_no_other(good, tmp_path, name):
    study = tmp_path / "study"
    shutil.copytree(good, study / "good")
    shutil.copytree(good, study / "bad")
    break_it, why = HOSTILE[name]
    break_it(study / "bad")

    results = rnn_exp.load(study)

    assert results.runs["run"].tolist() == ["good"]
    assert results.broken["run"].tolist() == ["bad"]
    assert why in results.broken["why"].item()
    assert str(tmp_path) not in results.broken["why"].item()
    assert len(results.broken["why"].item()) < 500
    assert set(results.gradients["run"]) == {"good"}


def test_of_broken_runs_each_is_a_line_of_the_report_and_nothing_is_written(
    good, tmp_path, monkeypatch, capsys
):
    study = tmp_path / "study"
    for name in ("bad", "worse"):
        shutil.copytree(good, study / name)
        (study / name / "run.json").write_text("{")
    monkeypatch.setattr(sys, "argv", ["rnn-exp-report", str(study)])

    with pytest.raises(SystemExit) as left:
        report()

    told = capsys.readouterr().err.splitlines()
    assert [line.partition(":")[2].split(" cannot be read: ")[0] for line in told] == [
        " bad",
        " worse",
    ]
    assert left.value.code == (
        f"rnn-exp-report: none of the 2 runs in {study} can be read: nothing is written"
    )
    assert sorted(path.name for path in study.iterdir()) == ["bad", "worse"]


def test_no_escape_of_a_folder_name_reaches_the_terminal(tmp_path, monkeypatch, capsys):
    sweep = tmp_path / "a\x1b[31mb"
    sweep.mkdir()
    (sweep / SWEEP_JSON).write_text('{"begun": 1, "runs": []}')
    monkeypatch.setattr(sys, "argv", ["rnn-exp-status", str(sweep)])

    status()

    told = capsys.readouterr().out
    assert "\x1b" not in told
    assert "a\\x1b[31mb" in told


@pytest.mark.parametrize(
    "text", ["{}", "[]", "Infinity", '{"begun": Infinity, "runs": []}', "[" * 9**5]
)
def test_an_odd_list_of_runs_is_one_line_of_the_status(tmp_path, monkeypatch, text):
    (tmp_path / SWEEP_JSON).write_text(text)
    monkeypatch.setattr(sys, "argv", ["rnn-exp-status", str(tmp_path)])

    with pytest.raises(
        SystemExit,
        match=r"^rnn-exp-status: .*sweep.json is damaged \(.*\); the same command writes it anew$",
    ) as left:
        status()
    if text == "{}":
        assert "(no 'begun')" in str(left.value)


@pytest.mark.parametrize("part", ["Infinity", "NaN", "-1", "1e999", "[]", "{}", "true and"])
def test_an_odd_heartbeat_is_none(tmp_path, part):
    (tmp_path / FOLDER).mkdir()
    (tmp_path / FOLDER / "odd.json").write_text(f'{{"runs": 1, "fraction": {part}}}')
    (tmp_path / FOLDER / "many.json").write_text('{"runs": 1e300, "fraction": 0.5}')
    (tmp_path / FOLDER / "good.json").write_text('{"runs": 1, "fraction": 0.5}')

    assert [chunk.name for chunk in chunks_in_training(tmp_path)] == ["good"]


def test_a_cell_that_begins_a_formula_stays_text_and_numbers_stay_numbers():
    import pandas as pd

    table = pd.DataFrame(
        {"@name": ["=1+1", "-1.5", "+x", "@y", "tanh"], "value": [-1.0, 2.0, 3.5, -np.inf, np.nan]}
    )

    assert csv(table).decode().splitlines() == [
        "'@name,value",
        "'=1+1,-1.0",
        "-1.5,2.0",
        "'+x,3.5",
        "'@y,-inf",
        "tanh,",
    ]


def test_a_missing_file_is_told_from_one_that_is_none(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_json(tmp_path / "none.json")
    with pytest.raises(ValueError, match="is no file"):
        read_json(tmp_path)
