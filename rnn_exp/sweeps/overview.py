"""How everything below a folder stands: runs alone, sweeps, folders that hold several of them.

It is read from the folders alone, without torch or pandas. What trains is known from the locks,
which a process that was killed does not hold.
"""

import os
import re
import shlex
import sys
from collections.abc import Iterator
from contextlib import closing
from itertools import groupby
from pathlib import Path
from time import sleep, time
from typing import Any, NamedTuple

from rnn_exp.program import printable
from rnn_exp.schema import DONE, RUN_JSON, SWEEP_JSON, is_of_other_kernels, with_its_engine
from rnn_exp.storage.trust import read_json
from rnn_exp.storage.walk import find, is_sweep, sweeps_and_runs
from rnn_exp.sweeps.line import Line
from rnn_exp.sweeps.status import (
    chunks_in_training,
    clock,
    is_worked_on,
    status_parts,
    sweep_status,
)
from rnn_exp.words import plural

__all__ = ["FolderStatus", "overview", "watch"]

_SECONDS_BETWEEN_LOOKS = 2.0
_DONE = ("done",)


class FolderStatus(NamedTuple):
    """How a sweep, a run, or the runs of a folder stand.

    Attributes:
        folder: where they are.
        parts: what there is to say, what is wanted most first.
        in_progress: whether a process works on them.
        counts: what has to change before there is news: not the time left.
    """

    folder: Path
    parts: tuple[str, ...]
    in_progress: bool = False
    counts: tuple[object, ...] = ()

    @property
    def line(self) -> str:
        """All of it, on one line."""
        return printable(f"{self.folder}: {', '.join(self.parts)}")


def overview(folder: Path) -> list[FolderStatus]:
    """Return how everything below a folder stands, a sweep or a run first that lies higher up.

    Args:
        folder: a sweep's, a run's, or one that holds several of them.

    Raises:
        FileNotFoundError: if there is no such folder, or nothing of ours in it.
        ValueError: if the folder is a sweep's or a run's, and cannot be read.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"there is no folder {folder}")
    if _is_listed(folder) or (folder / RUN_JSON).exists():
        return [_status(folder)]
    found = [*(_of_runs(folder, find(folder)) if is_sweep(folder) else _below(folder))]
    if not found:
        raise FileNotFoundError(f"there are no runs in {folder} (no {SWEEP_JSON}, no {RUN_JSON})")
    return found


def watch(folder: Path) -> None:
    """Print how everything below a folder stands, again and again, until nothing is in training.

    On a terminal a single line is drawn in place; else a line is printed when there is news.

    Args:
        folder: as for `overview`.

    Raises:
        FileNotFoundError, ValueError: as `overview` does.
    """
    told: dict[Path, tuple[object, ...]] = {}
    found = overview(folder)
    with closing(Line(sys.stdout, "", 0.0)) as line:
        while any(each.in_progress for each in found):
            for each in found:
                if line.is_terminal and len(found) == 1:
                    line.name = printable(str(each.folder))
                    line.show(None, each.parts)
                elif told.get(each.folder) != each.counts:
                    print(each.line, flush=True)
                told[each.folder] = each.counts
            sleep(_SECONDS_BETWEEN_LOOKS)
            found = overview(folder)
    print("\n".join(each.line for each in found))


def _is_listed(folder: Path) -> bool:
    """Say whether a folder is a sweep whose runs are listed; Hydra's own launchers list none."""
    return (folder / SWEEP_JSON).exists()


def _status(folder: Path) -> FolderStatus:
    return _of_sweep(folder) if _is_listed(folder) else _of_run(folder)


def _below(folder: Path) -> Iterator[FolderStatus]:
    """Yield the status of what lies below a folder that is itself neither a sweep nor a run."""
    for above, places in groupby(sweeps_and_runs(folder), lambda place: place.parent):
        runs, sweeps = list[Path](), list[Path]()
        for place in places:
            (sweeps if is_sweep(place) else runs).append(place)
        yield from _of_runs(above, runs)
        for sweep in sweeps:
            yield from [_or_why_not(sweep)] if _is_listed(sweep) else _of_runs(sweep, find(sweep))


