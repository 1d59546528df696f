"""The pool: every item comes back once, whatever dies in between."""

import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import BrokenExecutor, ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from rnn_exp.fields import SettingError
from rnn_exp.sweeps import clusters
from rnn_exp.sweeps.pool import LostWorker, Pool, ThisProcess, map_unordered
from tests.waiting import PATIENCE, wait_until

POOLS = [Pool(processes=1), Pool(processes=2)]


def double(number: int) -> tuple[int, int]:
    return 2 * number, os.getpid()


def kill_once(path: Path) -> str:
    """Kill the process that works on this, the first time."""
    if path.name.startswith("bad") and not path.exists():
        path.write_text("")
        os.kill(os.getpid(), signal.SIGKILL)
    return path.name


def kill_in_company(path: Path) -> str:
    """Kill the process that works on ``bad``, every time; the first time ``beside`` is running."""
    company, killed = path.with_name("beside"), path.with_name("killed")
    if path.name == "bad":
        wait_until(company.exists, "another item is running")
        killed.write_text("")
        os.kill(os.getpid(), signal.SIGKILL)
    if path == company:
        assert not company.exists(), "it was sent twice: it ended with the other one's process"
        company.write_text("")
        wait_until(killed.exists, "the process beside it is killed")
    return path.name


@pytest.mark.parametrize("pool", POOLS)
def test_every_item_comes_back_with_its_result(pool):
    with closing(pool.open()) as workers:
        found = dict(map_unordered(double, range(20), workers))

    assert {item: result for item, (result, _) in found.items()} == {n: 2 * n for n in range(20)}
    here = os.getpid() in {pid for _, pid in found.values()}
    assert here == (pool.processes == 1)


@pytest.mark.parametrize("pool", POOLS)
def test_items_are_drawn_when_a_worker_can_take_them(pool):
    drawn = []

    def source():
        for number in range(50):
            drawn.append(number)
            yield number

    with closing(pool.open()) as workers:
        next(iter(map_unordered(double, source(), workers)))

    assert len(drawn) <= 2 * pool.processes


@pytest.mark.parametrize("pool", POOLS)
def test_what_goes_wrong_in_drawing_reaches_the_caller(pool):
    def source():
        yield 1
        raise ValueError("no second item")

    with closing(pool.open()) as workers, pytest.raises(ValueError, match="no second item"):
        list(map_unordered(double, source(), workers))


def test_the_item_of_a_killed_process_is_done_again(tmp_path):
    items = [tmp_path / f"{kind}{number}" for number in range(4) for kind in ("good", "bad")]

    with closing(Pool(processes=2).open()) as workers:
        found = dict(map_unordered(kill_once, items, workers))

    assert found == {item: item.name for item in items}


def test_an_item_that_always_kills_is_lost_alone(tmp_path):
    items = [tmp_path / name for name in ("beside", "bad", "good1", "good2", "good3")]

    with closing(Pool(processes=2).open()) as workers:
        found = dict(map_unordered(kill_in_company, items, workers))

    lost = found.pop(tmp_path / "bad")
    assert isinstance(lost, LostWorker)
    assert str(lost) == "its process ended before it was done (SIGKILL)"
    assert found == {item: item.name for item in items if item.name != "bad"}


class Growing:
    """Threads as workers: one at first, more when others have come."""

    in_this_process, max_attempts, alone_from_attempt = False, 1, 2

    def __init__(self) -> None:
        self.executor, self.counts = ThreadPoolExecutor(8), [1]

    def count(self) -> int:
        return self.counts.pop(0) if self.counts else 4

    def submit(self, function, item):
        return self.executor.submit(function, item)

    def stop_check(self) -> None: ...

    def recover(self) -> None: ...

    def close(self) -> None:
        self.executor.shutdown()


