"""A worker: it trains a chunk of jobs and writes their folders, wherever it is.

A job is a run, the folder it goes to, and the log that is its own.
"""

import dataclasses
import logging
import logging.config
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from typing import Any

from rnn_exp.storage import checkpoint, writing
from rnn_exp.storage.files import held
from rnn_exp.sweeps import process
from rnn_exp.sweeps.status import Heartbeat
from rnn_exp.training.experiment import Chunk, Snapshot, chunks
from rnn_exp.training.loop import Update
from rnn_exp.training.outcome import Outcome, in_words
from rnn_exp.training.run import Run

__all__ = ["THERE", "Assignment", "Ended", "Job", "carry_out", "clear", "lose", "note", "work"]

log = logging.getLogger("rnn_exp")


@dataclasses.dataclass(frozen=True)
class Job:
    """A run and its folder; files to write beside its results; how its log is written.

    ``logging`` is a dictionary of ``logging.config``; None: logging is set up already.
    """

    run: Run
    folder: Path
    files: Mapping[str, str] = dataclasses.field(default_factory=dict)
    logging: Mapping[str, Any] | None = None


def note(job: Job, message: str, error: Exception | None = None) -> None:
    """Write a line to the job's own log. A log that cannot be written fails no run."""
    loud, logging.raiseExceptions = logging.raiseExceptions, False
    try:
        if job.logging is not None:
            logging.config.dictConfig(dict(job.logging))
        log.log(logging.INFO if error is None else logging.ERROR, "%s", message, exc_info=error)
    except (OSError, ValueError) as refused:  # the file of the log could not be opened
        print(f"{job.folder}: no log can be written: {refused}", file=sys.stderr)
    finally:
        logging.raiseExceptions = loud
        if job.logging is not None:
            for handler in list(logging.root.handlers):
                logging.root.removeHandler(handler)
                with suppress(OSError):  # a full disk: what it has kept cannot be written
                    handler.close()


THERE = "already there"
_PATIENCE = 60.0
Watch = Callable[[Update], object]
# A process may have threads that take work, as a Dask worker has: its log and its core are one.
_ONE_AT_A_TIME = threading.Lock()


@dataclasses.dataclass(frozen=True)
class Ended:
    """How a job ended: a status of run.json, and what is to be said of it.

    The status ``already there`` says that nothing was done; ``told`` is then that of run.json.
    """

    status: str
    told: str = ""
    failure: str = ""


@dataclasses.dataclass(frozen=True)
class Assignment:
    """A chunk's jobs, the sweep they belong to, and the seconds between two checkpoints."""

    name: str
    jobs: Sequence[Job]
    sweep: Path
    seconds: float


def carry_out(assignment: Assignment, look: Callable[[], object] | None = None) -> list[Ended]:
    """Do as `work`, as a process that may have been started for it, and say how far it is."""
    process.settle()
    process.use_one_thread()
    jobs = assignment.jobs
    with (
        _ONE_AT_A_TIME,
        closing(
            Heartbeat(assignment.sweep, assignment.name, jobs[0].run.training.updates)
        ) as heart,
    ):

        def watch(update: Update) -> None:
            heart.beat(update.number + 1, len(update.runs))
            if look is not None:
                look()

        return work(jobs, watch, assignment.seconds)


def work(jobs: Sequence[Job], watch: Watch | None = None, seconds: float = 60.0) -> list[Ended]:
    """Train the jobs of one chunk together and write each folder as its run ends.

    A run that another process is writing is waited for, one that is done by then is left as it
    is, and one with a checkpoint goes on from there. What fails is one run's `Ended`, never an
    exception. ``seconds`` lie between two checkpoints; one is also written on
    Ctrl-C, if that comes between two updates.
    """
    ended: dict[Run, Ended] = {}
    with ExitStack() as locks:
        for job in jobs:
            try:
                locks.enter_context(held(job.folder, _PATIENCE))
                there = writing.is_done(job.folder, job.run)
            except OSError as error:  # the folder is not ours: nothing may be written into it
                ended[job.run] = Ended("failed", failure=_cause(error))
                continue
            if there:
                _remove_leftovers(job.folder)
                ended[job.run] = Ended(THERE, writing.status_of(job.folder))
            elif failed := _begin(job):
                ended[job.run] = failed
        left = [job for job in jobs if job.run not in ended]
        ended |= _train(left, watch, checkpoint.Clock(seconds))
    return [ended[job.run] for job in jobs]


