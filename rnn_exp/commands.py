"""Commands on results: ``rnn-exp-report``, ``rnn-exp-status``, and the drawing of one figure.

Each command imports what it needs when it is called, so that ``rnn-exp-status`` is quick: it needs
neither pandas nor torch.
"""

import argparse
import functools
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from rnn_exp.sweeps.overview import overview, watch
from rnn_exp.words import versions_line

if TYPE_CHECKING:
    from rnn_exp.storage.loading import Results

__all__ = ["draw", "report", "status"]


def report() -> None:
    """Write figures, their tables and one page about a results folder; print the page's path."""
    from rnn_exp import report as reports

    options = argparse.ArgumentParser(
        "rnn-exp-report", description="Draw a results folder: figures, their tables, one page."
    )
    _add_version(options)
    options.add_argument("folder", type=Path, help="a study's folder, or one run's")
    options.add_argument("--out", type=Path, help="where to write (default: FOLDER/report)")
    given = options.parse_args()
    results = _load(options.prog, given.folder)
    out = given.out or given.folder / "report"
    try:
        out.mkdir(parents=True, exist_ok=True)
        with _damage_told(options.prog):
            page = reports.write(results, out, title=given.folder.resolve().name)
    except OSError as error:
        _leave(options.prog, f"{error.filename or out}: {error.strerror or error}")
    print(page)


def draw() -> None:
    """Draw one named figure of a results folder into a file."""
    from rnn_exp import figures
    from rnn_exp.figures.parts.style import in_style
    from rnn_exp.storage.files import replace_file

    options = argparse.ArgumentParser(
        "draw.py",
        description=f"Draw one figure of a results folder: {', '.join(figures.names())}; or the "
        f"one of a study: {', '.join(figures.study_names())}.",
    )
    options.add_argument("name", help="the figure")
    options.add_argument("folder", type=Path, help="a study's folder, or one run's")
    options.add_argument("file", type=Path, help="where to draw it: .png, .svg or .pdf")
    given = options.parse_args()
    try:
        figure = figures.figure(given.name)
        with _damage_told(options.prog):
            plotted = figure.table(_load(options.prog, given.folder))
        with in_style():
            # The temporary neighbour has another ending, so the format is said apart.
            look = {"format": given.file.suffix.removeprefix("."), "dpi": 300}
            replace_file(given.file, functools.partial(figure.draw(plotted).savefig, **look))
    except ValueError as error:
        _leave(options.prog, str(error))
    except OSError as error:
        _leave(options.prog, f"{given.file}: {error.strerror or error}")
    print(figure.caption(plotted))


def status() -> None:
    """Print how runs and sweeps stand, a line each: done, diverged, failed, in training, stopped.

    With ``--watch`` it looks again until nothing is in training; Ctrl-C ends it with exit code 130.
    """
    options = _status_options()
    given = options.parse_args()
    try:
        if given.watch:
            watch(given.folder)
        else:
            print("\n".join(each.line for each in overview(given.folder)))
    except (OSError, ValueError) as error:
        _leave(options.prog, str(error))
    except KeyboardInterrupt:
        sys.exit(130)


def _status_options() -> argparse.ArgumentParser:
    """Return what ``rnn-exp-status`` understands."""
    options = argparse.ArgumentParser(
        "rnn-exp-status",
        description="Say how runs and sweeps stand; run it from another terminal.",
    )
    _add_version(options)
    options.add_argument(
        "folder", type=Path, help="a sweep's (outputs/decay), a run's, or one that holds several"
    )
    options.add_argument(
        "--watch", action="store_true", help="look again every few seconds, until all is done"
    )
    return options


def _add_version(options: argparse.ArgumentParser) -> None:
    options.add_argument("--version", action="version", version=versions_line())


def _load(program: str, folder: Path) -> "Results":
    from rnn_exp.storage.loading import load

    try:
        return load(folder)
    except OSError as error:
        _leave(program, str(error))


@contextmanager
def _damage_told(program: str) -> Iterator[None]:
    """A context in which a run that is left out for its damage is told in one line."""
    from rnn_exp.storage.loading import DamagedWarning

    with warnings.catch_warnings():
        warnings.simplefilter("always", DamagedWarning)
        warnings.showwarning = lambda message, *_, **__: print(
            f"{program}: {message}", file=sys.stderr
        )
        yield


def _leave(program: str, why: str) -> NoReturn:
    sys.exit(f"{program}: {why}")
