"""Processes forked from one that has imported all that a command needs: quick to start."""

import multiprocessing
import os
import signal
from multiprocessing import forkserver
from multiprocessing.context import ForkServerContext
from pathlib import Path

_FIRST = "tests.composed_once"
_IMPORTED = [
    "pytest",
    "pandas",
    "pyarrow.parquet",
    "hypothesis",
    "hydra.main",
    "rnn_exp.app",
    "rnn_exp._hydra.sweep",
    "rnn_exp.sweeps.worker",
    "rnn_exp.sweeps.pool",
    "rnn_exp.sweeps.progress",
    "rnn_exp.training.run",
    "scipy.special",
    "pyarrow.pandas_compat",
    _FIRST,
    "optuna",
]


def forks() -> ForkServerContext:
    """The context of such processes.

    There is one fork server for all of a process, begun by whoever needs it first, which may have
    been a pool of workers that asked for less; and tests kill it. One that has imported less is
    ended: each command would import the rest again.
    """
    context, server = multiprocessing.get_context("forkserver"), forkserver._forkserver
    context.set_forkserver_preload(_IMPORTED)
    if server._forkserver_pid is not None and not _has_imported(server._forkserver_pid):
        os.kill(server._forkserver_pid, signal.SIGKILL)  # which ends no process that it has forked
        server._stop()
    return context


def _has_imported(server: int) -> bool:
    """Whether a fork server was asked for all of it; where nobody can say, it stays as it is."""
    try:
        return _FIRST in Path(f"/proc/{server}/cmdline").read_text("utf-8")
    except OSError:
        return True
