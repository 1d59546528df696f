"""Verifying: whether every file of the runs in a folder is as it was written."""

from collections.abc import Iterator, Mapping
from pathlib import Path, PurePath
from typing import Any, NamedTuple

from rnn_exp.schema import DONE, RUN_JSON, tables_of
from rnn_exp.storage.hashes import damage, is_unbroken
from rnn_exp.storage.trust import read_json
from rnn_exp.storage.unfinished import FILE, FOLDER, UnusableError, parts_of, words_of
from rnn_exp.storage.walk import find

__all__ = ["Verified", "verify"]


class Verified(NamedTuple):
    """What was found out about the files of one run.

    Args:
        files: how many were looked at.
        bad: those that are not as they were written, each with the reason.
        without_hashes: whether an earlier version wrote the run, which wrote down no hashes.
    """

    files: int
    bad: dict[Path, str]
    without_hashes: bool = False


def verify(folder: Path) -> Iterator[Verified]:
    """Yield what was found out about each run in a folder.

    Args:
        folder: of a study or a run.

    Raises:
        FileNotFoundError: if there is no such folder, or no run in it.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"there is no folder {folder}")
    places = find(folder)
    if not places:
        raise FileNotFoundError(f"there are no runs in {folder}")
    for place in places:
        yield _verify_run(place)


def _verify_run(place: Path) -> Verified:
    path = place / RUN_JSON
    try:
        said = read_json(path)
    except FileNotFoundError:
        return Verified(1, {path: "it is missing"})
    except OSError as error:
        return Verified(1, {path: error.strerror or str(error)})
    except ValueError:
        return Verified(1, {path: "it cannot be read as JSON"})
    if not isinstance(said, dict) or not is_unbroken(said):
        return Verified(1, {path: "it was changed after it was written (SHA-256)"})
    entries = said.get("files")
    if said.get("status") not in DONE:
        return _verify_unfinished(place, said)
    if not isinstance(entries, Mapping):
        return Verified(1, {}, without_hashes=True)
    found = {
        place / name: damage(place / name, entry) if _is_inside(name) else "no file of the run"
        for name, entry in entries.items()
    }
    bad = {path: why for path, why in found.items() if why is not None}
    return Verified(1 + len(found), bad)


def _is_inside(name: str) -> bool:
    """Say whether a name from a run.json is that of a file in the run's folder."""
    path = PurePath(name)
    return not path.is_absolute() and ".." not in path.parts and name.isprintable()


def _verify_unfinished(place: Path, said: Mapping[str, Any]) -> Verified:
    """Look at the checkpoint and the parts of a run that has not ended."""
    settings = said.get("settings")
    names = tables_of(settings if isinstance(settings, dict) else {})
    path = place / FOLDER / FILE
    try:
        words, content = words_of(place)
        parts = parts_of(place, names, words)
    except UnusableError as error:
        return Verified(2, {path: str(error)})
    found = {each: damage(each, entry) for _, each, entry in parts.files()}
    bad = {each: why for each, why in found.items() if why is not None}
    return Verified(1 + bool(content) + len(found), bad)
