"""Parts: rows go to disk while a run trains, and the tables at the end are the same in any case."""

import functools
import hashlib
import math

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import rnn_exp
from rnn_exp.networks.network import Network
from rnn_exp.storage import checkpoint, unfinished
from rnn_exp.storage import parts as parts_module
from rnn_exp.storage.parts import Parts, arrow_table, write_table
from rnn_exp.sweeps import saving
from rnn_exp.sweeps.jobs import Job
from rnn_exp.sweeps.worker import train_jobs
from rnn_exp.tasks import Adding, Latch
from rnn_exp.training.experiment import train_runs
from rnn_exp.training.run import Run
from rnn_exp.training.settings import Recording, Training
from tests.dose import dose

RUNS = [
    Run(
        Adding(6), Network(hidden_size=20), training=Training(9), recording=Recording(2, 1), seed=0
    ),
    Run(Latch(6), Network(cell="lstm", hidden_size=3), training=Training(9), seed=1),
    Run(Adding(6), Network("relu", 20), training=Training(9, loss_at="every"), seed=2),
]


@functools.cache
def whole(run):
    return train_runs([run])[0].tables


def table_of(rows, start=0):
    numbers = np.arange(start, start + rows)
    words = np.array(["ok", "zero"])[numbers % 2]
    return pa.table({"update": numbers, "log10_total": numbers / 7, "status": words})


@given(st.lists(st.integers(0, 12), min_size=1, max_size=8), st.integers(1, 9))
@settings(max_examples=dose(15, 60))
def test_the_bytes_of_a_table_do_not_depend_on_the_pieces_in_which_it_comes(
    tmp_path_factory, sizes, group
):
    folder = tmp_path_factory.mktemp("pieces")
    starts = np.cumsum([0, *sizes])
    pieces = [table_of(rows, start) for rows, start in zip(sizes, starts[:-1], strict=True)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parts_module, "ROWS_OF_A_GROUP", group)
        write_table(folder / "pieces.parquet", pieces)
        write_table(folder / "whole.parquet", [table_of(int(starts[-1]))])

    assert (folder / "pieces.parquet").read_bytes() == (folder / "whole.parquet").read_bytes()
    assert pq.read_table(folder / "pieces.parquet").equals(table_of(int(starts[-1])))
    groups = pq.ParquetFile(folder / "pieces.parquet").metadata.num_row_groups
    assert groups == max(1, -(-starts[-1] // group))


def files(folder):
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


@pytest.mark.parametrize("run", RUNS, ids=lambda run: run.name)
@pytest.mark.parametrize(("seconds", "part"), [(0, 1), (0, 13), (0, 10**6), (1e9, 6)])
def test_a_runs_files_have_the_same_bytes_whatever_is_written_on_the_way(
    tmp_path, monkeypatch, run, seconds, part
):
    train_jobs([Job(run, tmp_path / "plain")], checkpoint_seconds=1e9)
    for module in (saving, parts_module):
        monkeypatch.setattr(module, "ROWS_OF_A_PART", part)
    added, seen, stops = [], [], [3, 5]
    add = Parts.add
    monkeypatch.setattr(Parts, "add", lambda self, tables: added.append(1) or add(self, tables))
    job = Job(run, tmp_path / "parts")

    def watch(update):
        saved = job.folder / unfinished.FOLDER
        seen.append(len([*saved.glob("*.gradients.parquet")]))
        if stops and update.number == stops[0]:
            stops.pop(0)
            raise KeyboardInterrupt

    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            train_jobs([job], watch, seconds)
    train_jobs([job], watch, seconds)

    assert len(added) >= 2
    assert files(job.folder) == files(tmp_path / "plain")
    if part == 10**6:
        assert max(seen) <= 2, "a part grows; the one before goes when the checkpoint is there"


def test_a_run_in_training_can_be_read_up_to_its_last_checkpoint(tmp_path):
    run = RUNS[0]
    job = Job(run, tmp_path / "study" / run.name)

    def stop(update):
        if update.number == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_jobs([job], stop)

    assert rnn_exp.load(tmp_path / "study").gradients.empty
    results = rnn_exp.load(tmp_path / "study", unfinished=True)
    assert results.runs["status"].tolist() == ["running"]
    assert results.updates["update"].tolist() == [0, 2, 4]
    assert results.exponents["update"].tolist() == [0, 2, 4]
    for name, values in whole(run)["gradients"].items():
        expected = values[whole(run)["gradients"]["update"] <= 4]
        np.testing.assert_array_equal(results.gradients[name].to_numpy(), expected)


def test_what_was_loaded_of_a_run_in_training_stays_when_it_goes_on(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint.Clock, "due", lambda clock: True)
    run = RUNS[0]
    job, seen = Job(run, tmp_path / "study" / run.name), []

    def load(update):
        if update.number == 5:
            seen.append(rnn_exp.load(tmp_path / "study", unfinished=True))

    train_jobs([job], load, checkpoint_seconds=0)

    [results] = seen
    assert results.gradients["update"].unique().tolist() == [0, 2, 4]
    assert results.broken.empty


def test_rows_that_a_full_disk_did_not_take_are_written_when_there_is_room(tmp_path, monkeypatch):
    parts = Parts(tmp_path / "unfinished", ("gradients",))
    write = parts_module._write

    def full(path, groups):
        raise OSError(28, "No space left on device")

    pieces = [dict(zip(("update",), [np.arange(3) + start], strict=True)) for start in (0, 3)]
    monkeypatch.setattr(parts_module, "_write", full)
    with pytest.raises(OSError, match="No space left"):
        parts.add({"gradients": pieces[0]})
    assert pa.concat_tables(parts.pieces("gradients"))["update"].to_pylist() == [0, 1, 2]
    monkeypatch.setattr(parts_module, "_write", write)

    parts.add({"gradients": pieces[1]})

    [part] = parts.parts
    assert part.rows == 6
    assert pa.concat_tables(parts.pieces("gradients"))["update"].to_pylist() == list(range(6))


def test_a_part_that_changed_on_disk_is_found_when_it_is_read(tmp_path):
    parts = Parts(tmp_path / "unfinished", ("gradients",))
    parts.add({"gradients": {"update": np.arange(3)}})
    [part] = parts.parts
    path = part.path(parts.folder, "gradients")
    assert parts.damage() is None
    content = bytearray(path.read_bytes())
    content[30] ^= 4
    path.write_bytes(content)

    assert "was written" in parts.damage()
    with pytest.raises(OSError, match="changed after it was written"):
        list(parts.pieces("gradients"))


@pytest.mark.parametrize(
    "values",
    [
        np.array([1.5, math.nan, -math.inf]),
        np.arange(10)[::3],
        np.array([True, False] * 9)[1:],
        np.array(["ok", "underflow", ""]),
        np.array([]),
        np.array([], dtype="U9"),
        np.array([], dtype=bool),
    ],
    ids=lambda values: f"{values.dtype} {len(values)}",
)
def test_a_table_is_to_the_byte_that_which_arrow_makes_itself(values, tmp_path):
    mine, its = arrow_table({"x": values}), pa.table({"x": values})
    mine.validate(full=True)
    assert mine.schema == its.schema
    for name, table in (("mine", mine), ("its", its)):
        pq.write_table(table, tmp_path / name)
    assert (tmp_path / "mine").read_bytes() == (tmp_path / "its").read_bytes()
