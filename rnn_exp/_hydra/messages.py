"""What is told of errors: one line that helps, and a table of what failed at a sweep's end."""

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

__all__ = ["FAILED", "in_one_line", "tell"]


def in_one_line(error: BaseException) -> str | None:
    """Return the line to show, or None for an error that is not the user's doing."""
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
    if isinstance(error, (HydraException, OmegaConfBaseException)) or _comes_from_hydra(error):
        return " ".join(str(error).split())
    return None


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield the error and what it was raised from, the outermost first."""
    seen: BaseException | None = error
    while seen is not None:
        yield seen
        seen = seen.__cause__ or seen.__context__


def _comes_from_hydra(error: BaseException) -> bool:
    """Say whether Hydra itself raised a plain error (a command line such as ``=3`` does that)."""
    frames = traceback.extract_tb(error.__traceback__)
    return bool(frames) and "hydra" in Path(frames[-1].filename).parts


def _unknown_choice(error: MissingConfigException) -> str:
    group, _, name = str(error.missing_cfg_file).rpartition("/")
    options = sorted(error.options or [])
    return (
        f"{group}={name} is not there: allowed is one of {', '.join(options)}{_near(name, options)}"
    )


def _unknown_key(error: OmegaConfBaseException) -> str:
    key, parent = str(error.full_key or error.key), error.parent_node
    if not isinstance(parent, DictConfig):
        return " ".join(str(error).split())
    name = key.rpartition(".")[2]
    options = sorted(str(option) for option in parent if option != "hydra")
    prefix = key.removesuffix(name)
    told = ", ".join(f"{prefix}{option}" for option in options)
    typed = next((word for word in sys.argv[1:] if word.lstrip("+~").startswith(key)), key)
    return (
        f"{typed}: there is no such setting; allowed is one of {told}{_near(name, options, prefix)}"
    )


def _near(name: str, options: list[str], prefix: str = "") -> str:
    near = difflib.get_close_matches(name, options, n=1)
    return f" (did you mean {prefix}{near[0]}?)" if near else ""


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
    print(
        f"rnn-exp: {len(failed)} of {len(jobs)} runs failed; the same command tries them again",
        file=sys.stderr,
    )


def _cause(job: JobReturn) -> str:
    return " ".join(str(job._return_value).split())


def _log(job: JobReturn) -> str:
    """Return where a job's log is: Hydra's launchers know the folder, ours tells it."""
    known = job.hydra_cfg
    folder = Path(known.hydra.runtime.output_dir if known is not None else str(job.working_dir))
    here = Path.cwd()
    return str((folder.relative_to(here) if folder.is_relative_to(here) else folder) / "run.log")
