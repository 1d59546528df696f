"""Jobs: a run, its folder and its log; and what became of it."""

import dataclasses
import logging
import logging.config
import sys
import traceback
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from rnn_exp.recordings.trackers import Tracking
from rnn_exp.registry import why_of
from rnn_exp.storage import writing
from rnn_exp.sweeps.available import available
from rnn_exp.training.memory import allocation_failure
from rnn_exp.training.run import Run
from rnn_exp.words import from_here

__all__ = [
    "ALREADY_THERE",
    "Assignment",
    "Job",
    "JobResult",
    "failed",
    "reason",
    "tell",
    "write_log",
]

ALREADY_THERE = "already there"

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
        others: paths of files in the folder that were written before, beside ``files``.
        tracking: where its curves go while it trains.
    """

    run: Run
    folder: Path
    files: Mapping[str, str] = dataclasses.field(default_factory=dict)
    logging: Mapping[str, Any] | None = None

    others: Sequence[str] = ()
    tracking: Tracking = dataclasses.field(default_factory=Tracking)

    @property
    def beside(self) -> list[str]:
        """The paths of all files in the folder that say how the run was configured."""
        return [*self.files, *self.others]


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


def failed(job: Job, error: Exception) -> JobResult:
    """Return a job's failure, and write it into its log and run.json if the disk is not full."""
    failure = allocation_failure(error, job.run, available()) or _of_own_part(error, job.run)
    failure = failure or reason(error)
    write_log(job, "failed", error)
    try:
        writing.write_status(job.folder, job.run, "failed", failure=failure)
    except OSError as other:
        failure += f" (and this could not be written down: {other})"
    return JobResult("failed", failure=failure)


def _of_own_part(error: Exception, run: Run) -> str:
    """Say which part of a user an error was raised in, and in which line; "": in none."""
    frames = {frame.filename for frame in traceback.extract_tb(error.__traceback__)}
    for source in dict.fromkeys(run.sources.values()):
        if source.path in frames:
            parts = [what for what, other in run.sources.items() if other == source]
            return f"{', '.join(parts)} ({source.name}, {why_of(error, source)})"
    return ""


def reason(error: Exception) -> str:
    """Say in words what an error is."""
    if isinstance(error, OSError):
        why = error.strerror or str(error)
        return f"{from_here(Path(error.filename))}: {why}" if error.filename else why
    return f"{type(error).__name__}: {error}"


def tell(job: Job, message: str) -> None:
    """Write a line to the job's own log and to stderr: something is not as it was left."""
    write_log(job, message)
    print(f"{from_here(job.folder)}: {message}", file=sys.stderr)


def write_log(job: Job, message: str, error: Exception | None = None) -> None:
    """Write a line to the job's own log. A log that cannot be written fails no run."""
    before, logging.raiseExceptions = logging.raiseExceptions, False
    try:
        if job.logging is not None:
            logging.config.dictConfig(dict(job.logging))
        log.log(logging.INFO if error is None else logging.ERROR, "%s", message, exc_info=error)
    except (OSError, ValueError) as refusal:  # the log's file could not be opened
        print(f"{from_here(job.folder)}: no log can be written: {refusal}", file=sys.stderr)
    finally:
        logging.raiseExceptions = before
        if job.logging is not None:
            for handler in list(logging.root.handlers):
                logging.root.removeHandler(handler)
                with suppress(OSError):  # a full disk: what the handler still holds is dropped
                    handler.close()
