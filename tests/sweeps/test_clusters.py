"""Clusters: a sweep on Dask or Ray is the sweep, whatever dies in the middle of it."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest

import rnn_exp
from tests._hydra.test_app import CommandResult, files, start, tables
from tests._hydra.test_sweep import runs
from tests.dose import dose
from tests.waiting import PATIENCE, wait_until

ROOT = Path(__file__).parents[2]
HERE = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
# Three chunks of about a second each.
LONG = (
    "-m",
    "task.length=40,41,42",
    "seed=0,1",
    "network.hidden_size=8",
    "training.updates=500",
    "hydra.sweep.dir=grid",
)
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")


class Cluster:
    """A Dask scheduler and its workers: processes of this machine that only it can reach."""

    def __init__(self, folder: Path, workers: int, *options: str, failures: int = 3) -> None:
        pytest.importorskip("distributed", reason="Dask is not installed")
        self.folder, self.note, self.options = folder, folder / "scheduler.json", options
        self.environment = HERE | {"DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": str(failures)}
        self.scheduler = self._start("scheduler", "--port", "0")
        wait_until(
            lambda: self.note.exists() and self.note.read_text().strip().endswith("}"),
            "the scheduler has written its address",
        )
        self.address = json.loads(self.note.read_text())["address"]
        self.workers: list[subprocess.Popen[bytes]] = []
        self.have(workers)

    def have(self, count: int) -> None:
        """See to it that there are so many workers alive."""
        self.workers = [worker for worker in self.workers if worker.poll() is None]
        while len(self.workers) < count:
            self.workers.append(
                self._start(
                    "worker",
                    "--no-nanny",
                    "--nthreads",
                    "1",
                    *self.options,
                    "--local-directory",
                    str(self.folder / "local"),
                )
            )

    def close(self) -> None:
        """End every process."""
        for process in (*self.workers, self.scheduler):
            process.kill()
            process.wait()

    def _start(self, what: str, *words: str) -> "subprocess.Popen[bytes]":
        with (self.folder / "log").open("ab") as log:
            return subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    f"distributed.cli.dask_{what}",
                    "--host",
                    "127.0.0.1",
                    "--no-dashboard",
                    "--scheduler-file",
                    str(self.note),
                    *words,
                ],
                stdout=log,
                stderr=log,
                env=self.environment,
                cwd=self.folder,
            )

    @property
    def words(self) -> tuple[str, str]:
        """What the command line says of it."""
        return ("hydra.launcher.backend=dask", f"hydra.launcher.address={self.address}")


@contextmanager
def running(folder: Path, *words: str) -> Iterator["subprocess.Popen[str]"]:
    """The command at work in a process of its own; it is ended in any case."""
    process = subprocess.Popen(
        [sys.executable, "-m", "rnn_exp", *words],
        cwd=folder,
        env=HERE,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def result_of(process: "subprocess.Popen[str]") -> CommandResult:
    """How the command ends, without the lines that say how far it is."""
    out, err = process.communicate(timeout=PATIENCE)
    err = re.sub(r"^\S+: \d+/\d+ done.*\n", "", err, flags=re.MULTILINE)
    return CommandResult(process.returncode, out, err)


def at_work(sweep: Path) -> dict[int, dict[str, str]]:
    """The processes that hold run folders of a sweep, and the status of each of these runs."""
    found: dict[int, dict[str, str]] = {}
    for pid in [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]:
        for run in folders_held(pid, sweep):
            with suppress(OSError):  # it has no run.json yet
                status = json.loads((run / "run.json").read_text())["status"]
                found.setdefault(pid, {})[run.name] = status
    return found


def folders_held(pid: int, sweep: Path) -> list[Path]:
    """The run folders of a sweep that a process holds; none if it has ended."""
    found = []
    with suppress(OSError):
        for link in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(OSError):  # a file that was closed in the meantime
                lock = link.readlink()
                if lock.name == ".lock" and lock.parent.parent == sweep:
                    found.append(lock.parent)
    return found


def is_stopped(pid: int) -> bool:
    """Whether a process is stopped by a signal."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "Tt"


