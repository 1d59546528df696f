"""Failures of a sweep: a table at its end, and exit code 1."""

import sys
from collections.abc import Sequence
from contextvars import ContextVar
from pathlib import Path

from hydra.core.utils import JobReturn, JobStatus

__all__ = ["FAILED", "tell"]

FAILED: ContextVar[int] = ContextVar("failed runs of the sweep", default=0)


def tell(jobs: Sequence[JobReturn]) -> None:
    """Print every failure: its number, what sets it apart, its cause, and where its log is."""
    failed = [(number, job) for number, job in enumerate(jobs) if job.status != JobStatus.COMPLETED]
    FAILED.set(len(failed))
    if not failed:
        return
    always = set.intersection(*(set(job.overrides or []) for job in jobs))
    rows = [("job", "overrides", "cause", "log")]
    for number, job in failed:
        words = [word for word in job.overrides or [] if word not in always or len(jobs) == 1]
        rows.append((str(number), " ".join(words), _cause(job), _log(job)))
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    for row in rows:
        padded = [text.ljust(width) for text, width in zip(row, widths, strict=False)]
        print("  ".join([*padded, row[3]]), file=sys.stderr)
    print(f"rnn-exp: {len(failed)} of {len(jobs)} runs failed; the same command tries them again",
          file=sys.stderr)  # fmt: skip


def _cause(job: JobReturn) -> str:
    return " ".join(str(job._return_value).split())


def _log(job: JobReturn) -> str:
    """Return where a job's log is: Hydra's launchers know the folder, ours tells it."""
    known = job.hydra_cfg
    folder = Path(known.hydra.runtime.output_dir if known is not None else str(job.working_dir))
    here = Path.cwd()
    return str((folder.relative_to(here) if folder.is_relative_to(here) else folder) / "run.log")
