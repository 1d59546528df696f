"""What a user imports: every public name is there, and none is imported before it is asked for."""

import os
import re
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from pandas.testing import assert_frame_equal

import rnn_exp
from rnn_exp import theory
from rnn_exp.arithmetic import ask_for_strict_products, was_asked_too_late
from rnn_exp.storage.study import StudyPage, study_of
from rnn_exp.sweeps import saving, worker
from rnn_exp.sweeps.overview import overview
from rnn_exp.training.experiment import UnsettledWarning, train_runs
from tests._hydra.test_app import start
from tests.forks import forks


def small(seed=0):
    return rnn_exp.Run(
        rnn_exp.tasks.Adding(6),
        rnn_exp.Network(hidden_size=5),
        rnn_exp.inits.Gaussian(0.8),
        rnn_exp.Training(updates=3, batch_size=4),
        seed=seed,
    )


@pytest.mark.parametrize("module", [rnn_exp, theory])
def test_every_public_name_is_there(module):
    for name in module.__all__:
        assert getattr(module, name) is not None
        assert name in dir(module) or module is theory
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = module.nothing


def test_importing_the_package_imports_neither_torch_nor_pandas():
    code = (
        "import sys, rnn_exp, rnn_exp.theory, rnn_exp.schema, rnn_exp.fields, rnn_exp.registry\n"
        "assert not {'torch', 'pandas', 'hydra', 'matplotlib'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_runs_trained_from_python_have_the_bits_they_have_alone():
    together = rnn_exp.outcomes([small(seed) for seed in range(4)])

    for outcome in together:
        [alone] = rnn_exp.outcomes([outcome.run])
        for column, values in alone.gradients.items():
            np.testing.assert_array_equal(outcome.gradients[column], values)


def test_training_from_python_leaves_torchs_threads_as_they_were():
    torch.set_num_threads(2)
    try:
        seen = []
        rnn_exp.outcomes([small()], lambda _: seen.append(torch.get_num_threads()))
        assert (set(seen), torch.get_num_threads()) == ({1}, 2)
    finally:
        torch.set_num_threads(1)


def test_a_process_that_is_not_settled_is_told_so(monkeypatch):
    train_runs([small()])  # MKL has multiplied when it had been asked
    monkeypatch.delenv("MKL_CBWR", raising=False)
    with pytest.warns(UnsettledWarning, match="last bits may depend on the runs beside it"):
        train_runs([small()])

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        rnn_exp.outcomes([small()])
    assert os.environ["MKL_CBWR"]


SETTINGS = {"length": [10, 12], "gain": [0.5, 2], "updates": 3, "hidden_size": 4}
WORDS = ("task.length=10,12", "init.gain=0.5,2", "training.updates=3", "network.hidden_size=4")
TABLES = ("gradients.parquet", "updates.parquet", "weights.safetensors")


def contents(folder):
    """The bytes of the tables and weights of each run in a folder."""
    return {path.relative_to(folder): path.read_bytes() for path in folder.glob("*/*.[ps]*t*")}


def seconds_of(folder):
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.suffix != ".json"}


def test_a_grid_leaves_the_names_digests_and_bytes_of_the_command_line(tmp_path):
    ended = start(tmp_path, "-m", *WORDS, "hydra.sweep.dir=typed")
    results = rnn_exp.train(rnn_exp.grid(SETTINGS), folder=tmp_path / "called")

    typed = contents(tmp_path / "typed")
    assert (ended.code, len(typed)) == (0, 4 * len(TABLES))
    assert contents(tmp_path / "called") == typed
    of_command = rnn_exp.load(tmp_path / "typed").runs.set_index("run").sort_index()
    assert_frame_equal(results.runs.set_index("run").sort_index(), of_command)


def test_what_the_command_line_has_trained_is_not_trained_again(tmp_path):
    start(tmp_path, "-m", *WORDS, "hydra.sweep.dir=typed")
    before = seconds_of(tmp_path / "typed")

    results = rnn_exp.train(rnn_exp.grid(SETTINGS, seed=[0, 1]), folder=tmp_path / "typed")

    assert len(results) == 8
    after = seconds_of(tmp_path / "typed")
    assert {path: after[path] for path in before if path.is_file()} == {
        path: when for path, when in before.items() if path.is_file()
    }
    [status] = overview(tmp_path / "typed")
    assert status.line.endswith("8/8 done; all have ended")