def _begin(job: Job) -> Ended | None:
    """Write what is known of a run before it trains; return its failure if that fails."""
    try:
        writing.remove_partial_files(job.folder)
        for name, text in job.files.items():
            (job.folder / name).parent.mkdir(exist_ok=True)
            (job.folder / name).write_text(text, encoding="utf-8")
        writing.write_status(job.folder, job.run, "running")
        note(job, job.run.command)
    except Exception as error:
        return _failed(job, error)
    return None


def _train(jobs: Sequence[Job], watch: Watch | None, clock: checkpoint.Clock) -> dict[Run, Ended]:
    """Train the jobs as chunks of equal progress; halve a chunk that fails as a whole."""
    by_run = {job.run: job for job in jobs}
    found = {job.run: checkpoint.read(job.folder, job.run) for job in jobs}
    snapshots = {run: snapshot for run, snapshot in found.items() if snapshot is not None}
    made = {run: snapshot.updates for run, snapshot in snapshots.items()}
    ended: dict[Run, Ended] = {}
    for runs in chunks(by_run, made):
        mine, left = [by_run[run] for run in runs], list[Job]()
        try:
            start = [snapshots[run] for run in runs if run in snapshots]  # all of them, or none
            for job, how in _train_together(mine, start, watch, clock):
                ended[job.run] = how
        except Exception as error:
            left = [job for job in mine if job.run not in ended]
            if len(left) == 1:
                job = left.pop()
                ended[job.run] = _failed(job, error)
        # Not above: what is being handled there holds the memory that may have been too small.
        half = len(left) // 2
        for part in (left[:half], left[half:]) if left else ():
            ended |= _train(part, watch, clock)
    return ended


def _train_together(
    jobs: list[Job], start: list[Snapshot], watch: Watch | None, clock: checkpoint.Clock
) -> Iterator[tuple[Job, Ended]]:
    by_run = {job.run: job for job in jobs}
    chunk = Chunk(list(by_run), start)
    for job in jobs if start else []:
        note(job, f"going on after update {chunk.made}")
    try:
        for update, outcomes in chunk.train():
            for outcome in outcomes:
                job = by_run[outcome.run]
                yield job, _finish(job, outcome)
            if watch is not None:
                watch(update)
            if clock.due():
                _save(by_run, chunk, clock)
    except KeyboardInterrupt:
        _save(by_run, chunk, clock)
        raise


def _save(by_run: Mapping[Run, Job], chunk: Chunk, clock: checkpoint.Clock) -> None:
    """Write a checkpoint for every run of the chunk; training goes on if that cannot be done."""
    begun = time.monotonic()
    try:
        for run, snapshot in chunk.snapshots():
            checkpoint.write(by_run[run].folder, run, snapshot)
    except OSError as error:
        log.warning("no checkpoint could be written: %s", error)
    clock.reset(begun)


def _finish(job: Job, outcome: Outcome) -> Ended:
    """Write a run's results; only then is its checkpoint of no more use."""
    try:
        writing.write(job.folder, outcome)
        _remove_leftovers(job.folder)
    except Exception as error:
        return _failed(job, error)
    told = in_words(outcome)
    note(job, told)
    return Ended(outcome.status, told)


def _remove_leftovers(folder: Path) -> None:
    writing.remove_partial_files(folder)
    (folder / checkpoint.FILE).unlink(missing_ok=True)


def lose(job: Job, why: Exception) -> Ended:
    """Note that the process of a run ended before the run did, if it did not end in time."""
    if writing.is_done(job.folder, job.run):
        return Ended(writing.status_of(job.folder))
    return _failed(job, why)


def clear(folder: Path) -> None:
    """Remove what a process killed just after a run was done may have left in its folder."""
    left = [path for path in folder.glob(".*") if path.is_file()]
    if left or (folder / checkpoint.FILE).exists():
        with suppress(BlockingIOError), held(folder, patience=0):  # unless it is still at it
            _remove_leftovers(folder)


def _failed(job: Job, error: Exception) -> Ended:
    """Note a failure where it can be noted: a full disk may refuse even that."""
    failure = _cause(error)
    note(job, "failed", error)
    try:
        writing.write_status(job.folder, job.run, "failed", failure=failure)
    except OSError as other:
        failure += f" (and this could not be written down: {other})"
    return Ended("failed", failure=failure)


def _cause(error: Exception) -> str:
    if isinstance(error, OSError):
        why = error.strerror or str(error)
        return f"{error.filename}: {why}" if error.filename else why
    return f"{type(error).__name__}: {error}"
