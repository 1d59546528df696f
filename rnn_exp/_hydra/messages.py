"""Messages about errors: one line for a refused command, a table of a sweep's failures."""

import difflib
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextvars import ContextVar
from pathlib import Path

from hydra.core.utils import JobReturn, JobStatus
from hydra.errors import HydraException, MissingConfigException
from omegaconf import DictConfig
from omegaconf.errors import ConfigAttributeError, ConfigKeyError, OmegaConfBaseException

from rnn_exp.fields import SettingError

__all__ = ["FAILED_RUNS", "one_line_error", "print_failures"]

FAILED_RUNS: ContextVar[int] = ContextVar("number of the sweep's runs that failed", default=0)
"""Set when a sweep has ended; the exit code depends on it. (`hydra.main` returns nothing.)"""


def one_line_error(error: BaseException) -> str | None:
    """Return one line that says what to change in the command.

    Returns:
        The line, or None if the error is not caused by the command.
    """
    chain = list(_causes(error))
    for cause in chain:
        if isinstance(cause, SettingError):
            return str(cause)
        if isinstance(cause, MissingConfigException) and cause.options is not None:
            return _unknown_choice(cause)
        if isinstance(cause, (ConfigKeyError, ConfigAttributeError)) and cause.key is not None:
            return _unknown_key(cause)
    for cause in chain:
        if isinstance(cause, OSError):
            where = f"{cause.filename}: " if cause.filename else ""
            return f"{where}{cause.strerror or cause}"
    if isinstance(error, (HydraException, OmegaConfBaseException)) or _is_raised_by_hydra(error):
        return " ".join(str(error).split())
    return None


def print_failures(jobs: Sequence[JobReturn]) -> None:
    """Print a table of the jobs that failed, if any, and set `FAILED_RUNS`.

    A row has the job's number, the overrides that not all jobs have, the cause, and the log.

    Args:
        jobs: the results of all jobs of the sweep, in order.
    """
    failed = [(number, job) for number, job in enumerate(jobs) if job.status != JobStatus.COMPLETED]
    FAILED_RUNS.set(len(failed))
    if not failed:
        return
    common = set.intersection(*(set(job.overrides or []) for job in jobs))
    rows = [("job", "overrides", "cause", "log")]
    for number, job in failed:
        own = [word for word in job.overrides or [] if word not in common or len(jobs) == 1]
        rows.append((str(number), " ".join(own), _cause(job), _log(job)))
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    for row in rows:
        padded = [text.ljust(width) for text, width in zip(row, widths, strict=False)]
        print("  ".join([*padded, row[3]]), file=sys.stderr)
    print(
        f"rnn-exp: {len(failed)} of {len(jobs)} runs failed; the same command tries them again",
        file=sys.stderr,
    )


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield the error and what it was raised from, the outermost first."""
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__ or cause.__context__


def _is_raised_by_hydra(error: BaseException) -> bool:
    """Whether Hydra's own code raised a plain error, as for a command line such as ``=3``."""
    frames = traceback.extract_tb(error.__traceback__)
    return bool(frames) and "hydra" in Path(frames[-1].filename).parts


def _unknown_choice(error: MissingConfigException) -> str:
    group, _, name = str(error.missing_cfg_file).rpartition("/")
    options = sorted(error.options or [])
    return (
        f"{group}={name} is not there: allowed is one of {', '.join(options)}"
        f"{_suggestion(name, options)}"
    )


def _unknown_key(error: OmegaConfBaseException) -> str:
    key, parent = str(error.full_key or error.key), error.parent_node
    if not isinstance(parent, DictConfig):
        return " ".join(str(error).split())
    name = key.rpartition(".")[2]
    options = sorted(str(option) for option in parent if option != "hydra")
    prefix = key.removesuffix(name)
    allowed = ", ".join(f"{prefix}{option}" for option in options)
    typed = next((word for word in sys.argv[1:] if word.lstrip("+~").startswith(key)), key)
    return (
        f"{typed}: there is no such setting; allowed is one of {allowed}"
        f"{_suggestion(name, options, prefix)}"
    )


def _suggestion(name: str, options: list[str], prefix: str = "") -> str:
    near = difflib.get_close_matches(name, options, n=1)
    return f" (did you mean {prefix}{near[0]}?)" if near else ""


def _cause(job: JobReturn) -> str:
    return " ".join(str(job._return_value).split())


def _log(job: JobReturn) -> str:
    """Return the path of a job's log.

    Hydra's own launchers return the job's configuration, which has its folder; `ChunkLauncher`
    returns the folder itself.
    """
    config = job.hydra_cfg
    folder = Path(config.hydra.runtime.output_dir if config is not None else str(job.working_dir))
    here = Path.cwd()
    return str((folder.relative_to(here) if folder.is_relative_to(here) else folder) / "run.log")