def kill_one_at_work(
    command: "subprocess.Popen[str]", sweep: Path, belongs: Callable[[int], bool]
) -> Collection[str]:
    """Kill a process that trains runs of the sweep; return the names of these runs.

    The process is stopped first: it may have come to the end of its chunk in the meantime.
    """

    def begun(pid: int) -> Collection[str]:
        held = at_work(sweep).get(pid, {})
        if set(held.values()) != {"running"}:
            return ()
        return [name for name in held if times_begun(sweep / name)]

    def killed() -> Collection[str]:
        assert command.poll() is None, command.communicate()
        if not any((sweep / ".progress").glob("*.json")):
            return ()  # no run has made an update
        for pid in at_work(sweep):
            if not begun(pid):
                continue
            assert belongs(pid)
            os.kill(pid, signal.SIGSTOP)
            wait_until(lambda pid=pid: is_stopped(pid), "the process is stopped")
            names = begun(pid)
            os.kill(pid, signal.SIGKILL if names else signal.SIGCONT)
            if names:
                return names
        return ()

    return wait_until(killed, "a process that trains is killed")


def times_begun(run: Path) -> int:
    """How often a run was begun, by its log."""
    command = json.loads((run / "run.json").read_text())["command"]
    log = run / "run.log"
    return log.read_text().count(f" - {command}\n") if log.exists() else 0


def assert_complete(
    folder: Path, told: CommandResult, alone: dict[str, dict[str, str]], killed: Collection[str]
) -> None:
    """Nothing failed, every run is there with the bytes that one process alone gives it."""
    assert told.code == 0, told.err
    assert told.err == ""
    assert "6 runs: 6 done, 0 of them diverged, 0 failed, 0 already there\n" in told.out
    found = runs(folder)
    assert {json.loads((run / "run.json").read_text())["status"] for run in found.values()} == {
        "finished"
    }
    assert {name: tables(run) for name, run in found.items()} == alone
    # The sweep was in the middle of its work.
    assert {name for name, run in found.items() if times_begun(run) > 1} == set(killed)


@pytest.fixture(scope="module")
def alone(tmp_path_factory) -> dict[str, dict[str, str]]:
    """The tables of every run of the sweep, trained by one process alone."""
    folder = tmp_path_factory.mktemp("alone")
    assert start(folder, *LONG, "hydra.launcher.processes=1").code == 0
    return {name: tables(run) for name, run in runs(folder).items()}


@pytest.fixture(scope="module")
def dask(tmp_path_factory) -> Iterator[Cluster]:
    """A cluster; each test says how many workers it needs."""
    cluster = Cluster(tmp_path_factory.mktemp("dask"), 0)
    yield cluster
    cluster.close()


@pytest.mark.slow
def test_a_dask_worker_that_is_killed_changes_nothing_in_a_sweep(dask, alone, tmp_path):
    dask.have(2)

    with running(tmp_path, *LONG, *dask.words) as command:
        killed = kill_one_at_work(
            command, tmp_path / "grid", lambda pid: pid in [worker.pid for worker in dask.workers]
        )
        told = result_of(command)

    assert sorted(worker.poll() is None for worker in dask.workers) == [False, True]
    assert_complete(tmp_path, told, alone, killed)


@pytest.mark.slow
def test_a_ray_process_that_is_killed_changes_nothing_in_a_sweep(alone, tmp_path):
    pytest.importorskip("ray", reason="Ray is not installed")
    words = ("hydra.launcher.backend=ray", "hydra.launcher.processes=2")

    with running(tmp_path, *LONG, *words) as command:
        killed = kill_one_at_work(
            command,
            tmp_path / "grid",
            lambda pid: Path(f"/proc/{pid}/comm").read_text()[:5] == "ray::",
        )
        told = result_of(command)

    assert_complete(tmp_path, told, alone, killed)


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_the_workers_of_a_dask_stop_with_the_sweep_and_stay(dask, tmp_path, how):
    dask.have(2)
    long = ("-m", "task.length=40,41,42", "training.updates=100000", "hydra.sweep.dir=grid")

    with running(tmp_path, *long, *dask.words) as command:
        wait_until(lambda: len(at_work(tmp_path / "grid")) == 2, "both workers train")
        command.send_signal(how)
        told = result_of(command)

    # They stop long before their runs are finished.
    wait_until(lambda: not at_work(tmp_path / "grid"), "both workers have stopped")
    assert all(worker.poll() is None for worker in dask.workers)
    held = [
        run
        for run in runs(tmp_path).values()
        if (run / "unfinished" / "checkpoint.safetensors").exists()
    ]
    assert len(held) == 2
    if how == signal.SIGINT:
        assert told.code == 130
        assert told.err.splitlines()[-1] == (
            "rnn-exp: stopped; the same command goes on from there"
        )
        assert "Traceback" not in told.err


POISON = """
import os, signal
from rnn_exp.training.experiment import Chunk

def kill(chunk, train=Chunk.train):
    if chunk.runs[0].task.length == 11:
        os.kill(os.getpid(), signal.SIGKILL)
    return train(chunk)

Chunk.train = kill
"""


