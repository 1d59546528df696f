"""The list of runs in a sweep's folder (sweep.json): with its command, page and start."""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from time import time
from typing import Any, Final

from rnn_exp.schema import SWEEP_JSON
from rnn_exp.storage.files import replace_bytes
from rnn_exp.storage.study import StudyPage, command_of_sweep, study_of
from rnn_exp.storage.trust import read_json
from rnn_exp.words import from_here

__all__ = ["LAST_SECOND", "declare", "read_run_list", "write_run_list"]

LAST_SECOND: Final = 1e11
"""Beyond it a time was not written by a sweep: a number that no arithmetic is done with."""


def write_run_list(
    sweep: Path, runs: Sequence[str], command: str, page: StudyPage | None = None
) -> None:
    """Write the names of a sweep's runs, its command and page, and the time: the sweep begins.

    Args:
        sweep: its folder.
        runs: the names.
        command: that goes on with it.
        page: what its page asks and shows; None: what the folder says already (`declare`).
    """
    said: dict[str, Any] = {"begun": time(), "command": command, "runs": list(runs)}
    declared = study_of(sweep).page if page is None else page
    if page is not None or declared != StudyPage():
        said["page"] = dataclasses.asdict(declared)
    _write(sweep, said)


def declare(sweep: Path, page: StudyPage) -> None:
    """Write what the page of a sweep asks and shows, and leave all else in its list of runs.

    Args:
        sweep: its folder.
        page: what its page asks and shows.

    Raises:
        FileNotFoundError, ValueError: as `read_run_list` does.
    """
    read_run_list(sweep)
    _write(sweep, read_json(sweep / SWEEP_JSON) | {"page": dataclasses.asdict(page)})


def _write(sweep: Path, said: Mapping[str, Any]) -> None:
    replace_bytes(sweep / SWEEP_JSON, (json.dumps(said) + "\n").encode())


def read_run_list(sweep: Path) -> tuple[float, list[str], str]:
    """Return when a sweep began (seconds since the epoch), its runs' names and its command.

    Args:
        sweep: its folder.

    Raises:
        FileNotFoundError: if there is no such folder, or no sweep in it.
        ValueError: if its list of runs cannot be read.
    """
    if not sweep.is_dir():
        raise FileNotFoundError(f"there is no folder {sweep}")
    path = sweep / SWEEP_JSON
    if not path.exists():
        raise FileNotFoundError(f"there is no sweep in {sweep} (no {SWEEP_JSON})")
    try:
        found = read_json(path)
        begun = float(found["begun"])
        if not 0 <= begun < LAST_SECOND:
            raise ValueError("no time at which a sweep can have begun")
        names = [str(name) for name in found["runs"]]
        return begun, names, command_of_sweep(sweep, found)
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
        what = f"no {error}" if isinstance(error, KeyError) else error
        why = f"{from_here(path)} is damaged ({what}); the same command writes it anew"
        raise ValueError(why) from None
