"""Curves of our own runs: each point once, whatever happens, and not a byte of a result changes."""

import dataclasses
import importlib.util
import json
import logging
from multiprocessing.reduction import ForkingPickler

import pytest

import rnn_exp
from rnn_exp import SettingError
from rnn_exp.commands import status
from rnn_exp.networks.inits import Gaussian
from rnn_exp.networks.network import Network
from rnn_exp.recordings.trackers import TensorBoard, Tracking
from rnn_exp.storage import checkpoint
from rnn_exp.sweeps import saving
from rnn_exp.sweeps.jobs import Job
from rnn_exp.sweeps.worker import train_jobs
from rnn_exp.tasks import Adding
from rnn_exp.training.experiment import Chunk
from rnn_exp.training.run import Run
from rnn_exp.training.settings import Evaluation, Recording, Training
from tests.event_files import is_event_file, points_in
from tests.in_process import command
from tests.in_process import run as type_words

pytest.importorskip("tensorboard", reason="pip install 'rnn-exp[tensorboard]'")

RUN = Run(
    Adding(6),
    Network("relu", 4, num_layers=2),
    Gaussian(1.0),
    Training(9, optimizer="adam"),
    Recording(2),
    evaluation=Evaluation(4, sequences=5),
)
DIVERGES = dataclasses.replace(RUN, init=Gaussian(1e30), seed=1)
RECORDED = [0, 2, 4, 6, 8]


class Killed(BaseException):
    """What no handler sees, as a kill: nothing is written after it."""


def job_in(folder, run=RUN, tracking="tensorboard"):
    return Job(run, folder / run.name, tracking=Tracking(tracking))


def files(folder):
    return {
        path.name: path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and not is_event_file(path)
    }


def of_tables(folder, run):
    """The curves as the tables of a run have them."""
    results = rnn_exp.load(folder)
    updates = results.updates[results.updates["run"] == run.name]
    numbers = updates["update"].tolist()
    assert len(numbers) > 0
    return {
        f"updates/{name}": [
            (number, pytest.approx(value, rel=1e-6, nan_ok=True))
            for number, value in zip(numbers, updates[name], strict=True)
        ]
        for name in ("loss", "grad_norm", "learning_rate")
    }


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    folder = tmp_path_factory.mktemp("expected")
    train_jobs([job_in(folder)])
    return points_in(folder / RUN.name)


def test_every_file_of_a_run_has_the_bytes_that_it_has_without_curves(tmp_path):
    for name in ("none", "tensorboard"):
        train_jobs([job_in(tmp_path / name, run, name) for run in (RUN, DIVERGES)])

    for run in (RUN, DIVERGES):
        assert files(tmp_path / "none" / run.name) == files(tmp_path / "tensorboard" / run.name)
        found = [*filter(is_event_file, (tmp_path / "tensorboard" / run.name).iterdir())]
        assert len(found) == 1
        assert not [*filter(is_event_file, (tmp_path / "none" / run.name).iterdir())]


def test_the_curves_are_the_columns_of_the_tables_and_the_rates_those_of_run_json(
    tmp_path, expected
):
    train_jobs([job_in(tmp_path)])
    said = json.loads((tmp_path / RUN.name / "run.json").read_text("utf-8"))

    assert expected.items() >= of_tables(tmp_path, RUN).items()
    rates = expected["layer_1/decay_rate"]
    assert [step for step, _ in rates] == RECORDED
    assert rates[0][1] == pytest.approx(said["decay_rate"])
    assert rates[-1][1] == pytest.approx(said["final"]["decay_rate"])
    assert [step for step, _ in expected["updates/test_loss"]] == [0, 4, 8]


def test_a_run_that_diverges_has_its_last_update_and_no_other_run_has_it(tmp_path):
    later = dataclasses.replace(RUN, training=Training(9, learning_rate=1e6))
    never = dataclasses.replace(later, init=Gaussian(0.0), seed=2)
    train_jobs([job_in(tmp_path, run) for run in (later, never)])

    results = rnn_exp.load(tmp_path)
    assert "diverged" in results.runs["status"].tolist()
    for run in (later, never):
        assert points_in(tmp_path / run.name).items() >= of_tables(tmp_path, run).items()


@pytest.mark.parametrize("due", [(3,), (2, 5), ()])
def test_a_run_that_is_killed_has_each_point_once_when_it_has_gone_on(
    tmp_path, monkeypatch, expected, due
):
    job, seen = job_in(tmp_path), []
    monkeypatch.setattr(checkpoint.Clock, "due", lambda clock: seen[-1] in due)

    def watch(update):
        seen.append(update.number)
        if update.number == 7 and seen.count(7) == 1:
            raise Killed

    with pytest.raises(Killed):
        train_jobs([job], watch)
    assert [step for step, _ in points_in(job.folder)["updates/loss"]] == [0, 2, 4, 6]
    train_jobs([job], watch)

    assert points_in(job.folder) == expected
    assert seen[8] == (max(due) + 1 if due else 0)


def test_a_run_that_is_stopped_between_an_update_and_its_curves_lacks_none(
    tmp_path, monkeypatch, expected
):
    job, track = job_in(tmp_path), saving.Saver.track

    def stopped(saver, update):
        if update.number == 4:
            raise KeyboardInterrupt
        track(saver, update)

    monkeypatch.setattr(saving.Saver, "track", stopped)
    with pytest.raises(KeyboardInterrupt):
        train_jobs([job])
    assert [step for step, _ in points_in(job.folder)["updates/loss"]] == [0, 2, 4]
    monkeypatch.setattr(saving.Saver, "track", track)
    train_jobs([job])

    assert points_in(job.folder) == expected