@pytest.mark.slow
def test_a_run_that_kills_its_dask_worker_each_time_is_told_and_stops_no_other(tmp_path):
    (tmp_path / "poison.py").write_text(POISON)
    words = ("-m", "task.length=10,11,12,13", "training.updates=3", "hydra.sweep.dir=grid")
    preload = ("--preload", str(tmp_path / "poison.py"))

    with closing(Cluster(tmp_path, 3, *preload, failures=0)) as cluster:
        with running(tmp_path, *words, *cluster.words) as command:
            told = result_of(command)
        cluster.have(0)
        left = len(cluster.workers)

    assert told.code == 1
    assert left == 1  # one was killed in company, and one alone
    head, row, last = told.err.splitlines()
    assert head.split() == ["job", "overrides", "cause", "log"]
    assert "LostWorker: its process ended before it was done (KilledWorker)" in row
    statuses = rnn_exp.load(tmp_path / "grid").runs.set_index("task.length")["status"]
    assert statuses.to_dict() == dict.fromkeys((10, 12, 13), "finished") | {11: "failed"}
    assert "task.length=11" in row
    assert last == "rnn-exp: 1 of 4 runs failed; the same command tries them again"
    assert "4 runs: 3 done, 0 of them diverged, 1 failed, 0 already there" in told.out


@pytest.mark.slow
def test_a_dask_scheduler_that_goes_away_ends_the_sweep_in_one_line(tmp_path):
    with closing(Cluster(tmp_path, 1)) as cluster, ThreadPoolExecutor(1) as beside:
        command = beside.submit(start, tmp_path, *LONG, *cluster.words)
        wait_until(lambda: at_work(tmp_path / "grid"), "the worker trains")
        cluster.scheduler.kill()
        told = command.result(PATIENCE)

    assert told.code == 1
    assert told.err == f"rnn-exp: the Dask scheduler at {cluster.address} is gone\n"


OWN = '''"""A task and an activation of one's own."""

import dataclasses
from typing import ClassVar

import torch

import rnn_exp as rx
from rnn_exp.fields import check, whole
from rnn_exp.networks import Activation
from rnn_exp.tasks.task import Batch, Regression

rx.register(Activation("wave", torch.sin))


@rx.register
@dataclasses.dataclass(frozen=True)
class Hold(Regression):
    """Say the first input again at the end.

    Args:
        length: L, in time steps.
    """

    length: int = whole(20, least=2)

    name: ClassVar[str] = "hold_first"
    input_size: ClassVar[int] = 1
    output_size: ClassVar[int] = 1
    chance_loss: ClassVar[float] = 1.0
    chance_error: ClassVar[float] = 1.0

    def __post_init__(self):
        check(self)

    def draw(self, batch_size, generator):
        x = torch.randn(self.length, batch_size, 1, generator=generator)
        cues = torch.ones(1, batch_size, dtype=torch.int64)
        return Batch(x, x[:1, :, 0], cues, self.length)
'''

OWN_GRID = (
    "-m",
    "use=[own_parts_of_a_cluster.py]",
    "task=hold_first",
    "network.activation=wave",
    "network.hidden_size=4",
    "training.updates=3",
    "task.length=5,6",
    "seed=0,1",
    "hydra.sweep.dir=grid",
)


def with_own_parts(folder: Path, *words: str, change: str = "") -> CommandResult:
    """Train the sweep of the own parts in an empty folder, which gets their file."""
    folder.mkdir()
    (folder / "own_parts_of_a_cluster.py").write_text(OWN + change)
    return start(folder, *OWN_GRID, *words)


@pytest.fixture(scope="module")
def own_alone(tmp_path_factory) -> dict[str, dict[str, str]]:
    """The tables of the runs with own parts, trained by one process alone."""
    folder = tmp_path_factory.mktemp("own") / "alone"
    told = with_own_parts(folder, "hydra.launcher.processes=1")
    assert told.code == 0, told.err
    return {name: tables(run) for name, run in runs(folder).items()}


def assert_same(folder: Path, told: CommandResult, alone: dict[str, dict[str, str]]) -> None:
    """All runs were trained, to the bytes of one process, and say where their parts are from."""
    assert (told.code, told.err) == (0, "")
    assert "4 runs: 4 done, 0 of them diverged, 0 failed, 0 already there\n" in told.out
    found = runs(folder)
    assert {name: tables(run) for name, run in found.items()} == alone
    for run in found.values():
        said = json.loads((run / "run.json").read_text())["sources"]
        assert [one.split()[:2] for one in said] == [
            ["task=hold_first", "own_parts_of_a_cluster.py"],
            ["network.activation=wave", "own_parts_of_a_cluster.py"],
        ]


