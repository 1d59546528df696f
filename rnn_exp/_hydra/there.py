"""Runs that are already there, found without torch, whose import was most of what that took.

A run.json has every setting of its run. Where the composed settings are those to the last one, and
every file is as it was written, the run need not be built to know that it is done. Where anything
is unclear the answer is "not known", and it is built; of a sweep all runs are, or none.
"""

import os
import re
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from omegaconf import DictConfig, OmegaConf

from rnn_exp._hydra.besides import BESIDES
from rnn_exp.registry.loading import NO_PLUGINS
from rnn_exp.registry.packages import installed
from rnn_exp.schema import (
    DONE,
    ENGINE,
    KERNEL,
    RUN_JSON,
    decided_engine,
    filled_in,
    kernel_of,
    with_added,
)
from rnn_exp.storage.trust import read_json
from rnn_exp.storage.unfinished import FOLDER
from rnn_exp.storage.verifying import verify

__all__ = ["known_to_be_there", "sweep_known_to_be_there"]

_BELOW: Final = re.compile(r"(.+)/\$\{rnn_exp\.run_name:\1\}")
_MOST_FOLDERS: Final = (
    1000  # are looked into beside those that are wanted: more take as long as torch
)
_LABELS: Final = ("note", "tags")
_NOT_OF_A_RUN: Final = frozenset({"hydra", "study", "use", *_LABELS, *BESIDES})
_NAMED: Final = ("task", "init")

Settings = Mapping[str, Any]


def known_to_be_there(config: DictConfig) -> Path | None:
    """Return the folder of a single run that is done and whole; None: that is not known.

    Args:
        config: the composed configuration.
    """
    content: Any = OmegaConf.to_container(config, resolve=False)
    wanted = _wanted(content) if _is_usual(content) else None
    if wanted is None:
        return None
    every = (_done_in(folder) for folder in _folders(str(content["hydra"]["run"]["dir"])))
    same = [done for done in every if done is not None and done.has(wanted) and done.is_whole()]
    return same[0].folder if len(same) == 1 else None


def sweep_known_to_be_there(
    config: DictConfig, jobs: Iterable[Settings | None], count: int
) -> list[Path] | None:
    """Return the folder of each job of a sweep that is done and whole; None: that is not known.

    Args:
        config: of the sweep, which this package's launcher trains.
        jobs: the settings of each job as plain values, in groups; None: it has others.
        count: how many jobs there are.
    """
    content: Any = OmegaConf.to_container(config, resolve=False)
    launcher = content["hydra"].get("launcher") or {}
    is_alone = launcher.get("backend") == "processes" and launcher.get("address") is None
    if not is_alone or not _is_number(launcher.get("processes")) or not _is_usual(content):
        return None
    folders = [*_each_in(Path(config.hydra.sweep.dir))]
    if not 0 <= len(folders) - count <= _MOST_FOLDERS:
        return None
    by_settings = _by_settings(folders, count)
    found: dict[Path, _Done] = {}
    for job in jobs if by_settings else ():
        wanted = None if job is None else _wanted(job)
        same = [] if wanted is None else by_settings.get(_key_of(wanted), [])
        if len(same) != 1 or wanted is None or not same[0].has(wanted):
            return None
        found[same[0].folder] = same[0]
    is_there = len(found) == count and all(
        done.is_named_by_its_digest() and done.is_whole() and not done.has_leftovers()
        for done in found.values()
    )
    return [*found] if is_there else None


class _Done(NamedTuple):
    """A folder whose run.json says that its run is done; whether that is so says `is_whole`.

    Attributes:
        folder: of the run.
        settings: of the run, with those that came after it.
        digest: of the run.
    """

    folder: Path
    settings: dict[str, Any]
    digest: str

    def has(self, wanted: Settings) -> bool:
        """Say whether the run has these settings, as they are typed, and no others."""
        return wanted.keys() == self.settings.keys() and all(
            _is_same(wanted[key], own) for key, own in self.settings.items()
        )

    def is_whole(self) -> bool:
        """Say whether all files of the run are as they were written, run.json as well."""
        return not any(run.bad or run.without_hashes for run in verify(self.folder))

    def is_named_by_its_digest(self) -> bool:
        """Say whether a sweep finds the run, which it does under names that end so."""
        return self.folder.name.endswith(f"-{self.digest[:8]}")

    def has_leftovers(self) -> bool:
        """Say whether a process that was killed may have left something, which a sweep removes."""
        hidden = any(path.is_file() for path in self.folder.glob(".*"))
        return hidden or (self.folder / FOLDER).exists()


