"""A disk that is full, or that may not be written: one line, nothing wrong is left behind."""

import resource
import subprocess
from pathlib import Path

import pytest

import rnn_exp
from tests._hydra.test_app import begin, files, start, tables
from tests._hydra.test_sweep import runs
from tests.waiting import wait_until

SWEEP = (
    "-m",
    "task.length=100",
    "network.hidden_size=8",
    "training.updates=30",
    "recording.every=1",
    "seed=0,1,2",
    "hydra.sweep.dir=grid",
)


@pytest.fixture
def small_disk(tmp_path):
    """A folder on a file system of its own with room for one run and a half."""
    place = tmp_path / "disk"
    place.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", str(place)],
        capture_output=True,
        check=False,
    )
    if made.returncode:
        pytest.skip("no file system may be mounted here")
    yield place
    unmount = ["umount", str(place)]  # a process that has just ended may still be in the folder
    wait_until(
        lambda: subprocess.run(unmount, capture_output=True, check=False).returncode == 0,
        "the small disk is unmounted",
    )


@pytest.mark.parametrize("processes", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_on_a_full_disk_what_fits_is_kept_and_the_rest_is_named(small_disk, tmp_path, processes):
    words = (*SWEEP, "network.activation=tanh,relu", f"hydra.launcher.processes={processes}")

    ended = begin(small_disk, *words).wait()

    assert ended.code == 1
    assert "No space left on device" in ended.err
    assert ended.err.splitlines()[-1].endswith("runs failed; the same command tries them again")
    assert "Traceback" not in ended.err
    results = rnn_exp.load(small_disk / "grid")
    finished = set(results.runs["run"][results.runs["status"] == "finished"].astype(str))
    assert len(results.gradients) == 3000 * len(finished)
    assert start(tmp_path, *words).code == 0
    expected = {name: tables(run) for name, run in runs(tmp_path / "grid").items()}
    for name in finished:
        assert tables(small_disk / "grid" / name) == expected[name]

    subprocess.run(["mount", "-o", "remount,size=20m", str(small_disk)], check=True)

    assert begin(small_disk, *words).wait().code == 0
    assert {name: tables(run) for name, run in runs(small_disk).items()} == expected
    assert not list(small_disk.rglob(".*.part"))


def _quota() -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))


def test_a_file_beyond_the_quota_fails_its_run_alone(tmp_path):
    words = (
        "-m",
        "network.hidden_size=8",
        "training.updates=30",
        "recording.every=1",
        "task.length=5,100",
        "hydra.sweep.dir=grid",
    )

    ended = start(tmp_path, *words, prepare=_quota)

    assert ended.code == 1
    assert "task.length=100" in ended.err
    assert "File too large" in ended.err
    statuses = rnn_exp.load(tmp_path / "grid").runs.set_index("task.length")["status"]
    assert statuses.to_dict() == {5: "finished", 100: "failed"}


def test_without_room_for_checkpoints_training_goes_on(tmp_path):
    words = ("task.length=10", "network.hidden_size=64", "training.updates=20")

    ended = start(
        tmp_path,
        *words,
        "hydra.run.dir=own",
        "hydra.launcher.checkpoint_seconds=0",
        prepare=_smaller_than_a_checkpoint,
    )

    assert ended.code == 1  # the weights do not fit either, and say so
    assert "File too large" in ended.err
    assert "no checkpoint could be written" in (tmp_path / "own" / "run.log").read_text()


def _smaller_than_a_checkpoint() -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (16_000, 16_000))


@pytest.mark.parametrize("place", ["/proc/grid", "file/grid"])
def test_a_sweep_into_a_folder_that_cannot_be_made_is_refused_in_a_line(tmp_path, place):
    (tmp_path / "file").write_text("")

    ended = start(tmp_path, *SWEEP[:-1], f"hydra.sweep.dir={place}")

    assert ended.code == 1
    assert len(ended.err.splitlines()) == 1
    assert ended.err.startswith(f"rnn-exp: hydra.sweep.dir={place} is not possible: ")
    assert set(files(tmp_path)) == {"file"}
    assert not Path("/proc/grid").exists()
