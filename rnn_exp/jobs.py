"""A job: a run, the folder it goes to, and the log that is its own."""

import dataclasses
import logging
import logging.config
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from rnn_exp.run import Run

__all__ = ["Job", "note"]

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