def test_results_without_a_folder_are_those_of_one_and_leave_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    held = rnn_exp.train([small(seed) for seed in range(3)])
    assert not any(tmp_path.iterdir())

    written = rnn_exp.train([small(seed) for seed in range(3)], folder="mine")

    for table in ("runs", "updates", "gradients", "broken"):
        assert_frame_equal(getattr(held, table), getattr(written, table))
    assert_frame_equal(written.gradients, rnn_exp.load("mine").gradients)


def test_the_results_are_of_the_runs_that_were_asked_for_in_their_order(tmp_path):
    rnn_exp.train([small(seed) for seed in range(3)], folder=tmp_path)
    results = rnn_exp.train([small(2), small(0), small(2)], tmp_path)
    assert results.runs["seed"].tolist() == [2, 0]


def test_one_run_may_be_given_by_its_settings_or_as_it_is(tmp_path):
    found = rnn_exp.run({"init.gain": 0.8}, length=6, hidden_size=5, updates=3, batch_size=4)
    assert found.runs["digest"].tolist() == [small().digest]
    assert_frame_equal(found.gradients, rnn_exp.train(small()).gradients)
    rnn_exp.run(length=6, hidden_size=5, updates=1, folder=tmp_path / "one")
    assert len(rnn_exp.load(tmp_path / "one")) == 1
    with pytest.raises(rnn_exp.SettingError, match=r"seed=.* one value"):
        rnn_exp.run(seed=[0, 1])


def test_ctrl_c_leaves_checkpoints_from_which_the_same_call_goes_on(tmp_path, monkeypatch):
    runs = [small(seed) for seed in range(3)]
    expected = rnn_exp.train(runs, tmp_path / "whole")
    refresh = worker.Heartbeat.write

    def press(self, made, runs):
        refresh(self, made, runs)
        if made == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(worker.Heartbeat, "write", press)
        with pytest.raises(KeyboardInterrupt):
            rnn_exp.train(runs, folder=tmp_path / "stopped")

    [status] = (each for each in overview(tmp_path) if each.folder.name == "stopped")
    assert status.line.count("stopped: 0 of 3 done") == 1
    assert f"rnn_exp.train(…, folder='{tmp_path}/stopped')" in status.line
    assert len(list(tmp_path.glob("stopped/*/unfinished/*.safetensors"))) == 3
    begun = []
    chunk_from = saving.chunk_from
    monkeypatch.setattr(
        worker, "chunk_from", lambda starts: begun.append(chunk_from(starts)) or begun[-1]
    )
    results = rnn_exp.train(runs, folder=tmp_path / "stopped")
    assert [chunk.made for chunk in begun] == [3]
    assert_frame_equal(results.gradients, expected.gradients)
    assert contents(tmp_path / "stopped") == contents(tmp_path / "whole")


def test_a_run_that_fails_is_told_and_stops_no_other(tmp_path, monkeypatch):
    write_results = saving.Saver.write_results

    def fail(self, run, update):
        if run.seed == 1:
            return saving.failed(self.jobs[run], RuntimeError("no\nluck"))
        return write_results(self, run, update)

    monkeypatch.setattr(saving.Saver, "write_results", fail)
    with pytest.warns(rnn_exp.FailedRunsWarning, match="^1 of 3 runs failed .*seed1.*: no luck$"):
        results = rnn_exp.train([small(seed) for seed in range(3)])

    assert results.runs["status"].tolist() == ["finished", "failed", "finished"]
    assert results.runs["failure"].tolist()[1] == "RuntimeError: no\nluck"
    assert sorted(set(results.gradients["seed"])) == [0, 2]


def test_training_into_a_folder_leaves_torchs_threads_as_they_were(tmp_path):
    torch.set_num_threads(2)
    try:
        rnn_exp.train([small()], tmp_path)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(1)


def test_processes_give_the_same_results(tmp_path):
    runs = [small(seed) for seed in range(4)]
    beside = rnn_exp.train(runs, tmp_path / "two", processes=2)
    assert_frame_equal(beside.gradients, rnn_exp.train(runs).gradients)


@pytest.mark.parametrize(
    ("runs", "more", "said"),
    [
        ([small()], {"checkpoint_seconds": -1}, "^checkpoint_seconds=-1"),
        ([small()], {"processes": 0}, "^processes=0"),
        (rnn_exp.grid(note=["a", "b"]), {}, "^note=a,b"),
    ],
)
def test_what_cannot_be_trained_is_refused_before_anything_is_written(tmp_path, runs, more, said):
    with pytest.raises(rnn_exp.SettingError, match=said):
        rnn_exp.train(runs, tmp_path / "mine", **more)
    assert not (tmp_path / "mine").exists()


