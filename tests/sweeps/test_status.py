"""The status of a sweep, read from its folders alone."""

import json
import os
import subprocess
import sys
import time

import pytest

from rnn_exp.sweeps import status
from rnn_exp.sweeps.status import (
    ChunkProgress,
    Heartbeat,
    SweepStatus,
    chunks_in_training,
    status_line,
    sweep_status,
)


def put(sweep, name, status, when=None):
    (sweep / name).mkdir()
    (sweep / name / "run.json").write_text(json.dumps({"status": status}))
    if when is not None:
        os.utime(sweep / name / "run.json", (when, when))


def test_the_status_of_a_sweep_is_what_its_run_json_files_say(tmp_path):
    status.write_run_list(tmp_path, ["a", "b", "c", "d", "e", "f"])
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
    assert status_line(now) == "2/6 done, 1 diverged, 1 failed, 3 left"


def test_speed_counts_what_ended_since_the_sweep_began_and_what_is_in_training(
    tmp_path, monkeypatch
):
    begun = time.time()  # files have times of the system's clock
    clock = [begun]
    monkeypatch.setattr(status, "time", lambda: clock[0])
    put(tmp_path, "old", "finished", when=begun - 1000)
    status.write_run_list(tmp_path, ["old", *"abcdefg"])
    put(tmp_path, "a", "finished", when=begun + 10)
    put(tmp_path, "b", "failed", when=begun + 20)
    Heartbeat(tmp_path, "chunk-1", updates=4).write(made=2, runs=4)
    clock[0] = begun + 30

    now = sweep_status(tmp_path)

    # Two runs ended and four are half done: four in half a minute, and 5 - 2 to go.
    assert now.training == 4
    assert now.per_minute == pytest.approx(8)
    assert now.seconds_left == pytest.approx(22.5)
    assert status_line(now) == "2/8 done, 0 diverged, 1 failed, 5 left, 8.0/min, 0:22 to go"


def test_a_heartbeat_that_is_a_minute_old_counts_no_more(tmp_path):
    for name, age in (("recent", 0), ("old", 61)):
        heartbeat = Heartbeat(tmp_path, name, updates=4)
        heartbeat.write(made=2, runs=1)
        when = time.time() - age
        os.utime(heartbeat.path, (when, when))

    assert chunks_in_training(tmp_path) == [ChunkProgress("recent", 1, 0.5)]


def test_hours_are_told_as_hours():
    now = SweepStatus(9, 0, 0, 0, 9, per_minute=0.1, seconds_left=3600 * 2 + 61.0)

    assert status_line(now).endswith("0.1/min, 2:01:01 to go")


def test_the_command_says_in_a_line_how_a_sweep_stands_without_torch(tmp_path):
    status.write_run_list(tmp_path, ["a", "b"])
    put(tmp_path, "a", "finished")
    code = (
        "import sys; sys.argv = ['rnn-exp-status', sys.argv[1]]; import rnn_exp.commands as s\n"
        "s.status(); assert not {'torch', 'pandas', 'hydra'} & set(sys.modules)"
    )

    ended = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True
    )

    assert ended.stdout == (
        f"{tmp_path}: 1/2 done, 0 diverged, 0 failed, 1 left; nothing is in training\n"
    )


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (None, "there is no sweep in {} (no sweep.json)"),
        ("{", "{}/sweep.json cannot be read (JSONDecodeError)"),
        ("[]", "{}/sweep.json cannot be read (TypeError)"),
    ],
)
def test_a_folder_that_is_no_sweep_is_refused_in_a_line(
    tmp_path, monkeypatch, capsys, content, expected
):
    from rnn_exp.commands import status as main

    if content is not None:
        (tmp_path / "sweep.json").write_text(content)
    monkeypatch.setattr(sys, "argv", ["rnn-exp-status", str(tmp_path)])

    with pytest.raises(SystemExit, match=r"^rnn-exp-status: ") as ended:
        main()

    assert str(ended.value) == "rnn-exp-status: " + expected.format(tmp_path)


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"there is no folder .*nowhere"):
        sweep_status(tmp_path / "nowhere")