def test_workers_that_come_later_are_given_work_while_the_first_are_busy(monkeypatch):
    monkeypatch.setattr("rnn_exp.sweeps.pool._SECONDS_BETWEEN_COUNTS", 0.02)
    together = threading.Barrier(8)  # passed by eight at once, where two were sent at first

    with closing(Growing()) as workers:
        found = dict(map_unordered(lambda _: together.wait(PATIENCE), range(8), workers))

    assert set(found) == set(range(8))
    assert sorted(found.values()) == list(range(8))


class Breaking(Growing):
    """Workers of whom one ends before the third item is sent: they take nothing until `recover`."""

    def __init__(self) -> None:
        super().__init__()
        self.sent, self.broken = 0, False

    def submit(self, function, item):
        self.sent += 1
        self.broken = self.broken or self.sent == 3
        if self.broken:
            raise BrokenExecutor
        return super().submit(function, item)

    def recover(self) -> None:
        self.broken = False


def test_an_item_that_no_worker_takes_is_sent_again_when_they_have_recovered():
    with closing(Breaking()) as workers:
        found = dict(map_unordered(double, range(8), workers))

    assert {item: result for item, (result, _) in found.items()} == {n: 2 * n for n in range(8)}
    assert workers.sent == 9


STARTER = """
import sys, time
from contextlib import closing
from tests.sweeps.test_pool import Pool, map_unordered, note_and_sleep
from pathlib import Path

if __name__ == "__main__":
    with closing(Pool(processes=2).open()) as workers:
        list(map_unordered(note_and_sleep, [Path(sys.argv[1]) / name for name in "ab"], workers))
"""


def note_and_sleep(path: Path) -> None:
    path.write_text(str(os.getpid()))
    time.sleep(10 * PATIENCE)  # it does not end by itself while anything waits for that


def start_script(folder: Path, text: str, *, own_session: bool = False) -> subprocess.Popen[bytes]:
    """Start a script in a process of its own, with the folder as its word; it is silent."""
    script = folder / "starter.py"
    script.write_text(text)
    return subprocess.Popen(
        [sys.executable, str(script), str(folder)],
        stderr=subprocess.DEVNULL,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
        start_new_session=own_session,
    )


def alive(pid: int) -> bool:
    """Whether a process is there and is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_processes_end_with_the_one_that_started_them(tmp_path, how):
    starter = start_script(tmp_path, STARTER)
    notes = [tmp_path / "a", tmp_path / "b"]
    wait_until(
        lambda: all(note.exists() and note.read_text() for note in notes), "both processes work"
    )
    pids = [int(note.read_text()) for note in notes]

    starter.send_signal(how)

    wait_until(lambda: not any(map(alive, pids)), "both processes have ended")
    starter.wait(PATIENCE)  # not before: one that has ended keeps its number until somebody looks


def test_a_dask_without_an_address_and_an_unknown_backend_are_refused():
    with pytest.raises(SettingError, match=r"address=null .*the address of a Dask scheduler"):
        Pool("dask")
    with pytest.raises(SettingError, match=r"backend=slurm .*one of processes, dask, ray"):
        Pool("slurm")
    with pytest.raises(SettingError, match=r"processes=0 .*at least 1"):
        Pool(processes=0)


@pytest.mark.parametrize(("backend", "library"), [("dask", "distributed"), ("ray", "ray")])
def test_a_library_that_is_not_installed_is_named(monkeypatch, backend, library):
    monkeypatch.setitem(sys.modules, library, None)

    with pytest.raises(SettingError, match=rf"pip install 'rnn-exp\[{backend}\]' brings it"):
        Pool(backend, address="tcp://127.0.0.1:1").open()


def test_what_a_worker_of_a_cluster_cannot_take_apart_ends_the_sweep_in_one_line():
    class Cluster(ThisProcess):
        def submit(self, function, item):
            return super().submit(clusters._call, b"from another version:\n no call")

    with pytest.raises(ConnectionError, match=r"^a worker refused its runs: [^\n]+$"):
        list(map_unordered(abs, [1], Cluster()))
