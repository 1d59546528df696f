"""Time thousands of tiny runs of one command, and measure the memory that its processes take.

    python scripts/benchmark_scale.py           10,000 runs on two processes of this machine
    python scripts/benchmark_scale.py --dask    the same on a Dask cluster with two workers
    python scripts/benchmark_scale.py --runs 300    a try: a tenth is one group of runs

The command trains in a temporary folder. When a run was done is the time of its run.json, read
after the command has ended, so that counting costs nothing meanwhile. Resident memory is read from
/proc about once a second (Linux only); of each tenth of the runs the most counts. Pages that
processes share count in each of them. Dask's cluster can be reached from this machine alone; its
scheduler is a thread of this script, whose memory counts with --dask.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

from benchmark_sweep import report

_ROOT = Path(__file__).resolve().parent.parent
_TINY = ("task.length=5", "network.hidden_size=4", "training.updates=3")
_PAGE = os.sysconf("SC_PAGE_SIZE") / 1e6


class Memory(NamedTuple):
    """The time, and megabytes: the command, the largest worker (it has no child), all together."""

    at: float
    command: float
    worker: float
    together: float


class Tenth(NamedTuple):
    """A tenth of the runs: all that are done at its end, its own, its seconds, the most memory."""

    done: int
    runs: int
    seconds: float
    most: Memory


def memory_of(command: int, *, with_this: bool) -> Memory:
    """Return what this process's descendants take now, or with this one; ``command`` is a pid."""
    parents, sizes, this = dict[int, int](), dict[int, float](), os.getpid()
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(FileNotFoundError, ProcessLookupError):  # it has ended meanwhile
            words = (folder / "stat").read_text("utf-8", "replace").rpartition(")")[2].split()
            parents[int(folder.name)], sizes[int(folder.name)] = int(words[1]), float(words[21])
    family = {this}
    while found := {pid for pid, parent in parents.items() if parent in family} - family:
        family |= found
    workers = family - {this, command} - set(parents.values())
    return Memory(
        time.time(),
        _PAGE * sizes.get(command, 0.0),
        _PAGE * max((sizes[pid] for pid in workers), default=0.0),
        _PAGE * sum(sizes[pid] for pid in family if with_this or pid != this),
    )


@contextmanager
def launcher(folder: Path, *, on_dask: bool) -> Iterator[list[str]]:
    """A context that gives the words for two processes, or for a Dask cluster of two workers."""
    if not on_dask:
        yield ["hydra.launcher.processes=2"]
        return
    import dask
    import distributed

    make: Any = distributed.LocalCluster  # it has no types
    here = {"host": "127.0.0.1", "dashboard_address": None, "worker_dashboard_address": None}
    scratch = dask.config.set({"temporary-directory": str(folder)})
    with scratch, make(n_workers=2, threads_per_worker=1, **here) as cluster:
        yield ["hydra.launcher.backend=dask", f"hydra.launcher.address={cluster.scheduler_address}"]


def watched(words: Sequence[str], folder: Path, pause: float, *, with_this: bool) -> list[Memory]:
    """Run the command in a folder and return what memory was taken, every ``pause`` seconds."""
    found = []
    program = [sys.executable, "-m", "rnn_exp", "-m"]
    with subprocess.Popen([*program, *words], cwd=folder, stdout=subprocess.DEVNULL) as command:
        try:
            while command.poll() is None:
                found.append(memory_of(command.pid, with_this=with_this))
                time.sleep(pause)
        finally:
            command.terminate()
    if command.returncode:
        raise SystemExit(f"the command has failed ({command.returncode})")
    return found


def tenths(begun: float, ends: Sequence[float], taken: Sequence[Memory]) -> list[Tenth]:
    """Return the tenths of the runs; the first begins with the command.

    ``ends`` is when each run was done, in order; of what was ``taken`` something is from before.
    """
    found, done, start = [], 0, begun
    for number in (len(ends) * tenth // 10 for tenth in range(1, 11)):
        end = ends[number - 1]
        before = [each for each in taken if each.at <= end]
        within = [each for each in before if each.at > start] or before[-1:]
        most = Memory(*map(max, zip(*within, strict=True)))
        found.append(Tenth(number, number - done, end - start, most))
        done, start = number, end
    return found


def show(found: Sequence[Tenth]) -> None:
    """Print a line for each tenth, then the verdicts: the second tenth against the last."""
    print("    runs        s   runs/s command/MB worker/MB   all/MB")
    for done, runs, seconds, most in found:
        print(
            f"{done:8d} {seconds:8.2f} {runs / seconds:8.1f} "
            f"{most.command:10.1f} {most.worker:9.1f} {most.together:8.1f}"
        )
    second, last = found[1], found[-1]
    print(f"{'the last tenth / the second':58s} {'found':>8s}     {'goal':>8s}")
    slower = last.seconds / last.runs / (second.seconds / second.runs)
    report("time of a run", "", slower, 1.2)
    report("memory of the largest worker", "", last.most.worker / second.most.worker, 1.1)
    growth = 1e3 * (last.most.command - second.most.command) / (last.done - second.done)
    print(f"the command itself grows by {growth:.2f} kB a run")


def main() -> None:
    """Run the benchmark and print its table."""
    options = argparse.ArgumentParser(description="thousands of tiny runs of one command")
    options.add_argument("--runs", type=int, default=10_000)
    options.add_argument("--dask", action="store_true", help="on a local Dask cluster")
    chosen = options.parse_args()
    if chosen.runs < 40:
        options.error("--runs: at least 40")
    os.environ |= {"PYTHONPATH": str(_ROOT), "OMP_NUM_THREADS": "1"}
    with tempfile.TemporaryDirectory() as name, launcher(Path(name), on_dask=chosen.dask) as where:
        words = [f"seed=range({chosen.runs})", *_TINY, "hydra.sweep.dir=sweep", *where]
        begun = time.time()
        taken = watched(words, Path(name), min(1.0, chosen.runs / 2000), with_this=chosen.dask)
        seconds = time.time() - begun
        ends = sorted(path.stat().st_mtime for path in Path(name, "sweep").glob("*/run.json"))
    if len(ends) != chosen.runs:
        raise SystemExit(f"{len(ends)} of {chosen.runs} runs are there")
    print(
        f"{chosen.runs} runs: {seconds:.2f} s; the first was done after {ends[0] - begun:.2f} s, "
        f"and after the last it took {begun + seconds - ends[-1]:.2f} s"
    )
    show(tenths(begun, ends, taken))


if __name__ == "__main__":
    main()
