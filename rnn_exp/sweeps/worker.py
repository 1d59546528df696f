"""A worker: it trains the jobs of one chunk together and writes a folder for each run.

It does so in the calling process, in a process beside it, or on a machine of a cluster. A job is a
run, its folder, the files to write beside the results, and its log.
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

__all__ = [
    "ALREADY_THERE",
    "Assignment",
    "Job",
    "JobResult",
    "mark_lost",
    "remove_leftovers",
    "train_assignment",
    "train_jobs",
]

ALREADY_THERE = "already there"
_LOCK_SECONDS = 60.0  # how long to wait for a process that is writing the same folder
# A Dask worker may have several threads that take chunks, but logging and the number of torch's
# threads are settings of the whole process: one chunk at a time.
_ONE_CHUNK_AT_A_TIME = threading.Lock()

OnUpdate = Callable[[Update], object]
log = logging.getLogger("rnn_exp")


@dataclasses.dataclass(frozen=True)
class Job:
    """A run and its folder.

    Attributes:
        run: what to train.
        folder: where the results go.
        files: texts to write beside the results, by their paths in the folder.
        logging: how the job's log is written, a dictionary of ``logging.config``; None: logging
            is set up already.
    """

    run: Run
    folder: Path
    files: Mapping[str, str] = dataclasses.field(default_factory=dict)
    logging: Mapping[str, Any] | None = None


@dataclasses.dataclass(frozen=True)
class JobResult:
    """What became of a job.

    Attributes:
        status: a status of run.json; or ``already there`` if the run was done before.
        message: one line about the outcome; for ``already there`` the status in run.json.
        failure: why the job failed; empty if it did not.
    """

    status: str
    message: str = ""
    failure: str = ""


@dataclasses.dataclass(frozen=True)
class Assignment:
    """What a worker is sent: a named chunk of jobs, and the folder of their sweep."""

    name: str
    jobs: Sequence[Job]
    sweep: Path
    checkpoint_seconds: float


def train_assignment(
    assignment: Assignment, on_update: Callable[[], object] | None = None
) -> list[JobResult]:
    """Train a chunk as `train_jobs` does, in any process, and write its heartbeat.

    Args:
        assignment: the chunk.
        on_update: called after every update.

    Returns:
        One result a job, in their order.
    """
    process.settle()
    process.use_one_thread()
    jobs = assignment.jobs
    heartbeat = Heartbeat(assignment.sweep, assignment.name, jobs[0].run.training.updates)

    def write_heartbeat(update: Update) -> None:
        heartbeat.write(update.number + 1, len(update.runs))
        if on_update is not None:
            on_update()

    with _ONE_CHUNK_AT_A_TIME, closing(heartbeat):
        return train_jobs(jobs, write_heartbeat, assignment.checkpoint_seconds)


def train_jobs(
    jobs: Sequence[Job], on_update: OnUpdate | None = None, checkpoint_seconds: float = 60.0
) -> list[JobResult]:
    """Train the jobs of one chunk together; write each folder as soon as its run ends.

    If another process is writing a run's folder, this one waits until it has finished. A run that
    is done by then is left as it is; a run with a checkpoint goes on from there. A failure is the
    result of one job, never an exception.

    Args:
        jobs: runs that can train together.
        on_update: called with every update.
        checkpoint_seconds: seconds between two checkpoints; one more is written on Ctrl-C, if
            that comes between two updates.

    Returns:
        One result a job, in their order.
    """
    results: dict[Run, JobResult] = {}
    with ExitStack() as locks:
        for job in jobs:
            try:
                locks.enter_context(held(job.folder, _LOCK_SECONDS))
                done = writing.is_done(job.folder, job.run)
            except OSError as error:  # the folder is another's: nothing may be written into it
                results[job.run] = JobResult("failed", failure=_reason(error))
                continue
            if done:
                remove_leftovers(job.folder, is_held=True)
                results[job.run] = JobResult(ALREADY_THERE, writing.status_of(job.folder))
            elif failed := _prepare(job):
                results[job.run] = failed
        left = [job for job in jobs if job.run not in results]
        results |= _train(left, on_update, checkpoint.Clock(checkpoint_seconds))
    return [results[job.run] for job in jobs]


def mark_lost(job: Job, error: Exception) -> JobResult:
    """Write into run.json that a job failed because its process ended.

    Returns:
        The failure; or the status in run.json, if the run was done before the process ended.
    """
    if writing.is_done(job.folder, job.run):
        return JobResult(writing.status_of(job.folder))
    return _failure(job, error)


def remove_leftovers(folder: Path, *, is_held: bool = False) -> None:
    """Remove what a process that was killed left beside the results of a run that is done.

    These are half-written files, a lock file and the checkpoint. If another process is writing
    the folder, nothing is removed. ``is_held``: whether the caller holds it.
    """
    if is_held:
        writing.remove_half_written(folder)
        (folder / checkpoint.FILE).unlink(missing_ok=True)
        return
    hidden = [path for path in folder.glob(".*") if path.is_file()]
    if hidden or (folder / checkpoint.FILE).exists():
        with suppress(BlockingIOError), held(folder, patience=0):
            remove_leftovers(folder, is_held=True)


def _prepare(job: Job) -> JobResult | None:
    """Write what is known of a run before it trains; return the failure if that fails."""
    try:
        writing.remove_half_written(job.folder)
        for name, text in job.files.items():
            (job.folder / name).parent.mkdir(parents=True, exist_ok=True)
            (job.folder / name).write_text(text, encoding="utf-8")
        writing.write_status(job.folder, job.run, "running")
        _write_log(job, job.run.command)
    except Exception as error:
        return _failure(job, error)
    return None


def _train(
    jobs: Sequence[Job], on_update: OnUpdate | None, clock: checkpoint.Clock
) -> dict[Run, JobResult]:
    """Train the jobs in chunks that are at the same update; halve a chunk that fails as a whole."""
    by_run = {job.run: job for job in jobs}
    found = {job.run: checkpoint.read(job.folder, job.run) for job in jobs}
    snapshots = {run: snapshot for run, snapshot in found.items() if snapshot is not None}
    made = {run: snapshot.updates for run, snapshot in snapshots.items()}
    results: dict[Run, JobResult] = {}
    for runs in chunks(by_run, made):
        together, left = [by_run[run] for run in runs], list[Job]()
        try:
            start = [snapshots[run] for run in runs if run in snapshots]  # all of them, or none
            for job, result in _train_together(together, start, on_update, clock):
                results[job.run] = result
        except Exception as error:
            left = [job for job in together if job.run not in results]
            if len(left) == 1:
                job = left.pop()
                results[job.run] = _failure(job, error)
        # Outside of `except`: the exception keeps alive the memory that may have been too little.
        half = len(left) // 2
        for part in (left[:half], left[half:]) if left else ():
            results |= _train(part, on_update, clock)
    return results


def _train_together(
    jobs: list[Job], start: list[Snapshot], on_update: OnUpdate | None, clock: checkpoint.Clock
) -> Iterator[tuple[Job, JobResult]]:
    """Train one chunk, from snapshots if there are any; yield each job when its run has ended."""
    by_run = {job.run: job for job in jobs}
    chunk = Chunk(list(by_run), start)
    for job in jobs if start else []:
        _write_log(job, f"going on after update {chunk.made}")
    try:
        for update, outcomes in chunk.train():
            for outcome in outcomes:
                job = by_run[outcome.run]
                yield job, _write_results(job, outcome)
            if on_update is not None:
                on_update(update)
            if clock.due():
                _write_checkpoints(by_run, chunk, clock)
    except KeyboardInterrupt:
        _write_checkpoints(by_run, chunk, clock)
        raise


def _write_checkpoints(by_run: Mapping[Run, Job], chunk: Chunk, clock: checkpoint.Clock) -> None:
    """Write a checkpoint for every run of the chunk; if that fails, training goes on without."""
    begun = time.monotonic()
    try:
        for run, snapshot in chunk.snapshots():
            checkpoint.write(by_run[run].folder, run, snapshot)
    except OSError as error:
        log.warning("no checkpoint could be written: %s", error)
    clock.reset(begun)


def _write_results(job: Job, outcome: Outcome) -> JobResult:
    """Write a run's results, and then remove its checkpoint."""
    try:
        writing.write(job.folder, outcome)
        remove_leftovers(job.folder, is_held=True)
    except Exception as error:
        return _failure(job, error)
    message = in_words(outcome)
    _write_log(job, message)
    return JobResult(outcome.status, message)


