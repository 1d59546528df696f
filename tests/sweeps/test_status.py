"""The status of sweeps and runs, read from their folders alone."""

import json
import math
import os
import signal
import subprocess
import sys
import time

import pytest

from rnn_exp.commands import status as command
from rnn_exp.schema import KERNEL
from rnn_exp.storage.files import held, is_held
from rnn_exp.sweeps import overview as looking
from rnn_exp.sweeps import run_list, status
from rnn_exp.sweeps.overview import overview
from rnn_exp.sweeps.run_list import write_run_list
from rnn_exp.sweeps.status import (
    ChunkProgress,
    Heartbeat,
    SweepStatus,
    chunks_in_training,
    status_parts,
    sweep_status,
    worked_on,
)
from tests.sweeps.test_progress import Pseudoterminal

COMMAND = "rnn-exp -m seed=0,1"


def write_run(folder, status, **more):
    """A run.json with what the status of a run is made of."""
    folder.mkdir(parents=True, exist_ok=True)
    said = {"status": status, "command": "rnn-exp seed=1", "settings": {"training.updates": 200}}
    (folder / "run.json").write_text(json.dumps(said | more))


def lines(folder):
    """What the command says of a folder, without the folder's own path."""
    return [
        each.line.replace(f"{folder}/", "").replace(f"{folder}: ", "") for each in overview(folder)
    ]


def put(sweep, name, status, when=None):
    (sweep / name).mkdir()
    (sweep / name / "run.json").write_text(json.dumps({"status": status}))
    if when is not None:
        os.utime(sweep / name / "run.json", (when, when))


def test_the_status_of_a_sweep_is_what_its_run_json_files_say(tmp_path):
    write_run_list(tmp_path, ["a", "b", "c", "d", "e", "f"], COMMAND)
    for name, how in {
        "a": "finished",
        "b": "diverged",
        "c": "failed",
        "d": "running",
        "another": "finished",
    }.items():
        put(tmp_path, name, how)
    (tmp_path / "e").mkdir()
    (tmp_path / "e" / "run.json").write_text("{")

    now = sweep_status(tmp_path)

    assert (now.runs, now.done, now.diverged, now.failed, now.left) == (6, 2, 1, 1, 3)
    assert (now.training, now.seconds_left) == (0, None)
    assert status_parts(now) == ["2/6 done", "1 failed", "1 diverged", "3 left"]
    assert (now.in_progress, now.command) == (False, COMMAND)


def test_speed_counts_what_ended_since_the_sweep_began_and_what_is_in_training(
    tmp_path, monkeypatch
):
    begun = time.time()  # files have times of the system's clock
    clock = [begun]
    for module in (status, run_list):
        monkeypatch.setattr(module, "time", lambda: clock[0])
    put(tmp_path, "old", "finished", when=begun - 1000)
    write_run_list(tmp_path, ["old", *"abcdefg"], COMMAND)
    put(tmp_path, "a", "finished", when=begun + 10)
    put(tmp_path, "b", "failed", when=begun + 20)
    Heartbeat(tmp_path, "chunk-1", updates=4).write(made=2, runs=4)
    clock[0] = begun + 30

    with held(tmp_path, patience=0):
        now = sweep_status(tmp_path)

    # Two runs ended and four are half done, a quarter since the sweep began: three in half a
    # minute, and 5 - 2 to go.
    assert (now.training, now.in_progress) == (4, True)
    assert now.per_minute == pytest.approx(6)
    assert now.seconds_left == pytest.approx(30)
    assert status_parts(now) == ["2/8 done", "0:30 to go", "1 failed", "5 left", "6.0/min"]


def test_a_heartbeat_that_is_a_minute_old_counts_no_more(tmp_path):
    for name, age in (("recent", 0), ("old", 61)):
        heartbeat = Heartbeat(tmp_path, name, updates=4)
        heartbeat.write(made=2, runs=1)
        when = time.time() - age
        os.utime(heartbeat.path, (when, when))

    assert chunks_in_training(tmp_path) == [ChunkProgress("recent", 1, 0.5, 0.25)]


def test_hours_are_told_as_hours_and_slow_sweeps_have_a_speed():
    now = SweepStatus(9, 0, 0, 0, 9, per_minute=0.013, seconds_left=3600 * 2 + 61.0)

    assert status_parts(now) == ["0/9 done", "2:01:01 to go", "9 left", "0.013/min"]


