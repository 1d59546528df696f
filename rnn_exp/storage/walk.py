"""What lies below a folder: sweeps and runs, found at any depth; torch is not needed for that."""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from rnn_exp.schema import RUN_JSON, SWEEP_JSON
from rnn_exp.storage.files import ASIDE
from rnn_exp.words import from_here

__all__ = [
    "DEPTH",
    "REPORT",
    "find",
    "is_run",
    "is_sweep",
    "name_in",
    "refuse_hidden",
    "studies_in",
    "study_names",
    "sweeps_and_runs",
]

DEPTH: Final = 8
"""How many folders deep runs are looked for."""
REPORT: Final = "report"
"""What ``rnn-exp-report`` calls its folder: no run is looked for in it."""
_SWEEP_FILES: Final = (SWEEP_JSON, "multirun.yaml")
_Identity = tuple[int, int]


def find(folder: Path) -> list[Path]:
    """Return the folders that are, or should have become, runs; the folder itself if it is one.

    They are looked for `DEPTH` folders deep, but not inside a run, a hidden folder or a report. A
    folder that can be reached in several ways, as by a link, is looked into once.

    Args:
        folder: a study's, one run's, or one that holds several studies.

    Raises:
        OSError: if the folder itself cannot be read.
    """
    if (folder / RUN_JSON).exists():
        return [folder.absolute()]
    return list(_below(folder, is_run, {_identity(folder)}, DEPTH))


def refuse_hidden(folders: Iterable[Path]) -> None:
    """Refuse to put runs where `find` would hide one: inside of a run, or around other runs.

    Args:
        folders: those of runs that are to be trained. Of a relative path the current folder and
            what lies above it are not looked at.

    Raises:
        FileExistsError: naming both folders.
    """
    empty = {Path()}  # folders that are no run's
    for folder in folders:
        for above in folder.parents:
            if above in empty:
                continue
            if (above / RUN_JSON).exists():
                raise FileExistsError(
                    f"{from_here(folder)} lies in {from_here(above)}, the folder of a run, in "
                    "which no other run is looked for; choose another folder"
                )
            empty.add(above)
        held = None if (folder / RUN_JSON).exists() else _first_below(folder)
        if held is not None:
            raise FileExistsError(
                f"{from_here(folder)} holds other runs ({held.relative_to(folder)}), which are not "
                "looked for in the folder of a run; choose another folder"
            )


def _first_below(folder: Path) -> Path | None:
    """Return the first run below a folder, but for what was put aside there; None: none is."""
    if not folder.is_dir():
        return None
    found = _below(folder, is_run, {_identity(folder)}, DEPTH)
    return next((p for p in found if not p.relative_to(folder).parts[0].startswith(ASIDE)), None)


def sweeps_and_runs(folder: Path) -> list[Path]:
    """Return the sweeps below a folder, and the runs that are in none, sorted by their folders.

    They are looked for as `find` does, but not inside a sweep; a folder that cannot be looked into
    is among them.

    Args:
        folder: one that is neither a sweep nor a run.

    Raises:
        OSError: if the folder itself cannot be read.
    """
    found = _below(folder, _is_sweep_or_run, {_identity(folder)}, DEPTH)
    return sorted(found, key=lambda place: (place.parent, place))


def studies_in(folder: Path) -> list[str]:
    """Return the names of the sweeps and studies below a folder that is none itself."""
    if _is_sweep_or_run(folder):
        return []
    return [name_in(folder, place) for place in sweeps_and_runs(folder) if is_sweep(place)]


def study_names(folders: Sequence[Path]) -> list[str]:
    """Return what studies are called: as little of the ends of their paths as tells them apart.

    Args:
        folders: of the studies; one that is there twice has one name.
    """
    parts = [folder.resolve().parts for folder in folders]
    for depth in range(1, max(map(len, parts), default=0) + 1):
        names = ["/".join(each[-depth:]) for each in parts]
        if len({*names}) == len({*parts}):
            return names
    return [folder.as_posix() for folder in folders]


def name_in(folder: Path, place: Path) -> str:
    """Return what a run is called in a table: its path below the folder that is loaded.

    Example:
        >>> name_in(Path("outputs"), Path("outputs/decay/run-1"))
        'decay/run-1'
    """
    if folder.absolute() == place.absolute():
        return place.name
    return place.relative_to(folder).as_posix()


def is_run(place: Path) -> bool:
    """Say whether a folder is a run, or should have become one."""
    return os.path.exists(place / RUN_JSON) or os.path.exists(place / ".hydra")  # noqa: PTH110


def is_sweep(place: Path) -> bool:
    """Say whether a folder is that of a sweep, under any launcher."""
    return any(os.path.exists(place / name) for name in _SWEEP_FILES)  # noqa: PTH110


def _is_sweep_or_run(place: Path) -> bool:
    return is_sweep(place) or is_run(place)


def _below(
    folder: Path, is_wanted: Callable[[Path], bool], seen: set[_Identity], depth: int
) -> Iterator[Path]:
    """Yield the wanted folders below one, sorted by name, and those that cannot be looked into.

    Args:
        folder: where to look.
        is_wanted: says whether a folder is looked for; nothing inside of it is.
        seen: the folders that have been looked at; those of this call are added.
        depth: how many folders deep to look.
    """
    with os.scandir(folder) as entries:
        names = sorted(entry.name for entry in entries if _may_hold_runs(entry))
    for name in names:
        place = folder / name
        try:
            identity = _identity(place)
        except FileNotFoundError:  # it has just been removed
            continue
        if identity in seen:
            continue
        seen.add(identity)
        if is_wanted(place) or not os.access(place, os.R_OK | os.X_OK):
            yield place
        elif depth > 1:
            with suppress(FileNotFoundError):  # it has just been removed
                yield from _below(place, is_wanted, seen, depth - 1)


def _may_hold_runs(entry: os.DirEntry[str]) -> bool:
    """Say whether something is a folder, or a link to one, that is neither hidden nor a report."""
    if entry.name.startswith(".") or entry.name == REPORT:
        return False
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def _identity(place: Path) -> _Identity:
    found = place.stat()
    return found.st_dev, found.st_ino
