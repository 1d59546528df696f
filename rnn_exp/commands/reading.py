"""What the commands on results have in common: files of users to run first, what is left out."""

import sys
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from rnn_exp import interrupts
from rnn_exp.commands.command import add_config_dir, told

if TYPE_CHECKING:
    import argparse
    from pathlib import Path

    from rnn_exp.program import Options
    from rnn_exp.storage.loading import Results

__all__ = ["add_use", "damage_told", "load_or_leave", "use_given"]


def add_use(options: "Options") -> None:
    """Let a command have files of users run, which register parts of their own.

    Args:
        options: of the command.
    """
    words = "a Python file of your own to run before; may be given several times"
    options.add_argument("--use", action="append", default=[], metavar="FILE", help=words)
    add_config_dir(options)


def use_given(given: "argparse.Namespace") -> None:
    """Run the files of users that a command is given.

    Args:
        given: its options.
    """
    from rnn_exp.registry import load_plugins, use_files

    load_plugins()
    use_files(given.use, [given.config_dir] if given.config_dir else [])


def load_or_leave(name: str, *folders: "Path") -> "Results":
    """Return the results in some folders; what cannot be read is told, a line a folder.

    Args:
        name: of the command.
        folders: one, or several whose runs are put together.

    Raises:
        SystemExit: with exit code 1 if there is nothing that can be read.
    """
    from rnn_exp.program import leave, one_line
    from rnn_exp.storage.loading import load

    results = load(folders[0] if len(folders) == 1 else folders)
    nothing, broken = results.runs.empty, results.broken
    said = "cannot be read" if nothing else "is left out"
    for run, why in broken.to_numpy().tolist():
        print(one_line(f"{name}: {run} {said}: {why}"), file=sys.stderr)
    if nothing:
        of = {1: "the only run"}.get(len(broken), f"none of the {len(broken)} runs")
        can = "cannot" if len(broken) == 1 else "can"
        leave(name, f"{of} in {' and '.join(map(str, folders))} {can} be read: nothing is written")
    interrupts.interruptible(name, "the same command begins anew")
    return results


def damage_told(name: str) -> AbstractContextManager[None]:
    """Return a context in which a run that is left out for its damage is told in one line.

    Args:
        name: of the command.
    """
    from rnn_exp.storage.loading import DamagedWarning

    return told(name, DamagedWarning)