def _is_usual(content: Settings) -> bool:
    """Say whether a command has no code of users, and nothing that is checked with torch."""
    if os.environ.get(NO_PLUGINS) != "0" and installed():
        return False
    seconds = (content["hydra"].get("launcher") or {}).get("checkpoint_seconds", 60)
    return content.get("use") is None and seconds == 60


def _is_number(processes: object) -> bool:
    return processes is None or (type(processes) is int and processes >= 1)


def _wanted(groups: Settings) -> dict[str, Any] | None:
    """Return settings under the keys that they have in a run.json; None: it may have others.

    Args:
        groups: of a run, in groups, beside others that a configuration has.
    """
    if groups.get("device") != "cpu" or any(groups.get(key) is not None for key in _LABELS):
        return None
    flat: dict[str, Any] = {}
    for key, own in groups.items():
        if key in _NOT_OF_A_RUN:
            continue
        if not isinstance(own, dict):
            flat[key] = own
            continue
        own = dict(own)
        if key in _NAMED:
            flat[key] = own.pop("name", None)
        flat |= {f"{key}.{name}": value for name, value in own.items()}
    engine, cell, phi = (str(flat[f"network.{key}"]) for key in ("engine", "cell", "activation"))
    flat[ENGINE] = decided_engine(engine, cell, phi, "cpu")
    return filled_in(flat)


def _folders(place: str) -> Iterable[Path]:
    """Return where the run may lie: below the folder of all single runs, or in one of one's own."""
    below = _BELOW.fullmatch(place)
    if below is None:
        return () if "${" in place else (Path(place),)
    every = [*_each_in(Path(below[1]))]
    return every if len(every) <= _MOST_FOLDERS else ()


def _each_in(folder: Path) -> Iterator[Path]:
    """Yield the folders in one; none where there is none."""
    if folder.is_dir():
        yield from (Path(entry) for entry in os.scandir(folder) if entry.is_dir())


def _by_settings(folders: Sequence[Path], least: int) -> dict[Hashable, list[_Done]]:
    """Return the folders of runs that are done by their settings.

    Args:
        folders: where to look.
        least: how many have to be done; where fewer are, nothing is returned, soon.
    """
    found: dict[Hashable, list[_Done]] = {}
    may_miss = len(folders) - least
    for folder in folders:
        done = _done_in(folder)
        if done is not None:
            found.setdefault(_key_of(done.settings), []).append(done)
        elif may_miss == 0:
            return {}
        else:
            may_miss -= 1
    return found


def _key_of(settings: Settings) -> Hashable:
    """Return settings as a key, one for all that `_Done.has` may call the same."""
    return tuple(
        (key, value if isinstance(value, Hashable) else str(value))
        for key, value in sorted(settings.items())
    )


def _done_in(folder: Path) -> _Done | None:
    """Return the run in a folder, if it says that it is done and has no parts of users."""
    try:
        said = read_json(folder / RUN_JSON)
    except (OSError, ValueError):
        return None
    if not isinstance(said, dict) or said.get("status") not in DONE:
        return None
    settings = said.get("settings")
    if not isinstance(settings, dict) or said.get("sources") or not said.get("files"):
        return None
    settings = with_added(settings)
    if settings.get(ENGINE) == KERNEL.engine and kernel_of(said) != KERNEL.version:
        return None
    return _Done(folder, settings, str(said.get("digest")))


def _is_same(typed: object, stored: object) -> bool:
    """Say whether a value as it is typed is one as it is stored: a number may be typed without .0.

    Example:
        >>> _is_same(1, 1.0), _is_same(1.0, 1), _is_same(True, 1), _is_same(None, None)
        (True, False, False, True)
    """
    same_type = type(typed) is type(stored) or (type(typed) is int and type(stored) is float)
    return same_type and typed == stored
