"""Killed at any moment and started again, a sweep ends as if it had never been interrupted.

RNN_EXP_KILLS says how many kills; `make slow` has many.
"""

import functools
import os
import random
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import pytest

import rnn_exp
from tests._hydra.test_app import Command, begin, files, tables
from tests._hydra.test_sweep import of_runs, runs
from tests.dose import dose
from tests.waiting import wait_until

KILLS = int(os.environ.get("RNN_EXP_KILLS", "4"))
SWEEP = (
    "-m",
    "task.length=10,12",
    "network.hidden_size=8",
    f"training.updates={dose(400, 1000)}",
    "training.optimizer=adam",
    "seed=0,1",
    "init.gain=0.5,1",
    "hydra.sweep.dir=grid",
    "hydra.launcher.checkpoint_seconds=0",
)
LONGEST = dose(1, 6)  # seconds until a sweep of two processes is killed
LEFTOVERS = (".part", ".lock", ".progress", "unfinished")


class Sweep(NamedTuple):
    """The words of a sweep, the tables of each run without a kill, and how often it is killed."""

    words: tuple[str, ...]
    expected: dict[str, dict[str, str]]
    kills: int


@pytest.fixture(scope="module", params=["kernel", pytest.param("scan", marks=pytest.mark.slow)])
def sweep(request, tmp_path_factory) -> Sweep:
    """The sweep by an engine; the one in torch is killed a quarter as often."""
    folder = tmp_path_factory.mktemp("expected")
    words = (*SWEEP, f"network.engine={request.param}")
    assert begin(folder, *words).wait().code == 0
    expected = {name: tables(run) for name, run in runs(folder).items()}
    return Sweep(words, expected, KILLS if request.param == "kernel" else max(4, KILLS // 4))


def statuses(folder: Path) -> dict[str, str]:
    """Every run's status, as loading finds it."""
    if not [*folder.rglob("run.json")]:
        return {}
    results = rnn_exp.load(folder / "grid")
    assert set(results.broken["why"].str.contains("run.json")) <= {True}  # killed before that
    return dict(zip(results.runs["run"].astype(str), results.runs["status"], strict=True))


def check_whole(folder: Path, expected: dict[str, dict[str, str]]) -> None:
    """Check that a sweep that has ended by itself left what an uninterrupted one leaves."""
    assert {name: tables(run) for name, run in runs(folder).items()} == expected
    assert set(statuses(folder).values()) == {"finished"}
    assert [path for path in folder.rglob("*") if path.name.endswith(LEFTOVERS)] == []


def trains_or_ended(command: Command, folder: Path) -> bool:
    """Whether a run of the sweep has a checkpoint, or the command has ended."""
    return bool([*folder.rglob("checkpoint.safetensors")]) or not command.process.is_alive()


@pytest.mark.kills
@pytest.mark.parametrize("processes", [pytest.param(1, marks=pytest.mark.slow), 2])
def test_a_sweep_killed_at_random_moments_ends_as_if_it_had_not_been(
    tmp_path, sweep, processes, attempts
):
    words = (*sweep.words, f"hydra.launcher.processes={processes}")
    draws, kills, lives = random.Random(processes), 0, 0
    while kills < (3 * sweep.kills // 4 if processes == 1 else sweep.kills // 4):  # those are long
        folder = tmp_path / str(lives)
        folder.mkdir(exist_ok=True)
        before = {name for name, status in statuses(folder).items() if status == "finished"}
        command = begin(folder, *words)
        if kills % 2 == 0:  # in the middle of training, however slow the machine is
            wait_until(functools.partial(trains_or_ended, command, folder), "a run trains")
        command.process.join(draws.uniform(0.0, 2.0 if processes == 1 else LONGEST))
        if command.process.is_alive():
            with attempts.of("kills of the command and its processes"):
                command.kill(signal.SIGKILL)
                kills += 1
                after = statuses(folder)
                assert before <= {name for name, status in after.items() if status == "finished"}
            continue
        assert command.wait().code == 0
        check_whole(folder, sweep.expected)
        lives += 1
    (tmp_path / str(lives)).mkdir(exist_ok=True)
    assert begin(tmp_path / str(lives), *words).wait().code == 0
    check_whole(tmp_path / str(lives), sweep.expected)
    resumed = [log for log in tmp_path.rglob("run.log") if "going on" in log.read_text()]
    assert sweep.kills < 40 or resumed  # some went on from the middle


def descendants(pid: int) -> list[list[int]]:
    """The processes that one has started, and those that these have started, and so on."""
    parents: dict[int, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # it has just ended
            parent = int(path.read_text().rpartition(")")[2].split()[1])
            parents.setdefault(parent, []).append(int(path.parent.name))
    levels, level = [], [pid]
    while level := [child for each in level for child in parents.get(each, [])]:
        levels.append(level)
    return levels


def has_workers_or_ended(command: Command) -> bool:
    return not command.process.is_alive() or len(descendants(command.process.pid)) > 1


def end(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


@pytest.mark.kills
@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
@pytest.mark.parametrize(
    "victim",
    [
        pytest.param("fork server", marks=pytest.mark.slow),
        "worker",
        pytest.param("group", marks=pytest.mark.slow),
    ],
)
def test_a_sweep_ends_as_if_nothing_had_been_whichever_of_its_processes_is_killed(
    tmp_path, sweep, attempts, victim
):
    words = (*sweep.words, "hydra.launcher.processes=2")
    draws = random.Random(victim)
    for number in range(max(1, sweep.kills // 6)):
        folder = tmp_path / str(number)
        folder.mkdir()
        with attempts.of(f"kills of a {victim}"):
            command = begin(folder, *words)
            wait_until(functools.partial(has_workers_or_ended, command), "there are workers")
            time.sleep(draws.uniform(0.0, dose(1, 4)))
            levels = [*descendants(command.process.pid), [], []]
            everyone = [pid for level in levels for pid in level]
            killed = {"fork server": levels[0], "worker": levels[1][:1], "group": everyone}
            for pid in killed[victim]:
                end(pid)
            if victim == "group":
                command.kill(signal.SIGKILL)
                command = begin(folder, *words)
            ended = command.wait()
            assert ended.code == 0, ended.err
            check_whole(folder, sweep.expected)


@pytest.mark.parametrize("engine", ["scan", "kernel"])
def test_a_single_run_killed_in_the_middle_goes_on_from_its_checkpoint(tmp_path, engine):
    words = (
        f"network.engine={engine}",
        "task.length=30",
        "training.updates=400",
        "network.hidden_size=8",
        "seed=3",
        "training.optimizer=rmsprop",
        "hydra.launcher.checkpoint_seconds=0",
    )
    command = begin(tmp_path, *words, "hydra.run.dir=own")
    checkpoint = tmp_path / "own" / "unfinished" / "checkpoint.safetensors"
    command.wait_until(checkpoint.exists, "there is a checkpoint")
    command.kill(signal.SIGKILL)
    assert not (tmp_path / "own" / "gradients.parquet").exists()

    again = begin(tmp_path, *words[:-1], "hydra.run.dir=own").wait()

    assert again.code == 0
    assert "going on after update " in (tmp_path / "own" / "run.log").read_text()
    assert begin(tmp_path, *words[:-1], "hydra.run.dir=alone").wait().code == 0
    assert tables(tmp_path / "own") == tables(tmp_path / "alone")
    assert set(of_runs(files(tmp_path / "own"))) == set(files(tmp_path / "alone"))


def test_a_polite_kill_is_as_ctrl_c(tmp_path):
    command = begin(
        tmp_path, "training.updates=100000", "network.hidden_size=8", "hydra.run.dir=own"
    )
    command.wait_until((tmp_path / "own" / "run.json").exists, "the run has begun")

    os.kill(command.process.pid, signal.SIGTERM)
    ended = command.wait()

    assert ended.code == 130
    assert ended.err.endswith("the same command goes on from there\n")


@pytest.mark.parametrize(
    "words",
    [
        ("-m", "seed=0,1", "hydra.launcher.processes=1", "hydra.sweep.dir=grid"),
        ("-m", "network.num_layers=1,2", "hydra.launcher.processes=2", "hydra.sweep.dir=grid"),
        ("hydra.run.dir=grid",),
    ],
    ids=["here", "processes", "single"],
)
def test_ctrl_c_stops_between_updates_and_the_same_command_goes_on(tmp_path, words):
    long = ("task.length=30", "training.updates=100000", "network.hidden_size=8")
    command = begin(tmp_path, *words, *long, "hydra.launcher.checkpoint_seconds=0.2")
    command.wait_until(lambda: [*tmp_path.rglob("checkpoint.safetensors")], "there is a checkpoint")

    ended = command.interrupt()

    assert ended.code == 130
    assert ended.err.endswith("rnn-exp: stopped; the same command goes on from there\n")
    assert "Traceback" not in ended.err
    assert [*tmp_path.rglob("checkpoint.safetensors")]
    found = rnn_exp.load(tmp_path / "grid").runs
    assert set(found["status"]) == {"running"}

    again = begin(tmp_path, *words, *long)
    again.wait_until(
        lambda: any(
            "going on after update" in log.read_text() for log in tmp_path.rglob("run.log")
        ),
        "a run goes on",
    )
    again.kill(signal.SIGKILL)