def _failure(job: Job, error: Exception) -> JobResult:
    """Return a job's failure, and write it into its log and run.json if the disk is not full."""
    failure = _reason(error)
    _write_log(job, "failed", error)
    try:
        writing.write_status(job.folder, job.run, "failed", failure=failure)
    except OSError as other:
        failure += f" (and this could not be written down: {other})"
    return JobResult("failed", failure=failure)


def _reason(error: Exception) -> str:
    if isinstance(error, OSError):
        why = error.strerror or str(error)
        return f"{error.filename}: {why}" if error.filename else why
    return f"{type(error).__name__}: {error}"


def _write_log(job: Job, message: str, error: Exception | None = None) -> None:
    """Write a line to the job's own log. A log that cannot be written fails no run."""
    before, logging.raiseExceptions = logging.raiseExceptions, False
    try:
        if job.logging is not None:
            logging.config.dictConfig(dict(job.logging))
        log.log(logging.INFO if error is None else logging.ERROR, "%s", message, exc_info=error)
    except (OSError, ValueError) as refusal:  # the log's file could not be opened
        print(f"{job.folder}: no log can be written: {refusal}", file=sys.stderr)
    finally:
        logging.raiseExceptions = before
        if job.logging is not None:
            for handler in list(logging.root.handlers):
                logging.root.removeHandler(handler)
                with suppress(OSError):  # a full disk: what the handler still holds is dropped
                    handler.close()
