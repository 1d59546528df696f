"""Processes of this machine: what dies is started again, what cannot start is one line."""

import errno
import os
import random
import signal
import subprocess
import sys
import threading
import time
from contextlib import closing
from multiprocessing import forkserver
from pathlib import Path

import pytest

from rnn_exp.sweeps.pool import LostWorker, map_unordered
from rnn_exp.sweeps.processes import NoProcess, Processes
from tests.waiting import PATIENCE, wait_until

KILLS = int(os.environ.get("RNN_EXP_KILLS", "4"))


def square(number: int) -> int:
    return number * number


def end_by(how: int) -> int:
    """End this process by a signal, or with an exit code (negative)."""
    if how > 0:
        os.kill(os.getpid(), how)
        time.sleep(PATIENCE)
    os._exit(-how)


def fail(words: str) -> None:
    raise ValueError(words)


def fork_server() -> int | None:
    return forkserver._forkserver._forkserver_pid


def kill_fork_server() -> None:
    pid = fork_server()
    if pid is not None:
        os.kill(pid, signal.SIGKILL)


def named_semaphores(group: int) -> set[str]:
    """The semaphores of the processes of a group that have a name which a kill would leave."""
    found = set()
    for maps in Path("/proc").glob("[0-9]*/maps"):
        try:
            if os.getpgid(int(maps.parent.name)) == group:
                found |= {line for line in maps.read_text().splitlines() if "/dev/shm/" in line}
        except (OSError, ValueError):  # it has ended, or is another user's
            continue
    return {line.split()[-1] for line in found if not line.endswith("(deleted)")}


@pytest.mark.parametrize(
    ("how", "words"),
    [
        (signal.SIGKILL, "SIGKILL"),
        (signal.SIGTERM, "SIGTERM"),
        (signal.SIGSEGV, "SIGSEGV"),
        (-7, "exit code 7"),
    ],
)
def test_however_a_process_ends_it_is_said_and_the_others_go_on(how, words):
    with closing(Processes(2)) as workers:
        [(_, lost)] = map_unordered(end_by, [how], workers)
        assert isinstance(lost, LostWorker)
        assert str(lost) == f"its process ended before it was done ({words})"
        assert dict(map_unordered(square, range(5), workers)) == {n: n * n for n in range(5)}


def test_what_a_function_raises_reaches_the_caller_and_ends_no_process():
    with closing(Processes(1)) as workers:
        first = workers.submit(_pid, 0).result()
        with pytest.raises(ValueError, match="these words"):
            workers.submit(fail, "these words").result()
        assert workers.submit(_pid, 0).result() == first


def _pid(_: int) -> int:
    return os.getpid()


def test_a_fork_server_that_is_killed_between_two_processes_is_started_again():
    with closing(Processes(1)) as workers:
        assert workers.submit(square, 2).result() == 4
        kill_fork_server()
        assert workers.submit(square, 3).result() == 9  # its own process is there still
        assert isinstance(workers.submit(end_by, -1).exception(), Exception)
        assert workers.submit(square, 4).result() == 16


@pytest.mark.kills
def test_a_fork_server_that_is_killed_at_any_moment_costs_no_item(attempts):
    draws = random.Random(0)
    for _ in range(KILLS):
        kill_fork_server()
        stop = threading.Event()

        def kill_now_and_then(stop=stop):
            for _ in range(3):
                stop.wait(draws.uniform(0, 1.5))
                kill_fork_server()

        killer = threading.Thread(target=kill_now_and_then)
        killer.start()
        with attempts.of("pools whose fork server is killed up to four times"):
            with closing(Processes(2)) as workers:
                found = dict(map_unordered(square, range(6), workers))
            stop.set()
            killer.join()
            assert found == {n: n * n for n in range(6)}


def test_where_no_process_can_start_there_is_one_line_after_a_few_attempts(monkeypatch):
    attempts = []

    def refuse(self):
        attempts.append(self)
        raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    monkeypatch.setattr("rnn_exp.sweeps.processes._SECONDS_BETWEEN_STARTS", 0.0)
    with closing(Processes(2)) as workers:
        monkeypatch.setattr(workers.context.Process, "start", refuse)
        with pytest.raises(NoProcess, match=r"no process can be started .*unavailable") as caught:
            list(map_unordered(square, range(4), workers))
    assert "\n" not in str(caught.value)
    assert 10 <= len(attempts) <= 40


def test_where_no_thread_can_start_there_is_one_line_as_well(monkeypatch):
    def refuse(self):
        raise RuntimeError("can't start new thread")

    with closing(Processes(2)) as workers:
        monkeypatch.setattr(threading.Thread, "start", refuse)
        with pytest.raises(NoProcess, match="can't start new thread"):
            list(map_unordered(square, range(4), workers))
        monkeypatch.undo()


STARTER = """
import sys
from contextlib import closing
from pathlib import Path
from rnn_exp.sweeps.pool import Pool, map_unordered
from tests.sweeps.test_pool import note_and_sleep

if __name__ == "__main__":
    with closing(Pool(processes=2).open()) as workers:
        list(map_unordered(note_and_sleep, [Path(sys.argv[1]) / name for name in "ab"], workers))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_processes_have_no_semaphores_that_a_kill_of_all_of_them_would_leave(tmp_path):
    script = tmp_path / "starter.py"
    script.write_text(STARTER)
    starter = subprocess.Popen(
        [sys.executable, str(script), str(tmp_path)],
        stderr=subprocess.DEVNULL,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
        start_new_session=True,
    )
    notes = [tmp_path / "a", tmp_path / "b"]
    try:
        wait_until(lambda: all(note.exists() for note in notes), "both processes work")
        assert named_semaphores(starter.pid) == set()
    finally:
        os.killpg(starter.pid, signal.SIGKILL)
        starter.wait(PATIENCE)
