"""Loading: the runs of a folder, or of several studies, as tidy tables."""

import glob
from collections.abc import Iterable, Mapping
from pathlib import Path

import pyarrow as pa

from rnn_exp.data.parquet_table import reason
from rnn_exp.schema import WITHOUT_RESULTS
from rnn_exp.storage.results import DamagedWarning, Results
from rnn_exp.storage.run_json import RunFolder, read
from rnn_exp.storage.trust import without_place
from rnn_exp.storage.walk import DEPTH, find, name_in, study_names

__all__ = ["DamagedWarning", "Results", "held_in_memory", "load", "of_runs"]

_Read = tuple[list[RunFolder], list[dict[str, str]]]


def load(folder: str | Path | Iterable[str | Path], *, unfinished: bool = False) -> Results:
    """Read a study's folder, a single run's, or several studies. Broken runs are listed, not fatal.

    Runs are found at any depth below the folder, but for hidden folders and reports; in the column
    ``run`` they have their path below it. So one that holds several studies can be loaded as well.
    Of several folders all tables have a column ``study`` with the folder's name (and as many
    folders above it as tell two apart), which begins the run's name as well.

    Of runs with the same settings that kernels of two versions have made, the later one counts; the
    other is listed in ``broken``.

    Args:
        folder: of a study or a run, or one that holds several; a list of such folders (each counts
            once); or a pattern such as ``"outputs/*"``, which stands for the folders that fit it.
        unfinished: whether the tables have the rows so far of runs that have not ended, up to their
            last checkpoint.

    Raises:
        FileNotFoundError: if there is no such folder, or no run in it.
    """
    if isinstance(folder, str | Path) and not _is_pattern(folder):
        return Results(*_read(Path(folder), {}, unfinished=unfinished))
    if not isinstance(folder, str | Path | Iterable):
        raise TypeError(f"{folder!r} is no folder, no list of folders, and no pattern of folders")
    folders = _matching(folder) if isinstance(folder, str | Path) else [*map(Path, folder)]
    once: dict[Path, Path] = {}
    for each in folders:
        once.setdefault(each.resolve(), each)
    if not folders:
        raise FileNotFoundError(f"there is no folder {folder if folder else 'in an empty list'}")
    found: list[RunFolder] = []
    broken: list[dict[str, str]] = []
    for name, place in zip(study_names([*once.values()]), once.values(), strict=True):
        runs, others = _read(place, {"study": name}, unfinished=unfinished)
        found += runs
        broken += others
    return Results(found, broken)


def held_in_memory(places: Mapping[Path, str]) -> Results:
    """Return the results of some runs' folders, which may be removed then.

    Args:
        places: the folders, and what the runs are called in the tables.
    """
    found, broken = _read_runs(places, {}, unfinished=False)
    return Results([run.in_memory() for run in found], broken)


def of_runs(places: Mapping[Path, str]) -> Results:
    """Return the results of some runs' folders.

    Args:
        places: the folders, and what the runs are called in the tables.
    """
    return Results(*_read_runs(places, {}, unfinished=False))


def _is_pattern(folder: str | Path) -> bool:
    """Say whether a text stands for the folders that fit it; a folder's own name never does."""
    return isinstance(folder, str) and glob.has_magic(folder) and not Path(folder).is_dir()


def _matching(pattern: str | Path) -> list[Path]:
    return sorted(path for path in map(Path, glob.glob(str(pattern))) if path.is_dir())  # noqa: PTH207


def _read(folder: Path, also: Mapping[str, str], *, unfinished: bool) -> _Read:
    """Read the runs below a folder, each with some more columns."""
    if not folder.is_dir():
        is_file = ": it is a file" if folder.is_file() else ""
        raise FileNotFoundError(f"there is no folder {folder}{is_file}")
    places = {place: name_in(folder, place) for place in find(folder)}
    if not places:
        raise FileNotFoundError(
            f"there are no runs in {folder} (no run.json up to {DEPTH} folders deep)"
        )
    return _read_runs(places, also, unfinished=unfinished)


def _read_runs(places: Mapping[Path, str], also: Mapping[str, str], *, unfinished: bool) -> _Read:
    """Read the folders of runs; the names of a study's runs begin with its own."""
    found: list[RunFolder] = []
    broken: list[dict[str, str]] = []
    for place, own in places.items():
        name = "/".join([*also.values(), own])
        try:
            run = read(place, name, unfinished=unfinished)
            found.append(run._replace(row=run.row | dict(also)))
        except (OSError, ValueError, ArithmeticError, RecursionError, pa.ArrowException) as error:
            broken.append({"run": name, "why": without_place(place, reason(error))})
    return _of_one_kernel(found, broken)


def _of_one_kernel(found: list[RunFolder], broken: list[dict[str, str]]) -> _Read:
    """Leave out runs that later kernels have made again: one seed would count as two."""
    if len({run.kernel for run in found} - {None}) <= 1:
        return found, broken
    ended = [run for run in found if run.row["status"] not in WITHOUT_RESULTS]
    latest = {run.settings: run for run in sorted(ended, key=lambda one: one.kernel or 0)}
    kept = list[RunFolder]()
    for run in found:
        last = latest.get(run.settings, run)
        if (run.kernel or 0) >= (last.kernel or 0):
            kept.append(run)
            continue
        why = f"made by kernels of version {run.kernel}; {last.row['run']} is the same run by those"
        broken.append({"run": run.row["run"], "why": f"{why} of version {last.kernel}"})
    return kept, broken
