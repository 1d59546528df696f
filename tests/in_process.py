"""The command ``rnn-exp`` in this very process: some milliseconds in the place of seconds."""

import contextlib
import contextvars
import io
import logging
import os
import signal
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple
from unittest import mock

from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import JobReturn, JobStatus

from rnn_exp._hydra import results
from rnn_exp._hydra.sweep import Sweep
from rnn_exp.app import main
from rnn_exp.storage.objective import Objective
from rnn_exp.sweeps import worker
from rnn_exp.sweeps.pool import Pool, ThisProcess


class Ended(NamedTuple):
    """How a command ended: its exit code, what it wrote to its streams, what lies there now."""

    code: int
    out: str
    err: str
    left: list[str]

    @property
    def is_refusal(self) -> bool:
        """Whether it is one line on stderr, and nothing else."""
        return (
            self.code not in (0, None)
            and self.err.count("\n") == 1
            and self.err.endswith("\n")
            and "Traceback" not in self.err
            and self.out == ""
            and self.left == []
        )


def command(folder: Path, *words: str, function: Callable[[], object] = main) -> Ended:
    """Run a command without training anything.

    Args:
        folder: the working directory.
        words: of the command line, without the program's name.
        function: the command.
    """
    with _untrained():
        return run(folder, *words, function=function)


def run(
    folder: Path,
    *words: str,
    function: Callable[[], object] = main,
    program: str = "rnn-exp",
) -> Ended:
    """Run a command as it is, and train what it trains in this process.

    Args:
        folder: the working directory.
        words: of the command line, without the program's name.
        function: the command.
        program: its name.
    """
    before = sorted(folder.rglob("*"))
    with _as_before(), contextlib.chdir(folder):
        sys.argv = [program, *words]
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = contextvars.copy_context().run(_exit_code, function)
    left = [str(path.relative_to(folder)) for path in sorted(folder.rglob("*"))]
    known = {str(path.relative_to(folder)) for path in before}
    return Ended(code, out.getvalue(), err.getvalue(), [name for name in left if name not in known])


def _exit_code(function: Callable[[], object]) -> int:
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        warnings.simplefilter("ignore", ResourceWarning)  # a file that Python closes by itself
        warnings.showwarning = lambda message, *_, **__: print(message, file=sys.stderr)
        try:
            function()
        except SystemExit as left:
            if isinstance(left.code, str):  # as Python itself does
                print(left.code, file=sys.stderr)
                return 1
            return left.code or 0
    return 0


@contextlib.contextmanager
def _untrained() -> Iterator[None]:
    """A context in which runs end at once, and no process is started."""

    def train_jobs(jobs, *_):
        return [worker.JobResult("finished", "finished") for _ in jobs]

    def train(self, jobs, *_):
        return [
            JobReturn(list(job.overrides), working_dir=".", status=JobStatus.COMPLETED)
            for job in jobs
        ]

    def said(folder):
        return {"status": "finished", "message": "finished"}

    with (
        mock.patch.object(results, "_said", said),
        mock.patch.object(Objective, "of", return_value=None),
        mock.patch.object(worker, "train_jobs", train_jobs),
        mock.patch.object(Sweep, "train", train),
        mock.patch.object(Pool, "open", return_value=ThisProcess()),
    ):
        yield


@contextlib.contextmanager
def _as_before() -> Iterator[None]:
    """A context that leaves nothing of a command behind in this process."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    path, arguments = list(sys.path), list(sys.argv)
    level, loggers = logging.root.level, list(logging.root.handlers)
    try:
        with mock.patch.dict(os.environ):
            os.environ.pop("HYDRA_FULL_ERROR", None)
            yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        sys.path[:], sys.argv[:] = path, arguments
        for handler in logging.root.handlers:
            if handler not in loggers and isinstance(handler, logging.FileHandler):
                handler.close()
        logging.root.handlers[:] = loggers
        logging.root.setLevel(level)
        GlobalHydra.instance().clear()
        HydraConfig.instance().cfg = None
