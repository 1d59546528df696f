"""``rnn-exp-status``: how runs and sweeps stand, and whether every file is as it was written.

It needs neither pandas nor torch, so it is quick.
"""

import sys
from typing import TYPE_CHECKING

from rnn_exp import interrupts
from rnn_exp.commands.command import add_version, command

if TYPE_CHECKING:
    from pathlib import Path

    from rnn_exp.program import Options

__all__ = ["status"]


def status() -> None:
    """Print how runs and sweeps stand, a line each: done, diverged, failed, in training, stopped.

    With ``--watch`` it looks again until nothing is in training. With ``--verify`` it says which
    files are not as they were written, and the exit code is 1 if there are any.

    Raises:
        SystemExit: with exit code 1 and a line on stderr if there is nothing to look at.
    """
    with command("rnn-exp-status", "a sweep goes on"):
        _status()


def _status() -> None:
    given = _status_options().parse_args()
    if given.verify:
        _verify(given.folder)
        return
    from rnn_exp.sweeps.overview import overview, watch

    if given.watch:
        interrupts.interruptible("rnn-exp-status", "a sweep goes on")
        watch(given.folder)
    else:
        print("\n".join(each.line for each in overview(given.folder)))


def _status_options() -> "Options":
    """Return what ``rnn-exp-status`` understands."""
    from pathlib import Path

    from rnn_exp.program import Options

    options = Options(
        "rnn-exp-status",
        description="Say how runs and sweeps stand; run it from another terminal.",
    )
    add_version(options)
    options.add_argument(
        "folder", type=Path, help="a sweep's (outputs/decay), a run's, or one that holds several"
    )
    what = options.add_mutually_exclusive_group()
    what.add_argument(
        "--watch", action="store_true", help="look again every few seconds, until all is done"
    )
    what.add_argument(
        "--verify", action="store_true", help="look whether every file is as it was written"
    )
    return options


def _verify(folder: "Path") -> None:
    """Print each file that is not as it was written, and how many were looked at.

    Raises:
        FileNotFoundError: if there is no such folder, or no run in it.
        SystemExit: with exit code 1 if a file is not as it was written.
    """
    from rnn_exp.program import printable
    from rnn_exp.storage.verifying import verify
    from rnn_exp.words import plural

    runs = list(verify(folder))
    bad = {path: why for run in runs for path, why in run.bad.items()}
    for path, why in bad.items():
        print(printable(f"{path}: {why}"))
    old = sum(run.without_hashes for run in runs)
    about_old = f"; {old} of the runs have no hashes, from an earlier version" if old else ""
    files = sum(run.files for run in runs)
    counts = f"{plural(len(runs), 'run')}, {plural(files, 'file')}, {len(bad)} not as written"
    print(printable(f"{folder}: {counts}{about_old}"))
    if bad:
        sys.exit(1)