@pytest.mark.dosed
def test_own_parts_get_the_same_bytes_from_processes_and_from_dask(dask, own_alone, tmp_path):
    dask.have(dose(1, 2))
    for name, words in (("two", ("hydra.launcher.processes=2",)), ("dask", dask.words)):
        told = with_own_parts(tmp_path / name, *words)
        assert_same(tmp_path / name, told, own_alone)


def test_a_dask_that_has_another_text_of_an_own_part_is_refused(dask, tmp_path):
    dask.have(1)
    assert with_own_parts(tmp_path / "one", *dask.words).code == 0

    told = with_own_parts(tmp_path / "other", *dask.words, change="# changed\n")

    assert told.code == 1
    assert re.fullmatch(
        r"rnn-exp: a worker refused its runs: use=own_parts_of_a_cluster\.py \(sha256 \w{12}\) "
        r"is not possible: allowed is the same file everywhere; a worker has "
        r"own_parts_of_a_cluster\.py \(sha256 \w{12}\): start the workers anew\n",
        told.err,
    )
    assert runs(tmp_path / "other") == {}


@pytest.mark.slow
def test_own_parts_get_the_same_bytes_from_ray(own_alone, tmp_path):
    pytest.importorskip("ray", reason="Ray is not installed")
    words = ("hydra.launcher.backend=ray", "hydra.launcher.processes=2")

    assert_same(tmp_path / "ray", with_own_parts(tmp_path / "ray", *words), own_alone)


def _impatient() -> None:
    from rnn_exp.sweeps import clusters

    clusters._CONNECT_SECONDS = 1


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (
            ("backend=dask", "address=tcp://127.0.0.1:1"),
            "no Dask scheduler answers at tcp://127.0.0.1:1: ",
        ),
        (
            ("backend=dask", "address=http://127.0.0.1:1"),
            "no Dask scheduler answers at http://127.0.0.1:1: unknown address scheme 'http'",
        ),
        (
            ("backend=dask", "address=tls://127.0.0.1:1"),
            "no Dask scheduler answers at tls://127.0.0.1:1: TLS expects a `ssl_context` argument",
        ),
        (("backend=dask",), "hydra.launcher.address=null is not possible: allowed is the address"),
        (
            ("backend=ray", "address=127.0.0.1:1"),
            "no Ray answers at 127.0.0.1:1: Connection refused",
        ),
        (("backend=slurm",), "hydra.launcher.backend=slurm is not possible: allowed is one of "),
    ],
)
def test_a_cluster_that_does_not_answer_is_told_in_one_line_and_nothing_is_written(
    tmp_path, words, told
):
    if "address" in "".join(words):
        library = "distributed" if words[0] == "backend=dask" else "ray"
        pytest.importorskip(library, reason=f"{library} is not installed")

    done = start(tmp_path, *LONG, *(f"hydra.launcher.{word}" for word in words), prepare=_impatient)

    assert done.code == 1
    assert done.err.startswith(f"rnn-exp: {told}")
    assert done.err.count("\n") == 1, done.err
    assert done.out == ""
    assert files(tmp_path) == {}
    assert list(tmp_path.iterdir()) == []


def test_a_finished_sweep_needs_no_cluster(tmp_path):
    words = ("-m", "task.length=10", "training.updates=3", "seed=0,1")
    assert start(tmp_path, *words).code == 0

    again = start(
        tmp_path, *words, "hydra.launcher.backend=dask", "hydra.launcher.address=tcp://127.0.0.1:1"
    )

    assert again.code == 0
    assert "2 runs: 0 done, 0 of them diverged, 0 failed, 2 already there" in again.out


@pytest.mark.parametrize(("backend", "library"), [("dask", "distributed"), ("ray", "ray")])
def test_a_library_that_is_not_installed_is_named_with_its_setting(tmp_path, backend, library):
    done = start(
        tmp_path,
        *LONG,
        f"hydra.launcher.backend={backend}",
        "hydra.launcher.address=tcp://127.0.0.1:1",
        prepare=Hidden(library),
    )

    assert done.err == (
        f"rnn-exp: hydra.launcher.backend={backend} is not possible: allowed is what is installed; "
        f"pip install 'rnn-exp[{backend}]' brings it\n"
    )
    assert list(tmp_path.iterdir()) == []


class Hidden:
    """Makes a process not find a library."""

    def __init__(self, library: str) -> None:
        self.library = library

    def __call__(self) -> None:
        sys.modules[self.library] = None  # type: ignore[assignment]
