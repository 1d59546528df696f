"""The table of a sweep's failures, and their number, on which the exit code depends."""

import sys
from collections.abc import Mapping
from contextvars import ContextVar
from pathlib import Path

from hydra.core.utils import JobReturn, JobStatus

from rnn_exp.program import one_line, printable
from rnn_exp.words import from_here

__all__ = ["FAILED_RUNS", "print_failures"]

FAILED_RUNS: ContextVar[int] = ContextVar("number of the sweep's runs that failed", default=0)
"""Set when a sweep has ended; the exit code depends on it. (`hydra.main` returns nothing.)"""


def print_failures(jobs: Mapping[int, JobReturn]) -> None:
    """Print a table of the runs that failed, if any, and set `FAILED_RUNS`.

    A row has the job's number, the overrides that not all jobs have, the cause, and the log.

    Args:
        jobs: the result of each run of the sweep by the number of its job, the first one if a
            sweep names a run twice.
    """
    failed = [(number, job) for number, job in jobs.items() if job.status != JobStatus.COMPLETED]
    FAILED_RUNS.set(len(failed))
    if not failed:
        return
    common = set.intersection(*(set(job.overrides or []) for job in jobs.values()))
    rows = [("job", "overrides", "cause", "log")]
    for number, job in failed:
        own = [word for word in job.overrides or [] if word not in common or len(jobs) == 1]
        rows.append((str(number), " ".join(own), _cause(job), _log(job)))
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    for row in rows:
        padded = [text.ljust(width) for text, width in zip(row, widths, strict=False)]
        print(printable("  ".join([*padded, row[3]])), file=sys.stderr)
    print(
        f"rnn-exp: {len(failed)} of {len(jobs)} runs failed; the same command tries them again",
        file=sys.stderr,
    )


def _cause(job: JobReturn) -> str:
    return one_line(str(job._return_value))


def _log(job: JobReturn) -> str:
    """Return the path of a job's log.

    Hydra's own launchers return the job's configuration, which has its folder; `ChunkLauncher`
    returns the folder itself.
    """
    config = job.hydra_cfg
    folder = Path(config.hydra.runtime.output_dir if config is not None else str(job.working_dir))
    return str(from_here(folder) / "run.log")
