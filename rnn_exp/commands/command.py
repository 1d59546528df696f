"""What commands have in common: errors and Ctrl-C in one line, the version, told warnings."""

import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from rnn_exp import interrupts

if TYPE_CHECKING:
    from rnn_exp.program import Options

__all__ = ["add_config_dir", "add_version", "command", "told"]


def add_version(options: "Options") -> None:
    """Let a command answer ``--version``."""
    from rnn_exp.words import versions_line

    options.add_argument("--version", action="version", version=versions_line())


def add_config_dir(options: "Options") -> None:
    """Let a command be told where files of users are looked for, as ``rnn-exp`` is."""
    words = "a folder in which a used file is looked for after the current one, as rnn-exp does"
    options.add_argument("-cd", "--config-dir", type=Path, metavar="DIR", help=words)


@contextmanager
def command(name: str, what_next: str) -> Iterator[None]:
    """A context in which errors and Ctrl-C are one line on stderr.

    Args:
        name: the command's, which begins the line.
        what_next: what is said to whoever stops it.
    """
    interrupts.begin(name)
    try:
        yield
    except KeyboardInterrupt:
        interrupts.stopped(name, what_next)
    except Exception as error:
        if os.environ.get("HYDRA_FULL_ERROR") == "1":
            raise
        from rnn_exp.program import leave, line_of

        leave(name, line_of(error))


@contextmanager
def told(name: str, kind: type[Warning]) -> Iterator[None]:
    """A context in which each warning of a kind is a line of this program on stderr."""
    from rnn_exp.program import one_line

    with warnings.catch_warnings():
        warnings.simplefilter("always", kind)
        warnings.showwarning = lambda message, *_, **__: print(
            one_line(f"{name}: {message}"), file=sys.stderr
        )
        yield
