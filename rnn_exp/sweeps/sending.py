"""The runs of a sweep go to workers in chunks, and what became of them is collected.

This is the part of a sweep that the command line and Python share: who asked for the runs, and how
a job is put together, is the caller's business.
"""

import functools
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, nullcontext
from pathlib import Path
from typing import NamedTuple

from rnn_exp.fields import SettingError
from rnn_exp.storage.writing import relabel
from rnn_exp.sweeps import process
from rnn_exp.sweeps.available import available
from rnn_exp.sweeps.jobs import ALREADY_THERE, Assignment, Job, JobResult
from rnn_exp.sweeps.pool import LostWorker, Pool, Workers, map_unordered
from rnn_exp.sweeps.progress import SweepBar
from rnn_exp.sweeps.worker import mark_lost, remove_leftovers, train_assignment
from rnn_exp.training import planning
from rnn_exp.training.devices import refuse_without_compiler, torch_device
from rnn_exp.training.memory import Memory, refuse_too_large
from rnn_exp.training.run import Run

__all__ = ["Place", "Sender", "memory_for", "open_workers", "refuse_other_label"]


class Place(NamedTuple):
    """Where a run lies or is to lie, and whether it is done."""

    folder: Path
    done: bool


def memory_for(left: Sequence[Run], backend: str = "processes") -> Memory | None:
    """Return the memory that workers have, and refuse runs for which this machine has not enough.

    Of a cluster nobody knows what memory and which devices it has.

    Args:
        left: the runs that are not done.
        backend: as `Pool` has it.

    Returns:
        The memory; None: it is not known.

    Raises:
        SettingError: for a device or a compiler that this machine does not have.
        NotEnoughMemory: for a run that is too large.
    """
    if backend != "processes":
        return None
    memory = available()
    for device in {run.device for run in left}:
        torch_device(device)
    for engine in {run.network.engine for run in left}:
        refuse_without_compiler(engine)
    refuse_too_large(left, memory)
    return memory


def open_workers(
    left: Sequence[Run],
    memory: Memory | None,
    backend: str = "processes",
    processes: int | None = None,
    address: str | None = None,
) -> Workers:
    """Return open workers for some runs, which the caller closes; for no run this process is one.

    Args:
        left: the runs that are not done.
        memory: what this machine has for them.
        backend: as `Pool` has it, as the next two.
        processes: None: as many as there are cores and work.
        address: of a cluster.

    Raises:
        SettingError: for a setting that is not possible.
        ConnectionError: if the cluster cannot be reached.
    """
    if processes is None:
        processes = planning.processes_for(left, process.cores(), memory)
    if backend == "processes":  # a cluster's processors may be others
        process.compile_kernels(left)
    pool = Pool(backend, processes, address)
    return (pool if left else Pool()).open()


def refuse_other_label(first: Run, again: Run) -> None:
    """Refuse a run that is asked for twice with two notes, or with two lists of tags.

    Raises:
        SettingError: naming both.
    """
    if first.note != again.note:
        raise SettingError("note", f"{first.note},{again.note}", f"one note for {first.name}")
    if first.tags != again.tags:
        allowed = f"one list for {first.name}, such as tags=[paper,fig2]"
        raise SettingError("tags", f"{first.tags},{again.tags}", allowed)


