"""``rnn-exp-report``, ``rnn-exp-weights`` and one figure: commands on results that are there.

Each imports what it needs when it is called.
"""

import functools
import sys
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from rnn_exp import interrupts
from rnn_exp.commands.command import add_config_dir, add_version, command, told

if TYPE_CHECKING:
    import argparse
    from pathlib import Path

    from rnn_exp.program import Options
    from rnn_exp.storage.loading import Results

__all__ = ["draw", "report", "weights"]

_WEIGHTS_STOPPED = "what was written is whole; the same command writes all of it"


def report() -> None:
    """Write figures, their tables and one page about a results folder; print the page's path.

    Raises:
        SystemExit: with exit code 1 and a line on stderr if nothing can be read, or written.
    """
    with command("rnn-exp-report", "the same command begins anew"):
        _report()


def _report() -> None:
    from pathlib import Path

    from rnn_exp.program import Options, printable

    options = Options(
        "rnn-exp-report", description="Draw a results folder: figures, their tables, one page."
    )
    add_version(options)
    options.add_argument("folder", type=Path, help="a study's folder, or one run's")
    options.add_argument("--out", type=Path, help="where to write (default: FOLDER/report)")
    _add_use(options)
    given = options.parse_args()
    _use(given)
    from rnn_exp import report as reports
    from rnn_exp.storage.study import study_of
    from rnn_exp.storage.walk import REPORT

    results = _load(options.prog, given.folder)
    _tell_of_studies(options.prog, given.folder, results)
    out = given.out or given.folder / REPORT
    with _damage_told(options.prog):
        page = reports.write(results, out, study_of(given.folder))
    print(printable(page))


def draw() -> None:
    """Draw one named figure of a results folder into a file.

    Raises:
        SystemExit: with exit code 1 and a line on stderr if it cannot be drawn.
    """
    with command("draw.py", "the same command begins anew"):
        _draw()


def _draw() -> None:
    from pathlib import Path

    from rnn_exp import figures
    from rnn_exp.figures.parts.drawing import whole_caption
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
    _add_use(options)
    given = options.parse_args()
    _use(given)
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
    print(printable(whole_caption(figure, plotted)))


def weights() -> None:
    """Write the weights before training beside the final ones of a run, or of all runs below.

    Raises:
        SystemExit: with exit code 1 and a line on stderr for what cannot be written.
    """
    with command("rnn-exp-weights", _WEIGHTS_STOPPED):
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
    add_version(options)
    _add_use(options)
    given = options.parse_args()
    _use(given)
    process.settle()
    process.use_one_thread()
    places = find(given.folder) if given.folder.is_dir() else []
    if not places:
        leave(options.prog, f"there are no runs in {given.folder}")
    failures = []
    interrupts.interruptible(options.prog, _WEIGHTS_STOPPED)
    with told(options.prog, initial.OtherVersionsWarning):
        for place in places:
            try:
                initial.write_initial_weights(place)
            except (OSError, ValueError) as error:
                failures.append(one_line(f"{options.prog}: {error}"))
    print(f"{plural(len(places) - len(failures), 'file')} {initial.FILE}")
    print(printable(given.folder))
    if failures:
        sys.exit("\n".join(failures))


def _add_use(options: "Options") -> None:
    """Let a command have files of users run, which register parts of their own."""
    words = "a Python file of your own to run before; may be given several times"
    options.add_argument("--use", action="append", default=[], metavar="FILE", help=words)
    add_config_dir(options)


def _use(given: "argparse.Namespace") -> None:
    """Run the files of users that a command is given."""
    from rnn_exp.registry import load_plugins, use_files

    load_plugins()
    use_files(given.use, [given.config_dir] if given.config_dir else [])


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

    return told(name, DamagedWarning)
