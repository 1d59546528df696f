"""A worker: it trains the jobs of one chunk together and writes a folder for each run.

It does so in the calling process, in a process beside it, or on a machine of a cluster. A job is a
run, its folder, the files to write beside the results, and its log.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path

from rnn_exp.storage import checkpoint, unfinished, writing
from rnn_exp.storage.files import LOCK_SECONDS, held, remove_half_written
from rnn_exp.sweeps import process
from rnn_exp.sweeps.jobs import (
    ALREADY_THERE,
    Assignment,
    Job,
    JobResult,
    failed,
    reason,
    tell,
    write_log,
)
from rnn_exp.sweeps.saving import Saver, Start, chunk_from, remove_saved, start_of
from rnn_exp.sweeps.status import Heartbeat
from rnn_exp.training.loop import Update
from rnn_exp.training.planning import chunks
from rnn_exp.training.run import Run

__all__ = ["mark_lost", "remove_leftovers", "train_assignment", "train_jobs"]

# A Dask worker may have several threads that take chunks, but logging and the number of torch's
# threads are settings of the whole process: one chunk at a time.
_ONE_CHUNK_AT_A_TIME = threading.Lock()

OnUpdate = Callable[[Update], object]


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
    process.compile_kernels(job.run for job in jobs)  # a cluster's processor may be another
    heartbeat = Heartbeat(assignment.sweep, assignment.name, jobs[0].run.training.updates)

    def write_heartbeat(update: Update) -> None:
        heartbeat.write(update.number + 1, len(update.runs))
        if on_update is not None:
            on_update()

    with _ONE_CHUNK_AT_A_TIME, closing(heartbeat):
        results = train_jobs(jobs, write_heartbeat, assignment.checkpoint_seconds)
        process.return_memory()
        return results


def train_jobs(
    jobs: Sequence[Job], on_update: OnUpdate | None = None, checkpoint_seconds: float = 60.0
) -> list[JobResult]:
    """Train the jobs of one chunk together; write each folder as soon as its run ends.

    If another process is writing a run's folder, this one waits a minute for it, and then the job
    has failed. A run that is done by then is left as it is; a run with a checkpoint goes on from
    there. A failure is the result of one job, never an exception.

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
                locks.enter_context(held(job.folder, LOCK_SECONDS))
                done = writing.is_done(job.folder, job.run)
                if done:
                    remove_saved(job.folder)
            except OSError as error:  # the folder is another's: nothing may be written into it
                results[job.run] = JobResult("failed", failure=reason(error))
                continue
            if done:
                results[job.run] = JobResult(ALREADY_THERE, writing.status_of(job.folder))
            elif failure := _prepare(job):
                results[job.run] = failure
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
    return failed(job, error)


def remove_leftovers(folder: Path) -> None:
    """Remove what a process that was killed left beside the results of a run that is done.

    That is what `remove_saved` removes, and a lock file. If another process is writing the folder,
    nothing is removed.
    """
    hidden = [path for path in folder.glob(".*") if path.is_file()]
    if hidden or (folder / unfinished.FOLDER).exists():
        with suppress(BlockingIOError), held(folder, patience=0):
            remove_saved(folder)


def _prepare(job: Job) -> JobResult | None:
    """Write what is known of a run before it trains; return the failure if that fails."""
    try:
        remove_half_written(job.folder)
        if aside := writing.put_damaged_aside(job.folder, job.run):
            tell(job, f"results that were damaged are now in {aside.name}; training anew")
        for name, text in job.files.items():
            (job.folder / name).parent.mkdir(parents=True, exist_ok=True)
            (job.folder / name).write_text(text, encoding="utf-8")
        writing.write_status(job.folder, job.run, "running")
        write_log(job, job.run.command)
    except Exception as error:
        return failed(job, error)
    return None


def _train(
    jobs: Sequence[Job], on_update: OnUpdate | None, clock: checkpoint.Clock
) -> dict[Run, JobResult]:
    """Train the jobs in chunks that are at the same update; halve a chunk that fails as a whole."""
    results: dict[Run, JobResult] = {}
    found: dict[Run, Start] = {}
    for job in jobs:
        try:
            found[job.run] = start_of(job)
        except OSError as error:
            results[job.run] = failed(job, error)
    by_run = {run: start.job for run, start in found.items()}
    made = {run: 0 if at.snapshot is None else at.snapshot.updates for run, at in found.items()}
    for runs in chunks(by_run, made):
        together, left = [by_run[run] for run in runs], list[Job]()
        try:
            with _exit_is_failure():
                for job, result in _train_together([found[run] for run in runs], on_update, clock):
                    results[job.run] = result
        except Exception as error:
            left = [job for job in together if job.run not in results]
            if len(left) == 1:
                job = left.pop()
                results[job.run] = failed(job, error)
        # Outside of `except`: the exception keeps alive the memory that may have been too little.
        half = len(left) // 2
        for part in (left[:half], left[half:]) if left else ():
            results |= _train(part, on_update, clock)
    return results


@contextmanager
def _exit_is_failure() -> Iterator[None]:
    """A context in which a part of a user that asks Python to exit fails its run."""
    try:
        yield
    except SystemExit as error:
        raise RuntimeError(f"its code asked Python to exit ({error.code})") from None


def _train_together(
    starts: list[Start], on_update: OnUpdate | None, clock: checkpoint.Clock
) -> Iterator[tuple[Job, JobResult]]:
    """Train one chunk, from snapshots if there are any; yield each job when its run has ended."""
    chunk = chunk_from(starts)
    saver = Saver(chunk, starts, clock)
    try:
        for update, ended in chunk.train():
            saver.track(update)
            for run in ended:
                yield saver.jobs[run], saver.write_results(run, update)
            if on_update is not None:
                on_update(update)
            saver.save_what_is_due()
    except KeyboardInterrupt:
        saver.write_checkpoints()
        raise