def test_a_run_that_begins_anew_has_the_curves_of_its_last_training_alone(tmp_path, expected):
    job = job_in(tmp_path)
    train_jobs([job])
    table = job.folder / "updates.parquet"
    table.write_bytes(table.read_bytes()[:-9])

    train_jobs([job])

    assert (job.folder / "aside-1").exists()
    assert points_in(job.folder) == expected


def test_a_run_that_is_there_is_not_trained_again_for_its_curves(tmp_path):
    train_jobs([job_in(tmp_path, tracking="none")])

    [ended] = train_jobs([job_in(tmp_path)])

    assert ended.status == "already there"
    assert not [*filter(is_event_file, (tmp_path / RUN.name).iterdir())]


def test_a_full_disk_costs_the_curves_and_not_the_run(tmp_path, monkeypatch, caplog):
    log, tried = TensorBoard.log, []

    def full(board, step, values):
        tried.append(step)
        if step == 4:
            raise OSError(28, "No space left on device")
        log(board, step, values)

    monkeypatch.setattr(TensorBoard, "log", full)
    with caplog.at_level(logging.WARNING):
        [ended] = train_jobs([job_in(tmp_path)])

    assert (ended.status, tried) == ("finished", [0, 2, 4])
    [said] = [line for line in caplog.messages if "curves" in line]
    assert said.endswith("as they could not be written: [Errno 28] No space left on device")


def test_runs_that_record_nothing_new_cost_no_curve(tmp_path, monkeypatch):
    asked, recorded = [], Chunk.recorded

    def count(chunk, run, update):
        asked.append(update.number)
        return recorded(chunk, run, update)

    monkeypatch.setattr(Chunk, "recorded", count)
    train_jobs([job_in(tmp_path, tracking="none")])
    assert asked == []


SMALL = ("task.length=6", "network.hidden_size=4", "training.updates=4", "recording.every=2")


def test_a_sweep_that_is_tracked_is_the_sweep_that_is_not(tmp_path):
    words = ("-m", *SMALL, "seed=0,1")
    plain, tracked = tmp_path / "plain", tmp_path / "tracked"
    plain.mkdir()
    tracked.mkdir()

    assert type_words(plain, *words, "hydra.launcher.processes=1").code == 0
    ended = type_words(tracked, *words, "hydra.launcher.processes=2", "tracking=tensorboard")

    assert ended.code == 0
    [before, after] = [sorted(each.glob("outputs/*/*/run.json")) for each in (plain, tracked)]
    assert [path.relative_to(plain) for path in before] == [
        path.relative_to(tracked) for path in after
    ]
    for one, other in zip(before, after, strict=True):
        for name in ("updates.parquet", "gradients.parquet", "weights.safetensors"):
            assert (one.parent / name).read_bytes() == (other.parent / name).read_bytes()
        assert [step for step, _ in points_in(other.parent)["updates/loss"]] == [0, 2, 3]
        said = [json.loads(path.read_text("utf-8")) for path in (one, other)]
        assert said[0]["command"] == said[1]["command"]
        assert said[0]["digest"] == said[1]["digest"]
    again = type_words(plain, *words, "tracking=tensorboard")
    assert "2 already there" in again.out
    assert type_words(tracked, "--verify", "outputs", function=status).code == 0


def test_a_sweep_that_is_tracked_and_is_not_is_refused_in_a_line(tmp_path):
    ended = command(tmp_path, "-m", *SMALL, "tracking=none,tensorboard")

    assert ended.is_refusal
    assert ended.err == (
        "rnn-exp: tracking=none,tensorboard is not possible: allowed is one for the whole sweep\n"
    )


def test_without_the_package_a_command_is_refused_in_a_line(tmp_path, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)

    for words in ((), ("-m", "seed=0,1")):
        ended = command(tmp_path, *SMALL, *words, "tracking=tensorboard")

        assert ended.is_refusal
        assert "pip install 'rnn-exp[tensorboard]' brings it" in ended.err


def test_a_job_takes_its_tracking_to_another_process(tmp_path):
    job = job_in(tmp_path)
    assert ForkingPickler.loads(ForkingPickler.dumps(job)) == job
    assert job.tracking.is_wanted


def test_a_single_run_and_hydras_own_launcher_are_tracked_as_well(tmp_path):
    for words in ((), ("-m", "hydra/launcher=basic", "seed=1")):
        assert type_words(tmp_path, *SMALL, *words, "tracking=tensorboard").code == 0

    found = [path.parent for path in tmp_path.rglob("*tfevents*")]
    assert len(found) == 2
    assert all(points_in(folder)["layer_0/decay_rate"] for folder in found)


def test_from_python_curves_go_into_the_folder_and_nowhere_without_one(tmp_path):
    runs = rnn_exp.grid(length=6, hidden_size=4, updates=2, seed=range(2))

    rnn_exp.train(runs, tmp_path, tracking="tensorboard")

    assert len([*tmp_path.glob("*/*tfevents*")]) == 2
    with pytest.raises(
        SettingError,
        match=r"^tracking=tensorboard is not possible: allowed is none without a folder$",
    ):
        rnn_exp.train(runs, tracking="tensorboard")