def test_the_command_says_in_a_line_how_a_sweep_stands_without_torch(tmp_path):
    write_run_list(tmp_path, ["a", "b"], COMMAND)
    put(tmp_path, "a", "finished")
    code = (
        "import sys; sys.argv = ['rnn-exp-status', sys.argv[1]]; import rnn_exp.commands as s\n"
        "s.status(); assert not {'torch', 'pandas', 'hydra'} & set(sys.modules)"
    )

    ended = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True
    )

    assert ended.stdout == (
        f"{tmp_path}: stopped: 1 of 2 done, 1 left; start the same command again: {COMMAND}\n"
    )


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (None, "there are no runs in {} (no sweep.json, no run.json)"),
        ("{", "{}/sweep.json is damaged ("),
        ("[]", "{}/sweep.json is damaged ("),
        ("[" * 99999, "{}/sweep.json is damaged ("),
    ],
)
def test_a_folder_that_is_no_sweep_is_refused_in_a_line(
    tmp_path, monkeypatch, capsys, content, expected
):
    if content is not None:
        (tmp_path / "sweep.json").write_text(content)
    monkeypatch.setattr(sys, "argv", ["rnn-exp-status", str(tmp_path)])

    with pytest.raises(SystemExit, match=r"^rnn-exp-status: ") as ended:
        command()

    assert str(ended.value).startswith("rnn-exp-status: " + expected.format(tmp_path))


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"there is no folder .*nowhere"):
        sweep_status(tmp_path / "nowhere")


def test_a_sweep_in_progress_says_so_and_one_that_was_stopped_how_to_go_on(tmp_path):
    sweep = tmp_path / "decay"
    sweep.mkdir()
    write_run_list(sweep, ["a", "b", "c"], COMMAND)
    put(sweep, "a", "finished")
    Heartbeat(sweep, "chunk-0", updates=4).write(made=1, runs=2)

    with held(sweep, patience=0):
        [now] = overview(sweep)
    assert now.in_progress
    assert now.parts[0] == "1/3 done"
    assert now.parts[-1] == "2 in training"

    # Its heartbeat is recent, as after a kill, but nobody holds the folder.
    assert lines(sweep) == [
        f"stopped: 1 of 3 done, 2 left; start the same command again: {COMMAND}"
    ]
    put(sweep, "b", "diverged")
    put(sweep, "c", "failed")
    assert lines(sweep) == [
        "2/3 done, 1 failed, 1 diverged; all have ended; "
        f"the same command tries the failed ones again: {COMMAND}"
    ]
    (sweep / "c" / "run.json").write_text('{"status": "solved"}')
    assert lines(sweep) == ["3/3 done, 1 diverged; all have ended"]


def test_of_a_stopped_sweep_it_is_told_what_kernels_of_another_version_have_begun(tmp_path):
    sweep = tmp_path / "decay"
    sweep.mkdir()
    write_run_list(sweep, ["a", "b", "c"], COMMAND)
    for name, how, version in (
        ("a", "finished", 1),
        ("b", "running", 1),
        ("c", "running", None),
    ):
        put(sweep, name, how)
        said = {"status": how, "network": {"kernel": version}}
        (sweep / name / "run.json").write_text(json.dumps(said))

    [now] = overview(sweep)

    assert now.parts[-1] == "1 begins anew (kernels of another version began)"


def test_a_run_alone_is_told_done_failed_in_training_or_stopped(tmp_path):
    run = tmp_path / "own"
    write_run(run, "finished", message="finished; at update 0 the gradient is vanishing")
    assert lines(run) == ["finished; at update 0 the gradient is vanishing"]
    write_run(run, "finished")  # of a format without the message
    assert lines(run) == ["finished"]

    again = f"start the same command again: rnn-exp seed=1 hydra.run.dir={run}"
    write_run(run, "failed", failure="No space left on device")
    assert lines(run) == [f"failed: No space left on device; {again}"]

    write_run(run, "running")
    assert lines(run) == [f"stopped; {again}"]
    write_run(run, "running", network={"kernel": KERNEL.version - 1})
    assert lines(run) == [f"stopped; {again} (it begins anew: kernels of another version began)"]
    write_run(run, "running", network={"kernel": KERNEL.version})
    assert lines(run) == [f"stopped; {again}"]
    with held(run, patience=0):
        assert lines(run) == ["in training"]
        when = time.time() - 60
        os.utime(run / "run.json", (when, when))
        Heartbeat(run, "run", updates=200).write(made=51, runs=1)
        [now] = overview(run)
    # One update was seen in a minute.
    assert now.parts[0] == "51/200 updates"
    assert now.parts[1].startswith("2:29:")
    assert now.parts[2] == "in training"


def test_the_folder_in_a_command_is_written_as_hydra_and_the_shell_read_it(tmp_path):
    run = tmp_path / "it's mine"
    write_run(run, "running")

    [line] = lines(run)

    word = line.partition("hydra.run.dir=")[2]
    told = subprocess.run(
        f"printf %s 'hydra.run.dir={word}", shell=True, capture_output=True, text=True, check=True
    ).stdout
    escaped = str(run).replace("'", "\\'")
    assert told == f"hydra.run.dir='{escaped}'"


