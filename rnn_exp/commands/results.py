"""``rnn-exp-report`` and ``rnn-exp-weights``: commands on results that are there.

Each imports what it needs when it is called.
"""

import dataclasses
import shlex
import sys
from typing import TYPE_CHECKING

from rnn_exp import interrupts
from rnn_exp.commands.command import add_version, command, told
from rnn_exp.commands.reading import add_use, damage_told, load_or_leave, use_given

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from rnn_exp.storage.loading import Results

__all__ = ["report", "weights"]

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

    from rnn_exp.program import Options, one_line, printable

    options = Options(
        "rnn-exp-report", description="Draw a results folder: figures, their tables, one page."
    )
    add_version(options)
    words = "a study's folder, or one run's; of several a page that compares them"
    options.add_argument("folder", type=Path, nargs="+", help=words)
    words = "where to write (default: FOLDER/report; of several folders it has to be said)"
    options.add_argument("--out", type=Path, help=words)
    add_use(options)
    given = options.parse_args()
    use_given(given)
    from rnn_exp import report as reports
    from rnn_exp.storage.study import compared, study_of
    from rnn_exp.storage.walk import REPORT, study_names

    first, *others = given.folder
    if others and given.out is None:
        options.error("several folders are compared in a folder of its own: --out FOLDER")
    if len({each.resolve() for each in given.folder}) < len(given.folder):
        options.error("one folder is there twice")
    results = load_or_leave(options.prog, *given.folder)
    if not others:
        _tell_of_studies(options.prog, first, results)
    study = compared(study_names(given.folder)) if others else study_of(first)
    with damage_told(options.prog):
        left = _left(given.folder, results, study.command)
        study = dataclasses.replace(study, versions=results.versions, left=left)
        page = reports.write(results, _made(options.prog, given.out) or first / REPORT, study)
    print(printable(page))
    if left:
        print(one_line(f"{options.prog}: {left}"), file=sys.stderr)


def _made(name: str, out: "Path | None") -> "Path | None":
    """Return the folder that a page is to be written into, and make it; None: none was named.

    Raises:
        SystemExit: if it cannot be made.
    """
    from rnn_exp.program import leave

    if out is not None and out.exists() and not out.is_dir():
        leave(name, f"--out {out}: this is a file; write the name of a folder")
    try:
        if out is not None:
            out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        why = error.strerror or type(error).__name__
        leave(name, f"--out {out}: this folder cannot be made ({why}); write another one")
    return out


def _left(folders: "Sequence[Path]", results: "Results", again: str) -> str:
    """Return how the runs stand that have not ended, and what goes on with them; "": all have.

    Args:
        folders: where the runs are.
        results: of them.
        again: the command that began them; "": it is not known, or there are several.
    """
    from rnn_exp.schema import RUN_JSON
    from rnn_exp.storage.walk import find
    from rnn_exp.sweeps.status import is_worked_on

    if not results.runs["status"].eq("running").any():
        return ""
    runs = [run for folder in folders for run in find(folder)]
    if any(map(is_worked_on, {*folders, *runs, *(run.parent for run in runs)})):
        return "Runs are in training now; once they have ended, the same command draws them too."
    looked = " and ".join(f"rnn-exp-status {shlex.quote(str(folder))}" for folder in folders)
    is_known = again and not (folders[0] / RUN_JSON).exists()  # that of a run has no folder
    how = again if is_known else f"{looked} shows it"
    return f"What has not ended is stopped; the command that began it goes on from there: {how}"


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
    add_use(options)
    given = options.parse_args()
    use_given(given)
    process.settle()
    process.use_one_thread()
    if not given.folder.exists():
        leave(options.prog, f"there is no folder {given.folder}")
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
