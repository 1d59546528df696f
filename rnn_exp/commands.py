"""Commands on results: ``rnn-exp-report``, ``rnn-exp-status``, and the drawing of one figure.

Each command imports what it needs when it is called, so that ``rnn-exp-status`` is quick: it needs
neither pandas nor torch.
"""

import functools
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rnn_exp import interrupts

if TYPE_CHECKING:
    from pathlib import Path

    from rnn_exp.storage.loading import Results
    from rnn_exp.sweeps.status import SweepStatus

__all__ = ["draw", "report", "status"]


def report() -> None:
    """Write figures, their tables and one page about a results folder; print the page's path.

    Raises:
        SystemExit: with exit code 1 and a line on stderr if nothing can be read, or written.
    """
    with _command("rnn-exp-report", "the same command begins anew"):
        _report()


def _report() -> None:
    from pathlib import Path

    from rnn_exp.program import Options, printable

    options = Options(
        "rnn-exp-report", description="Draw a results folder: figures, their tables, one page."
    )
    options.add_argument("folder", type=Path, help="a study's folder, or one run's")
    options.add_argument("--out", type=Path, help="where to write (default: FOLDER/report)")
    given = options.parse_args()
    from rnn_exp import report as reports

    results = _load(options.prog, given.folder)
    out = given.out or given.folder / "report"
    out.mkdir(parents=True, exist_ok=True)
    with _damage_told(options.prog):
        page = reports.write(results, out, title=given.folder.resolve().name)
    print(printable(page))


def draw() -> None:
    """Draw one named figure of a results folder into a file.

    Raises:
        SystemExit: with exit code 1 and a line on stderr if it cannot be drawn.
    """
    with _command("draw.py", "the same command begins anew"):
        _draw()


def _draw() -> None:
    from pathlib import Path

    from rnn_exp import figures
    from rnn_exp.figures.parts.style import in_style
    from rnn_exp.program import Options, leave, printable
    from rnn_exp.storage.files import replace_file

    options = Options(
        "draw.py",
        description=f"Draw one figure of a results folder: {', '.join(figures.names())}; or the "
        f"one of a study: {', '.join(figures.study_names())}.",
    )
    options.add_argument("name", help="the figure")
    options.add_argument("folder", type=Path, help="a study's folder, or one run's")
    options.add_argument("file", type=Path, help="where to draw it: .png, .svg or .pdf")
    given = options.parse_args()
    figure = figures.figure(given.name)
    with _damage_told(options.prog):
        plotted = figure.table(_load(options.prog, given.folder))
    with in_style():
        # The temporary neighbour has another ending, so the format is said apart.
        look = {"format": given.file.suffix.removeprefix("."), "dpi": 300}
        try:
            replace_file(given.file, functools.partial(figure.draw(plotted).savefig, **look))
        except OSError as error:
            leave(options.prog, f"{given.file}: {error.strerror or error}")
    print(printable(figure.caption(plotted)))


def status() -> None:
    """Print one line: how many runs of the sweep are done, diverged, failed and left.

    Raises:
        SystemExit: with exit code 1 and a line on stderr if there is no sweep.
    """
    with _command("rnn-exp-status", "the sweep goes on"):
        _status()


def _status() -> None:
    from pathlib import Path

    from rnn_exp.program import Options, printable

    options = Options(
        "rnn-exp-status", description="Say how a sweep stands; run it from another terminal."
    )
    options.add_argument("folder", type=Path, help="the sweep's folder, such as outputs/decay")
    given = options.parse_args()
    from rnn_exp.sweeps.status import status_line, sweep_status

    now = sweep_status(given.folder)
    print(f"{printable(given.folder)}: {status_line(now)}; {_training(now)}")


@contextmanager
def _command(name: str, what_next: str) -> Iterator[None]:
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


def _training(now: "SweepStatus") -> str:
    if now.training:
        return f"{now.training} in training"
    return "nothing is in training" if now.left else "all have ended"


def _load(name: str, folder: "Path") -> "Results":
    """Return the results in a folder; what cannot be read of them is told, a line a folder.

    Raises:
        SystemExit: with exit code 1 if there is nothing that can be read.
    """
    from rnn_exp.program import leave, one_line
    from rnn_exp.storage.loading import load

    results = load(folder)
    broken = results.broken
    if results.runs.empty:
        first = "" if broken.empty else f"; {broken['run'].iloc[0]}: {broken['why'].iloc[0]}"
        leave(name, f"none of {len(broken)} runs in {folder} can be read{first}")
    for run, why in broken.to_numpy().tolist():
        print(one_line(f"{name}: {run} is left out: {why}"), file=sys.stderr)
    interrupts.interruptible(name, "the same command begins anew")
    return results


@contextmanager
def _damage_told(name: str) -> Iterator[None]:
    """A context in which a run that is left out for its damage is told in one line."""
    from rnn_exp.program import one_line
    from rnn_exp.storage.loading import DamagedWarning

    with warnings.catch_warnings():
        warnings.simplefilter("always", DamagedWarning)
        warnings.showwarning = lambda message, *_, **__: print(
            one_line(f"{name}: {message}"), file=sys.stderr
        )
        yield
