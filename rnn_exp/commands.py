"""Commands on results: ``rnn-exp-report``, ``-status``, ``-weights``, the drawing of one figure.

Each command imports what it needs when it is called, so that ``rnn-exp-status`` is quick: it needs
neither pandas nor torch.
"""

import argparse
import functools
import sys
import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from rnn_exp.sweeps.overview import overview, watch
from rnn_exp.words import versions_line

if TYPE_CHECKING:
    from rnn_exp.storage.loading import Results

__all__ = ["draw", "report", "status", "weights"]


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
    _tell_of_studies(options.prog, given.folder, results)
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
    With ``--verify`` it says which files are not as they were written.
    """
    options = _status_options()
    given = options.parse_args()
    if given.verify:
        _verify(options.prog, given.folder)
        return
    try:
        if given.watch:
            watch(given.folder)
        else:
            print("\n".join(each.line for each in overview(given.folder)))
    except (OSError, ValueError) as error:
        _leave(options.prog, str(error))
    except KeyboardInterrupt:
        sys.exit(130)


def weights() -> None:
    """Write the weights before training beside the final ones of a run, or of all runs below."""
    from rnn_exp.storage import initial
    from rnn_exp.storage.places import find
    from rnn_exp.sweeps import process
    from rnn_exp.words import plural, printable

    options = argparse.ArgumentParser(
        "rnn-exp-weights",
        description=f"Write {initial.FILE} beside weights.safetensors: drawn again from the "
        "settings and the seed, so that update 0 can be computed again.",
    )
    options.add_argument("folder", type=Path, help="one run's folder, or a study's")
    _add_version(options)
    given = options.parse_args()
    process.settle()
    process.use_one_thread()
    places = find(given.folder) if given.folder.is_dir() else []
    if not places:
        _leave(options.prog, f"there are no runs in {given.folder}")
    failures = []
    with _told(options.prog, initial.OtherVersionsWarning):
        for place in places:
            try:
                initial.write_initial_weights(place)
            except (OSError, ValueError) as error:
                failures.append(f"{options.prog}: {printable(str(error))}")
    print(f"{plural(len(places) - len(failures), 'file')} {initial.FILE}\n{given.folder}")
    if failures:
        sys.exit("\n".join(failures))


def _verify(program: str, folder: Path) -> None:
    """Print each file that is not as it was written, and how many were looked at.

    Raises:
        SystemExit: with exit code 1 if there is such a file, or no run.
    """
    from rnn_exp.storage.verifying import verify

    try:
        runs = list(verify(folder))
    except OSError as error:
        _leave(program, str(error))
    if not runs:
        _leave(program, f"there are no runs in {folder}")
    bad = {path: why for run in runs for path, why in run.bad.items()}
    for path, why in bad.items():
        print(f"{path.relative_to(folder.absolute())}: {why}")
    old = sum(run.without_hashes for run in runs)
    about_old = f"; {old} of the runs have no hashes, from an earlier version" if old else ""
    files = sum(run.files for run in runs)
    print(f"{folder}: {len(runs)} runs, {files} files, {len(bad)} not as written{about_old}")
    if bad:
        sys.exit(1)


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
    options.add_argument(
        "--verify", action="store_true", help="look whether every file is as it was written"
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


def _tell_of_studies(program: str, folder: Path, results: "Results") -> None:
    """Say that a page is of several sweeps, and how to get one of them."""
    from rnn_exp.storage.places import studies_in
    from rnn_exp.words import plural, printable

    names = studies_in(folder)
    if len(names) < 2:
        return
    twice = int(results.runs["digest"].duplicated().sum())
    again = f" ({plural(twice, 'run')} of them are there more than once)" if twice else ""
    line = (
        f"{program}: {folder} holds {len(names)} sweeps, and the page is of all their "
        f"{plural(len(results.runs), 'run')}{again}; for one of them: {program} {folder / names[0]}"
    )
    print(printable(line), file=sys.stderr)


def _damage_told(program: str) -> AbstractContextManager[None]:
    """Return a context in which a run that is left out for its damage is told in one line."""
    from rnn_exp.storage.loading import DamagedWarning

    return _told(program, DamagedWarning)


@contextmanager
def _told(program: str, kind: type[Warning]) -> Iterator[None]:
    """A context in which each warning of a kind is a line of this program on stderr."""
    with warnings.catch_warnings():
        warnings.simplefilter("always", kind)
        warnings.showwarning = lambda message, *_, **__: print(
            f"{program}: {message}", file=sys.stderr
        )
        yield


def _leave(program: str, why: str) -> NoReturn:
    sys.exit(f"{program}: {why}")