class Sender:
    """Sends the runs of one sweep to workers, chunk by chunk.

    Args:
        folder: of the sweep.
        job_of: puts a run's job together, when its chunk is due.
        on_results: is told what became of the jobs of a chunk.
        name: what the sweep is called where its progress is shown; None: as its folder.
    """

    def __init__(
        self,
        folder: Path,
        job_of: Callable[[Run], Job],
        on_results: Callable[[Mapping[Run, JobResult]], object] = lambda _: None,
        name: str | None = None,
    ) -> None:
        self.folder, self.job_of, self.on_results = folder, job_of, on_results
        self.name, self._numbers = name, itertools.count()

    def train(
        self,
        places: Mapping[Run, Place],
        workers: Workers,
        checkpoint_seconds: float,
        memory: Memory | None = None,
    ) -> dict[Run, JobResult]:
        """Train the runs that are not done.

        Args:
            places: all runs of the sweep, or of one batch.
            workers: open workers.
            checkpoint_seconds: seconds between two checkpoints.
            memory: what the workers have; None: enough. What needs much of it trains last.

        Returns:
            What became of each run.

        Raises:
            ConnectionError: if the cluster is gone, or no process can be started.
        """
        done = {run: place for run, place in places.items() if place.done}
        _tidy(done)
        left = [run for run in places if run not in done]
        results = {run: JobResult(ALREADY_THERE) for run in done}
        count = workers.count()
        share = None if memory is None else min(memory.each, memory.together // count)
        chunks = planning.chunks(left, processes=count, memory=share)
        work = sum(map(planning.seconds, left))
        with closing(SweepBar(self.folder, len(places), len(done), work, self.name)) as bar:
            on_update = bar.refresh if workers.in_this_process else workers.stop_check()
            function = functools.partial(train_assignment, on_update=on_update)
            with nullcontext() if workers.in_this_process else bar.refresh_in_background():
                while chunks:
                    stages, chunks = planning.stages(chunks, count, memory), []
                    for at_once, together in stages:
                        sent = self._assignments(together, bar, checkpoint_seconds)
                        limit = at_once if at_once < count else None
                        found = map_unordered(function, sent, workers, limit)
                        collected, halves = self._collect(found, bar)
                        results |= collected
                        chunks += halves  # of chunks whose process ended: they are sent again
        return results

    def _assignments(
        self, chunks: Sequence[Sequence[Run]], bar: SweepBar, checkpoint_seconds: float
    ) -> Iterator[Assignment]:
        """Yield one chunk after the other; its jobs are put together when it is asked for."""
        for runs in chunks:
            name = f"chunk-{next(self._numbers)}"
            jobs = [self.job_of(run) for run in runs]
            bar.start_chunk(name, sum(map(planning.seconds, runs)))
            yield Assignment(name, jobs, self.folder.absolute(), checkpoint_seconds)

    def _collect(
        self, results: Iterable[tuple[Assignment, list[JobResult] | LostWorker]], bar: SweepBar
    ) -> tuple[dict[Run, JobResult], list[list[Run]]]:
        """Return the results of the jobs, and the halves of lost chunks, which are to be sent."""
        collected: dict[Run, JobResult] = {}
        halves: list[list[Run]] = []
        for sent, result in results:
            if isinstance(result, LostWorker) and len(sent.jobs) > 1:
                bar.drop_chunk(sent.name)
                halves += _halves(sent)
                continue
            of_chunk = _results_of(sent, result)
            self.on_results(of_chunk)
            bar.finish_chunk(sent.name, [each.status for each in of_chunk.values()])
            collected |= of_chunk
        return collected, halves


def _tidy(done: Mapping[Run, Place]) -> None:
    """Remove what kills left beside runs that are done, and write their labels of now."""
    relabelled = 0
    for run, place in done.items():
        remove_leftovers(place.folder)
        relabelled += relabel(place.folder, run)
    if relabelled:
        print(f"{relabelled} of the runs already there have another note or other tags now")


def _results_of(sent: Assignment, returned: list[JobResult] | LostWorker) -> dict[Run, JobResult]:
    """Return the results of a chunk's jobs."""
    if isinstance(returned, LostWorker):
        returned = [mark_lost(job, returned) for job in sent.jobs]
    return {
        # A worker that was killed just after it had finished the run: this sweep trained it.
        job.run: JobResult(result.message) if result.status == ALREADY_THERE else result
        for job, result in zip(sent.jobs, returned, strict=True)
    }


def _halves(sent: Assignment) -> list[list[Run]]:
    """Return the runs of a lost chunk in two parts: perhaps one run alone ends its process."""
    runs = [job.run for job in sent.jobs]
    return [runs[: len(runs) // 2], runs[len(runs) // 2 :]]