def test_of_a_folder_of_several_every_sweep_has_a_line_and_its_runs_one_together(tmp_path):
    for name in ("a", "b"):
        write_run(tmp_path / "outputs" / "single" / name, "finished", message="finished; …")
    write_run(tmp_path / "outputs" / "single" / "c", "running")
    (tmp_path / "outputs" / "single" / "d").mkdir()
    (tmp_path / "outputs" / "single" / "d" / "run.json").write_text("{")
    for name in ("decay", "deep/cells"):
        sweep = tmp_path / "outputs" / name
        sweep.mkdir(parents=True)
        write_run_list(sweep, ["x"], COMMAND)
        put(sweep, "x", "finished")
    (tmp_path / "outputs" / "broken").mkdir()
    (tmp_path / "outputs" / "broken" / "sweep.json").write_text("{")

    told = lines(tmp_path)

    broken = tmp_path / "outputs" / "broken" / "sweep.json"
    run = tmp_path / "outputs" / "single" / "d" / "run.json"
    assert [each.replace(f"{tmp_path}/", "") for each in told] == [
        each.replace(f"{tmp_path}/", "")
        for each in (
            f"outputs/broken: {broken} is damaged (Expecting property name enclosed in double "
            "quotes: line 1 column 2 (char 1)); the same command writes it anew",
            "outputs/decay: 1/1 done; all have ended",
            "outputs/deep/cells: 1/1 done; all have ended",
            "outputs/single: 4 runs, 1 broken, 2 done, 1 stopped",
            "outputs/single/c: stopped; start the same command again: rnn-exp seed=1 "
            "hydra.run.dir=outputs/single/c",
            f"outputs/single/d: {run} cannot be read (JSONDecodeError)",
        )
    ]


def test_everything_below_is_found_as_a_results_folder_is_loaded(tmp_path):
    deep = tmp_path / "1" / "2" / "3" / "4" / "5" / "6" / "7"
    write_run(deep / "run", "finished", message="finished")
    write_run(tmp_path / "report" / "run", "failed")
    (tmp_path / "1" / "up").symlink_to(tmp_path)
    (tmp_path / "self").symlink_to(tmp_path / "self")
    write_run(tmp_path / "theirs" / "T10" / "a", "finished", message="finished")
    write_run(tmp_path / "theirs" / "T20" / "b", "finished", message="finished")
    (tmp_path / "theirs" / "multirun.yaml").write_text("")  # of a launcher that lists no runs

    assert lines(tmp_path) == ["theirs: 2 runs, 2 done", "1/2/3/4/5/6/7: 1 run, 1 done"]
    assert [each.parts for each in overview(tmp_path / "theirs")] == [("2 runs", "2 done")]


def test_a_folder_that_cannot_be_looked_into_stops_no_other(tmp_path, monkeypatch):
    write_run(tmp_path / "a" / "run", "finished", message="finished")
    (tmp_path / "closed").mkdir()
    allowed = os.access
    monkeypatch.setattr(
        os, "access", lambda path, mode: "closed" not in str(path) and allowed(path, mode)
    )

    told = lines(tmp_path)

    assert "closed: it cannot be looked into" in told
    assert "a: 1 run, 1 done" in told


def test_a_pipe_in_the_place_of_run_json_is_a_broken_run(tmp_path):
    (tmp_path / "a").mkdir()
    os.mkfifo(tmp_path / "a" / "run.json")

    [together, alone] = lines(tmp_path)

    assert together == "1 run, 1 broken"
    assert alone.startswith("a: ")


def test_a_time_without_end_stops_no_line(tmp_path):
    assert status.clock(math.inf) == status.clock(math.nan) == "thousands of years"
    (tmp_path / "s" / ".progress").mkdir(parents=True)
    write_run_list(tmp_path / "s", ["a"], COMMAND)
    how_far = {"runs": 1, "fraction": 1e-320, "start": 0.0}
    (tmp_path / "s" / ".progress" / "chunk-0.json").write_text(json.dumps(how_far))

    with held(tmp_path / "s", patience=0):
        [line] = lines(tmp_path)

    assert "thousands of years to go" in line


def test_the_heartbeat_of_runs_at_an_earlier_update_is_seen_after_those_of_a_later(tmp_path):
    beat = Heartbeat(tmp_path, "chunk-0", updates=10)
    for made in (8, 9, 10):  # of runs that go on from a checkpoint
        beat.write(made, runs=2)
    for made in (1, 2):  # of those that have none
        beat.write(made, runs=3)

    assert chunks_in_training(tmp_path) == [ChunkProgress("chunk-0", 3, 0.1, 0.0)]