def _of_runs(folder: Path, places: list[Path]) -> Iterator[FolderStatus]:
    """Yield how the runs of a folder stand together, and each that is not done."""
    runs = [_or_why_not(place) for place in places]
    if runs:
        yield _together(folder, runs)
    # A folder may have hundreds of runs that are done, of which one line is enough.
    yield from (run for run in runs if run.counts != _DONE)


def _or_why_not(folder: Path) -> FolderStatus:
    """Return the status of a sweep or run; that it cannot be read stops no other."""
    try:
        return _status(folder)
    except (OSError, ValueError) as error:
        why = str(error) if os.access(folder, os.R_OK | os.X_OK) else "it cannot be looked into"
        return FolderStatus(folder, (why,), counts=("broken",))


def _together(folder: Path, runs: list[FolderStatus]) -> FolderStatus:
    """Return how many of a folder's runs stand in which way."""
    words = [str(run.counts[0]) for run in runs]
    counts = [f"{words.count(word)} {word}" for word in dict.fromkeys(sorted(words))]
    total = plural(len(runs), "run")
    return FolderStatus(folder, (total, *counts), any(run.in_progress for run in runs), (*counts,))


def _of_sweep(folder: Path) -> FolderStatus:
    now = sweep_status(folder)
    counts = (now.done, now.diverged, now.failed, now.training, now.in_progress)
    parts, again = status_parts(now), f": {now.command}" if now.command else ""
    label = [now.label] if now.label else []
    if now.in_progress:
        training = f"{now.training} in training" if now.training else "in progress"
        return FolderStatus(folder, (*parts, training, *label), True, counts)
    if now.left:
        parts[0] = f"stopped: {now.done} of {now.runs} done"
        parts[-1] += f"; start the same command again{again}"
        if now.outdated:
            begin = "begins" if now.outdated == 1 else "begin"
            parts.append(f"{now.outdated} {begin} anew (kernels of another version began)")
    elif now.failed:
        parts[-1] += f"; all have ended; the same command tries the failed ones again{again}"
    else:
        parts[-1] += "; all have ended"
    return FolderStatus(folder, (*parts, *label), False, counts)


def _of_run(folder: Path) -> FolderStatus:
    path = folder / RUN_JSON
    try:
        said: Any = read_json(path)
        status, updates = str(said["status"]), int(said["settings"]["training.updates"])
        if status in DONE:
            return FolderStatus(folder, (str(said.get("message", status)),), counts=_DONE)
        command = with_its_engine(str(said["command"]), said["settings"])
        again = f"start the same command again: {command}{_place(folder)}"
        if is_of_other_kernels(said):
            again += " (it begins anew: kernels of another version began)"
        if status == "failed":
            parts = (f"failed: {said.get('failure', 'it is not known why')}; {again}",)
            return FolderStatus(folder, parts, counts=("failed",))
        if not is_worked_on(folder):
            return FolderStatus(folder, (f"stopped; {again}",), counts=("stopped",))
        return _in_training(folder, updates, time() - path.stat().st_mtime)
    except (ValueError, KeyError, TypeError, OverflowError) as error:
        raise ValueError(f"{path} cannot be read ({type(error).__name__})") from None


def _in_training(folder: Path, updates: int, seconds: float) -> FolderStatus:
    """Return the status of a run that trains since so many seconds."""
    word = "in training"
    chunks = chunks_in_training(folder)
    if not chunks:  # it trains in a sweep's chunk, or has just begun
        return FolderStatus(folder, (word,), True, (word,))
    [chunk, *_] = chunks
    parts = [f"{round(chunk.fraction * updates)}/{updates} updates"]
    if chunk.fraction > chunk.start:
        left = seconds * (1 - chunk.fraction) / (chunk.fraction - chunk.start)
        parts.append(f"{clock(left)} to go")
    return FolderStatus(folder, (*parts, word), True, (word, int(10 * chunk.fraction)))


def _place(folder: Path) -> str:
    """Return the word of the command line that names a run's folder."""
    text = str(folder)
    if re.fullmatch(r"[\w./-]+", text, re.ASCII) is None:
        text = "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
    return f" {shlex.quote(f'hydra.run.dir={text}')}"
