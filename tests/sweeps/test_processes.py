"""Processes of this machine: what dies is started again, what cannot start is one line."""

import errno
import os
import random
import signal
import sys
import threading
import time
from contextlib import closing
from multiprocessing import forkserver
from pathlib import Path

import pytest

from rnn_exp.sweeps.pool import LostWorker, map_unordered
from rnn_exp.sweeps.processes import NoProcess, Processes
from tests.dose import dose
from tests.sweeps.test_pool import alive, note_and_sleep, start_script
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


class TwoWordsError(Exception):
    """An error that can be written but not read: it is made of more than its message."""

    def __init__(self, first: str, second: str) -> None:
        super().__init__(f"{first} {second}")


def fail_twice(words: tuple[str, str]) -> None:
    raise TwoWordsError(*words)


def refuse() -> None:
    raise ValueError("not to be read")


class Unreadable:
    """What can be written but not read."""

    def __reduce__(self):
        return refuse, ()


def unreadable(_: int) -> Unreadable:
    return Unreadable()


def unwritable(_: int) -> object:
    return lambda: None


@pytest.mark.parametrize(
    ("function", "item", "words"),
    [
        (fail_twice, ("these", "words"), "TwoWordsError: these words"),
        (unreadable, 0, "not to be read"),
        (unwritable, 0, "lambda"),
        (square, Unreadable(), "not to be read"),
        (square, lambda: None, "lambda"),
    ],
    ids=["error", "result", "unwritten result", "item", "unwritten item"],
)
def test_what_goes_through_no_pipe_is_an_error_and_costs_no_process(function, item, words, capfd):
    with closing(Processes(1)) as workers:
        first = workers.submit(_pid, 0).result()
        for _ in range(2):
            assert words in str(workers.submit(function, item).exception())
        assert workers.submit(_pid, 0).result() == first
        assert len(workers.all) == 1
    assert capfd.readouterr().err == ""


def test_where_an_answer_has_no_room_its_process_ends_and_another_takes_its_place(monkeypatch):
    def recv_bytes(self):
        raise MemoryError("no room")

    with closing(Processes(1)) as workers:
        first = workers.submit(_pid, 0).result()
        with monkeypatch.context() as patch:
            patch.setattr("multiprocessing.connection.Connection.recv_bytes", recv_bytes)
            assert isinstance(workers.submit(_pid, 0).exception(), MemoryError)
        assert not alive(first)
        assert workers.submit(_pid, 0).result() != first
        assert len(workers.all) == 1


def working(workers: Processes, *notes: Path) -> list[int]:
    """Let one process work on each note, which takes for ever; return the numbers of processes."""
    for note in notes:
        workers.submit(note_and_sleep, note)
    wait_until(lambda: all(note.exists() and note.read_text() for note in notes), "all work")
    return [int(note.read_text()) for note in notes]


def assert_closes(workers: Processes) -> None:
    closer = threading.Thread(target=workers.close, daemon=True)
    closer.start()
    wait_until(lambda: not closer.is_alive(), "the processes are closed")


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_processes_whose_fork_server_has_ended_are_ended_all_the_same(tmp_path):
    workers = Processes(2)
    first, second = working(workers, tmp_path / "a", tmp_path / "b")
    kill_fork_server()
    os.kill(first, signal.SIGKILL)
    [third] = working(workers, tmp_path / "c")  # the end of the second one is not seen any more

    assert_closes(workers)

    wait_until(lambda: not any(map(alive, [second, third])), "both processes have ended")


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_a_process_that_is_stopped_is_killed_as_well(tmp_path):
    workers = Processes(1)
    [stopped] = working(workers, tmp_path / "a")
    os.kill(stopped, signal.SIGSTOP)

    assert_closes(workers)

    wait_until(lambda: not alive(stopped), "the process has ended")


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_no_other_process_holds_the_end_of_a_pipe_that_is_here(tmp_path):
    with closing(Processes(2)) as workers:
        others = [*working(workers, tmp_path / "a", tmp_path / "b"), fork_server()]
        mine = {Path(f"/proc/self/fd/{one.pipe.fileno()}").readlink() for one in workers.all}
        held = [path.readlink() for pid in others for path in Path(f"/proc/{pid}/fd").iterdir()]

    assert len(mine) == 2
    assert mine.isdisjoint(held)


def interrupt_this_process() -> None:
    os.kill(os.getpid(), signal.SIGINT)
    wait_until(lambda: None, "Ctrl-C comes")


def test_ctrl_c_reaches_this_process_but_no_fork_server_that_still_imports(
    tmp_path, monkeypatch, capfd
):
    began, go_on = tmp_path / "began", tmp_path / "go on"
    (tmp_path / "slow_to_import.py").write_text(
        "import time\nfrom pathlib import Path\n"
        f"Path({str(began)!r}).touch()\n"
        f"while not Path({str(go_on)!r}).exists():\n    time.sleep(0.01)\n"
    )
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{Path(__file__).parents[2]}")
    kill_fork_server()
    try:
        with closing(Processes(1)) as workers:
            workers.context.set_forkserver_preload(["slow_to_import"])
            future = workers.submit(_held_back, 0)
            wait_until(began.exists, "the fork server imports")
            pid = fork_server()
            os.kill(pid, signal.SIGINT)
            with pytest.raises(KeyboardInterrupt):
                interrupt_this_process()
            go_on.touch()
            assert signal.SIGINT in future.result()
            assert signal.SIGTERM not in future.result()
            assert fork_server() == pid
    finally:
        kill_fork_server()  # the next one imports what it should
    assert capfd.readouterr().err == ""


def _held_back(_: int) -> set[int]:
    return signal.pthread_sigmask(signal.SIG_BLOCK, [])


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
    for _ in range(dose(1, KILLS)):
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
    starter = start_script(tmp_path, STARTER, own_session=True)
    notes = [tmp_path / "a", tmp_path / "b"]
    try:
        wait_until(lambda: all(note.exists() for note in notes), "both processes work")
        assert named_semaphores(starter.pid) == set()
    finally:
        os.killpg(starter.pid, signal.SIGKILL)
        starter.wait(PATIENCE)