def test_control_characters_of_a_folder_do_not_reach_the_terminal(tmp_path):
    write_run(tmp_path / "a\x1b[31mb", "finished")

    assert "\x1b" not in "".join(each.line for each in overview(tmp_path / "a\x1b[31mb"))


def test_a_lock_of_a_killed_process_is_not_held_and_looking_changes_nothing(tmp_path):
    code = (
        "import sys, time; from pathlib import Path; from rnn_exp.storage.files import held\n"
        "with held(Path(sys.argv[1]), patience=0):\n"
        "    print('holds', flush=True); time.sleep(9999)"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    with holder:
        assert holder.stdout.readline() == "holds\n"
        assert is_held(tmp_path)
        assert is_held(tmp_path)
        holder.send_signal(signal.SIGKILL)
    assert [path.name for path in tmp_path.iterdir()] == [".lock"]
    assert not is_held(tmp_path)
    assert not is_held(tmp_path / "nowhere")


def watched(monkeypatch, folder, *looks):
    """Call ``rnn-exp-status --watch``; before each further look one of these is called."""
    left = [*looks]
    monkeypatch.setattr(sys, "argv", ["rnn-exp-status", str(folder), "--watch"])
    monkeypatch.setattr(looking, "sleep", lambda _: left.pop(0)())
    command()
    assert left == []


def test_watching_prints_a_line_when_there_is_news_until_all_is_done(tmp_path, monkeypatch, capsys):
    write_run_list(tmp_path, ["a", "b"], COMMAND)
    lock = held(tmp_path, patience=0)
    lock.__enter__()

    def end():
        put(tmp_path, "b", "finished")
        lock.__exit__(None, None, None)

    watched(
        monkeypatch,
        tmp_path,
        lambda: None,
        lambda: put(tmp_path, "a", "finished"),
        lambda: None,
        end,
    )

    first, second, last = capsys.readouterr().out.splitlines()
    assert first == f"{tmp_path}: 0/2 done, 2 left, in progress"
    assert second.startswith(f"{tmp_path}: 1/2 done, 1 left, ")
    assert last == f"{tmp_path}: 2/2 done; all have ended"


def test_watching_draws_one_line_on_a_terminal(tmp_path, monkeypatch):
    write_run_list(tmp_path, ["a"], COMMAND)
    lock, terminal = held(tmp_path, patience=0), Pseudoterminal(60)
    lock.__enter__()
    monkeypatch.setattr(sys, "stdout", terminal.stream)

    watched(monkeypatch, tmp_path, lambda: None, lambda: lock.__exit__(None, None, None))

    told = terminal.lines()
    assert told[0].endswith(": 0/1 done, 1 left, in progress")
    assert told[0] == told[1]
    assert len(told[0]) < 60
    assert terminal.text.count("\n") == 2  # after the line, and after the last word


def test_ctrl_c_ends_watching_with_its_exit_code(tmp_path, monkeypatch, capsys):
    write_run_list(tmp_path, ["a"], COMMAND)

    def interrupt():
        raise KeyboardInterrupt

    with held(tmp_path, patience=0), pytest.raises(SystemExit) as ended:
        watched(monkeypatch, tmp_path, interrupt)

    assert ended.value.code == 130
    assert capsys.readouterr().out.count("\n") == 1


def test_watching_what_is_done_ends_at_once(tmp_path, monkeypatch, capsys):
    write_run(tmp_path, "finished", message="finished; well")

    watched(monkeypatch, tmp_path)

    assert capsys.readouterr().out == f"{tmp_path}: finished; well\n"


def test_the_command_says_its_versions(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["rnn-exp-status", "--version"])

    with pytest.raises(SystemExit) as ended:
        command()

    assert ended.value.code == 0
    assert capsys.readouterr().out.startswith("rnn-exp 0.")


def test_what_killed_processes_left_in_a_sweep_is_gone_after_it_and_at_the_next_start(tmp_path):
    half = tmp_path / status.FOLDER / ".chunk-0.json.ab12.part"
    names = (tmp_path / ".sweep.json.cd34.part", tmp_path / status.FOLDER / "chunk-0.json", half)

    def leave() -> None:
        half.parent.mkdir(exist_ok=True)
        for path in names:
            path.write_text("{}")

    leave()
    with worked_on(tmp_path):
        assert not any(path.exists() for path in (*names, half.parent))
        leave()  # workers that are killed meanwhile
    assert [*tmp_path.iterdir()] == []


def test_what_workers_left_is_gone_after_a_sweep_that_was_interrupted(tmp_path):
    def work() -> None:
        with worked_on(tmp_path):
            (tmp_path / status.FOLDER).mkdir()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        work()
    assert [*tmp_path.iterdir()] == []
