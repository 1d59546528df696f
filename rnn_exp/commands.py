"""Commands on results: ``rnn-exp-report``, ``rnn-exp-status``, ``rnn-exp-weights``, one figure.

Each command imports what it needs when it is called, so that ``rnn-exp-status`` is quick: it needs
neither pandas nor torch.
"""

import functools
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING

from rnn_exp import interrupts

if TYPE_CHECKING:
    from pathlib import Path

    from rnn_exp.program import Options
    from rnn_exp.storage.loading import Results

__all__ = ["draw", "report", "status", "weights"]


_WEIGHTS_STOPPED = "what was written is whole; the same command writes all of it"


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
    _add_version(options)
    options.add_argument("folder", type=Path, help="a study's folder, or one run's")
    options.add_argument("--out", type=Path, help="where to write (default: FOLDER/report)")
    given = options.parse_args()
    from rnn_exp import report as reports
    from rnn_exp.storage.walk import REPORT

    results = _load(options.prog, given.folder)
    _tell_of_studies(options.prog, given.folder, results)
    out = given.out or given.folder / REPORT
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
    """Print how runs and sweeps stand, a line each: done, diverged, failed, in training, stopped.

    With ``--watch`` it looks again until nothing is in training. With ``--verify`` it says which
    files are not as they were written, and the exit code is 1 if there are any.

    Raises:
        SystemExit: with exit code 1 and a line on stderr if there is nothing to look at.
    """
    with _command("rnn-exp-status", "a sweep goes on"):
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
    _add_version(options)
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

    runs = list(verify(folder))
    bad = {path: why for run in runs for path, why in run.bad.items()}
    for path, why in bad.items():
        print(printable(f"{path}: {why}"))
    old = sum(run.without_hashes for run in runs)
    about_old = f"; {old} of the runs have no hashes, from an earlier version" if old else ""
    files = sum(run.files for run in runs)
    counts = f"{len(runs)} runs, {files} files, {len(bad)} not as written"
    print(printable(f"{folder}: {counts}{about_old}"))
    if bad:
        sys.exit(1)


def weights() -> None:
    """Write the weights before training beside the final ones of a run, or of all runs below.

    Raises:
        SystemExit: with exit code 1 and a line on stderr for what cannot be written.
    """
    with _command("rnn-exp-weights", _WEIGHTS_STOPPED):
        _weights()


def _weights() -> None:
    from pathlib import Path

    from rnn_exp.program import Options, leave, one_line, printable
    from rnn_exp.storage import initial
    from rnn_exp.storage.walk import find
    from rnn_exp.sweeps import process
    from rnn_exp.words import plural

    options = Options(
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
        leave(options.prog, f"there are no runs in {given.folder}")
    failures = []
    interrupts.interruptible(options.prog, _WEIGHTS_STOPPED)
    with _told(options.prog, initial.OtherVersionsWarning):
        for place in places:
            try:
                initial.write_initial_weights(place)
            except (OSError, ValueError) as error:
                failures.append(one_line(f"{options.prog}: {error}"))
    print(f"{plural(len(places) - len(failures), 'file')} {initial.FILE}")
    print(printable(given.folder))
    if failures:
        sys.exit("\n".join(failures))


def _add_version(options: "Options") -> None:
    from rnn_exp.words import versions_line

    options.add_argument("--version", action="version", version=versions_line())


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


def _tell_of_studies(name: str, folder: "Path", results: "Results") -> None:
    """Say that a page is of several sweeps, and how to get one of them."""
    from rnn_exp.program import one_line
    from rnn_exp.storage.walk import studies_in
    from rnn_exp.words import plural

    names = studies_in(folder)
    if len(names) < 2:
        return
    twice = int(results.runs["digest"].duplicated().sum())
    again = f" ({plural(twice, 'run')} of them are there more than once)" if twice else ""
    line = (
        f"{name}: {folder} holds {len(names)} sweeps, and the page is of all their "
        f"{plural(len(results.runs), 'run')}{again}; for one of them: {name} {folder / names[0]}"
    )
    print(one_line(line), file=sys.stderr)


def _damage_told(name: str) -> AbstractContextManager[None]:
    """Return a context in which a run that is left out for its damage is told in one line."""
    from rnn_exp.storage.loading import DamagedWarning

    return _told(name, DamagedWarning)


@contextmanager
def _told(name: str, kind: type[Warning]) -> Iterator[None]:
    """A context in which each warning of a kind is a line of this program on stderr."""
    from rnn_exp.program import one_line

    with warnings.catch_warnings():
        warnings.simplefilter("always", kind)
        warnings.showwarning = lambda message, *_, **__: print(
            one_line(f"{name}: {message}"), file=sys.stderr
        )
        yield