def test_the_folder_of_one_run_is_not_taken_for_that_of_a_sweep(tmp_path):
    results = rnn_exp.train([small()], tmp_path)
    with pytest.raises(FileExistsError, match="the folder of one run"):
        rnn_exp.train([small(1)], tmp_path / results.runs["run"][0])


def test_the_page_of_a_folder_is_declared_from_python_and_stays_declared(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no sweep in"):
        rnn_exp.declare_page(tmp_path, question="Why?")
    rnn_exp.train(small(0), tmp_path)
    rnn_exp.declare_page(tmp_path, question="Why?", figures=["decay", "rates"], answer=["rates"])
    declared = study_of(tmp_path)
    assert declared.page == StudyPage("Why?", ("decay", "rates"), ("rates",))
    rnn_exp.train([small(0), small(1)], tmp_path)
    assert study_of(tmp_path).page == declared.page
    assert study_of(tmp_path).command == declared.command
    for wrong in ({"figures": ["decya"]}, {"answer": ["harmm"]}, {"question": "two\nlines"}):
        with pytest.raises(rnn_exp.SettingError, match=r"^page\."):
            rnn_exp.declare_page(tmp_path, **wrong)
    assert study_of(tmp_path).page == declared.page


def test_no_runs_have_no_results(tmp_path):
    assert len(rnn_exp.train([])) == 0


def _multiply():
    _ = torch.ones(9, 9) @ torch.ones(9, 9)


def _said(steps, before, told):
    os.environ.pop("MKL_CBWR", None)
    os.environ.update(before)
    for step in steps:
        step()
    told.send(was_asked_too_late())


def test_a_process_that_has_multiplied_before_is_told_that_it_is_too_late():
    def said(*steps, **before):
        ours, theirs = forks().Pipe(duplex=False)
        process = forks().Process(target=_said, args=(steps, before, theirs))
        process.start()
        theirs.close()
        answer = ours.recv()
        process.join()
        return answer

    assert said(ask_for_strict_products, _multiply) is False
    assert said(_multiply, ask_for_strict_products, MKL_CBWR="COMPATIBLE") is False
    if torch.backends.mkl.is_available() and not was_asked_too_late():
        assert said(_multiply, ask_for_strict_products) is True


def test_what_cannot_be_settled_is_a_warning(monkeypatch):
    monkeypatch.setattr("rnn_exp.sweeps.process.was_asked_too_late", lambda: True)
    monkeypatch.setattr("rnn_exp.sweeps.process._told", set())
    with pytest.warns(UnsettledWarning, match="start Python anew and call .*MKL_CBWR"):
        rnn_exp.train([small()])


def test_what_cannot_be_settled_is_told_once_at_the_line_of_the_user(monkeypatch):
    monkeypatch.setattr("rnn_exp.sweeps.process.was_asked_too_late", lambda: True)
    calls = (
        lambda: rnn_exp.run(updates=1, length=10, hidden_size=4),
        lambda: rnn_exp.train([small()]),
        lambda: rnn_exp.outcomes([small()]),
        lambda: rnn_exp.initial_weights(small()),
    )
    for call in calls:
        monkeypatch.setattr("rnn_exp.sweeps.process._told", set())
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            call()
            call()
        [warning] = [each for each in told if each.category is UnsettledWarning]
        assert warning.filename == __file__
        assert warning.lineno == call.__code__.co_firstlineno


def test_the_lines_of_the_page_about_python_run(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    page = Path(__file__).parents[1] / "docs" / "how-to" / "python.md"
    names: dict[str, object] = {"__name__": "page"}

    for file, block in re.findall(
        r"(?:^`([\w.]+)`:\n\n)?^```python\n(.*?)^```$",
        page.read_text("utf-8"),
        re.DOTALL | re.MULTILINE,
    ):
        if not file:  # a file is run by the command below it
            exec(compile(block, page.name, "exec"), names)

    assert len(names["results"]) == 36
    assert len(names["long"]) == 18
    assert names["figure"].get_figwidth() == 3.4
    assert "MeanField(" in capsys.readouterr().out
    assert {path.name for path in tmp_path.iterdir()} == {"outputs", "decay.pdf"}
