"""Where runs lie: found below a folder at any depth, and by their digest under any name.

A run's name may change from version to version, its digest does not. So whoever wants a run's
folder asks here, and gets the one in which the run lies already, whatever it is called.
"""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

from rnn_exp.schema import DONE, RUN_JSON, SWEEP_JSON
from rnn_exp.storage.trust import read_json
from rnn_exp.training.naming import SUFFIX, suffix_of
from rnn_exp.training.run import Run

__all__ = ["DEPTH", "REPORT", "RunFolders", "find", "name_in", "studies_in"]

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
    return list(_below(folder, _is_run, {_identity(folder)}, DEPTH))


def studies_in(folder: Path) -> list[str]:
    """Return the names of the sweeps and studies below a folder that is none itself."""
    if _is_sweep(folder) or _is_run(folder):
        return []
    found = _below(folder, lambda place: _is_sweep(place) or _is_run(place), set(), DEPTH)
    return [name_in(folder, place) for place in found if _is_sweep(place)]


def name_in(folder: Path, place: Path) -> str:
    """Return what a run is called in a table: its path below the folder that is loaded.

    Example:
        >>> name_in(Path("outputs"), Path("outputs/decay/run-1"))
        'decay/run-1'
    """
    if folder.absolute() == place.absolute():
        return place.name
    return place.relative_to(folder).as_posix()


class RunFolders:
    """Tells in which folder a run lies or is to lie; every folder above is listed once.

    Only folders that have the package's own names are found under other ones: whoever chooses a
    name himself gets that.
    """

    def __init__(self) -> None:
        self._listed: dict[Path, dict[str, list[str]]] = {}

    def of(self, parent: Path, run: Run) -> Path:
        """Return the run's folder: where it lies under any name, else under that of today.

        Of several folders of this very run the one that is done counts, else the one whose name is
        today's, else the newest.

        Args:
            parent: the folder of a sweep, or of all single runs.
            run: any run.
        """
        if parent not in self._listed:
            self._listed[parent] = _by_suffix(parent)
        today = parent / run.name
        names = self._listed[parent].get(suffix_of(run.digest), [])
        if names in ([], [today.name]):
            return today
        found = [_Found.of(parent / name, today) for name in names]
        same = [each for each in found if each.digest == run.digest]
        return max(same).folder if same else today


class _Found(NamedTuple):
    """A folder that may hold a run; of two that do, the greater one counts."""

    is_done: bool
    is_today: bool
    changed: float
    folder: Path
    digest: str

    @classmethod
    def of(cls, folder: Path, today: Path) -> "_Found":
        """Read what a folder says of itself; one that cannot be read holds no run."""
        path = folder / RUN_JSON
        try:
            said: Any = read_json(path)
            done, changed = said["status"] in DONE, path.stat().st_mtime
            return cls(done, folder == today, changed, folder, str(said["digest"]))
        except (OSError, ValueError, LookupError, TypeError, RecursionError):
            return cls(False, False, 0.0, folder, "")


def _by_suffix(parent: Path) -> dict[str, list[str]]:
    """Return the names of the folders in one by what they end in; none if it is not there."""
    result: dict[str, list[str]] = {}
    try:
        with os.scandir(parent) as entries:
            for entry in entries:
                found = SUFFIX.search(entry.name)
                if found:
                    result.setdefault(found[1], []).append(entry.name)
    except (FileNotFoundError, NotADirectoryError):
        return {}
    return result


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
        identity = _identity(place)
        if identity in seen:
            continue
        seen.add(identity)
        if is_wanted(place) or not os.access(place, os.R_OK | os.X_OK):
            yield place
        elif depth > 1:
            yield from _below(place, is_wanted, seen, depth - 1)


def _may_hold_runs(entry: os.DirEntry[str]) -> bool:
    """Say whether something is a folder, or a link to one, that is neither hidden nor a report."""
    if entry.name.startswith(".") or entry.name == REPORT:
        return False
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def _is_run(place: Path) -> bool:
    return os.path.exists(place / RUN_JSON) or os.path.exists(place / ".hydra")  # noqa: PTH110


def _is_sweep(place: Path) -> bool:
    return any(os.path.exists(place / name) for name in _SWEEP_FILES)  # noqa: PTH110


def _identity(place: Path) -> _Identity:
    found = place.stat()
    return found.st_dev, found.st_ino
