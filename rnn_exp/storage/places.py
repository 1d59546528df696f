"""Where a run lies: found by its digest, under any name.

A run's name may change from version to version, its digest does not. So whoever wants a run's
folder asks here, and gets the one in which the run lies already, whatever it is called.
"""

import os
from pathlib import Path
from typing import Any, NamedTuple

from rnn_exp.schema import DONE, RUN_JSON
from rnn_exp.storage.trust import read_json
from rnn_exp.training.naming import SUFFIX, suffix_of
from rnn_exp.training.run import Run

__all__ = ["RunFolders"]


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
