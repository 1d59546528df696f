"""The rows that a recording leaves, in memory or on disk as they come."""

import math
import os
import re
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import pandas as pd

from rnn_exp.fields import SettingError
from rnn_exp.probe.modules import RecorderError
from rnn_exp.probe.profile import Profile
from rnn_exp.schema import GRADIENT_STATUSES, TABLES, status_of
from rnn_exp.storage.files import replace_file
from rnn_exp.words import listing, plural

__all__ = ["DIRECTIONS", "Entry", "Rows", "folder_of", "frame_of"]

DIRECTIONS: Final = ("forward", "backward")
"""How a layer reads its sequences."""

_KEYS: Final = ("update", "call", "module", "layer", "direction", "time", "lag")
_NORMS: Final = tuple(
    column.name
    for column in TABLES["gradients"].columns
    if column.name not in (*_KEYS, "log10_predicted") and "late" not in column.name
)
_MEMORY: Final = "log10_memory"
_WORDS: Final = np.array([*GRADIENT_STATUSES, None], dtype=object)
_NO_WORD: Final = np.int8(len(GRADIENT_STATUSES))
_ROWS_OF_A_PART: Final = 1 << 15
_SECONDS_OF_A_PART: Final = 30.0
_PART: Final = re.compile(r"part-(\d{5,})\.parquet", re.ASCII)
_PASSED_OVER: Final = (".", "_")  # how names begin of files that pandas.read_parquet leaves out


class Entry(NamedTuple):
    """One layer and direction of a recorded call.

    Args:
        update: its number.
        call: the number of the call in the update, from 0.
        module: the name of the module in the model.
        profile: what was measured.
    """

    update: int
    call: int
    module: str
    profile: Profile

    @property
    def rows(self) -> int:
        """The number of its rows: of time steps."""
        return len(self.profile.columns["log10_total"])


def frame_of(entries: Sequence[Entry]) -> pd.DataFrame:
    """Return the rows of entries, each by time.

    A table of many costs little more than a table of one: so tables are made when they are read.

    Args:
        entries: one at least.
    """
    counts = [entry.rows for entry in entries]

    def each_of(values: Iterable[object], kind: type) -> np.ndarray:
        return np.repeat(np.array([*values], dtype=kind), counts)

    lag = np.concatenate([np.arange(T - 1, -1, -1) for T in counts])
    layers, directions = zip(*(entry.profile[:2] for entry in entries), strict=True)
    reads_backwards = each_of(directions, bool)
    columns: dict[str, Any] = {
        "update": each_of((entry.update for entry in entries), int),
        "call": each_of((entry.call for entry in entries), int),
        "module": each_of((entry.module for entry in entries), object),
        "layer": each_of(layers, int),
        "direction": each_of((DIRECTIONS[each] for each in directions), object),
        # A layer that reads backwards has its last step at time 1.
        "time": np.where(reads_backwards, lag + 1, each_of(counts, int) - lag),
        "lag": lag,
    }
    for name in _NORMS:
        columns[name] = _column(
            name, [entry.profile.columns.get(name) for entry in entries], counts
        )
    return pd.DataFrame(columns)


def _column(
    name: str, parts: Sequence[np.ndarray | None], counts: Sequence[int]
) -> np.ndarray | None:
    """Return a column of which some entries have nothing."""
    is_status = name.startswith("status")
    if is_status and all(part is None for part in parts):
        return None
    nothing = _NO_WORD if is_status else math.nan
    whole = np.concatenate(
        [
            np.full(T, nothing) if part is None else part
            for part, T in zip(parts, counts, strict=True)
        ]
    )
    return _WORDS[whole] if is_status else whole


def folder_of(path: object) -> Path | None:
    """Return the folder that was named; None: none was.

    Raises:
        SettingError: for what names no folder.
    """
    if path is None:
        return None
    if not isinstance(path, str | os.PathLike) or not os.fspath(path):
        raise SettingError("path", path, "the path of a folder, or None")
    return Path(path).expanduser()


class Rows:
    """Rows as they come; with a folder, they go to disk in parts and memory stays small.

    Each part is a parquet file of its own, written whole or not at all, so that a program that dies
    leaves all parts before. ``pandas.read_parquet`` reads the folder as one table.

    Args:
        folder: of the parts; None: everything stays in memory.
    """

    def __init__(self, folder: Path | None) -> None:
        self.folder, self.parts = folder, 0
        self.latest: Sequence[Entry] = ()  # of the latest recorded update
        self._frames: list[pd.DataFrame] = []
        self._entries: list[Entry] = []  # what came after the frames
        self._waiting = 0  # rows that are on no disk
        self._written_at = -math.inf  # the first update goes to disk at once

    def begin(self) -> None:
        """Make the folder, if there is to be one, before anything is recorded.

        Raises:
            RecorderError: if it cannot be made or written, or has something else in it.
        """
        if self.folder is None:
            return
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            names = sorted(each.name for each in self.folder.iterdir())
        except (OSError, ValueError) as error:  # ValueError: a zero byte in the name
            why = (isinstance(error, OSError) and error.strerror) or str(error)
            if self.folder.is_file():
                why = "it is a file"
            raise RecorderError(
                f"path={self.folder}: rows cannot go there ({why}); give the path of a folder that "
                "is new or empty"
            ) from None
        if not os.access(self.folder, os.W_OK | os.X_OK):
            raise RecorderError(f"path={self.folder}: you may not write in this folder")
        if self.parts:  # it goes on with them
            return
        if any(map(_PART.fullmatch, names)):
            raise RecorderError(
                f"path={self.folder} has a recording already: choose another folder, or go on "
                "with it by load_state_dict"
            )
        if others := [name for name in names if not name.startswith(_PASSED_OVER)]:
            more = [f"{len(others) - 3} more"] if len(others) > 4 else others[3:]
            raise RecorderError(
                f"path={self.folder}: there is {listing(others[:3] + more)} in "
                "it; rows need a folder that is new or empty, as all in it is read as one table"
            )

    def add(self, entries: Sequence[Entry]) -> None:
        """Take what was measured in an update."""
        self.latest = entries
        self._entries += entries
        self._waiting += sum(entry.rows for entry in entries)
        is_late = time.monotonic() - self._written_at > _SECONDS_OF_A_PART
        if is_late or self._waiting >= _ROWS_OF_A_PART:
            self.flush()

    def add_frame(self, frame: pd.DataFrame) -> None:
        """Take rows that were made before."""
        self._frames = [*self._in_frames(), frame]
        self.flush()

    def flush(self) -> None:
        """Write what is held, if there is a folder."""
        frames = self._in_frames() if self.folder is not None else []
        if not frames:
            return
        table, path = pd.concat(frames, ignore_index=True), self._part(self.parts)
        replace_file(path, lambda place: table.to_parquet(place, index=False))
        self.parts, self._frames, self._waiting = self.parts + 1, [], 0
        self._written_at = time.monotonic()

    def go_on_after(self, parts: int) -> None:
        """Remove the parts that were written after a state was saved.

        Args:
            parts: how many were written when it was saved.

        Raises:
            RecorderError: if one of these is not there.
        """
        numbers = list(self._numbers())
        if not set(range(parts)) <= set(numbers):
            where = "path=None" if self.folder is None else f"path={self.folder}"
            raise RecorderError(
                f"load_state_dict: the state has {plural(parts, 'part')} on disk, and {where} does "
                "not have all of them; give path= the folder of the recording that was saved"
            )
        for number in numbers:
            if number >= parts:
                self._part(number).unlink()
        self.parts = parts

    @property
    def in_memory(self) -> bool:
        """Whether there are rows, and no folder has them."""
        return self.folder is None and bool(self._frames or self._entries)

    def to_frame(self) -> pd.DataFrame:
        """Return all rows; none where nothing was recorded."""
        written = [pd.read_parquet(self._part(number)) for number in range(self.parts)]
        frames = [*written, *self._in_frames()]
        if not frames:
            return pd.DataFrame(columns=[*_KEYS, *_NORMS])
        return _typed(pd.concat(frames, ignore_index=True))

    def _in_frames(self) -> list[pd.DataFrame]:
        """Return what is held as tables, made once."""
        if self._entries:
            self._frames.append(frame_of(self._entries))
            self._entries = []
        return self._frames

    def _part(self, number: int) -> Path:
        if self.folder is None:
            raise ValueError("rows in memory have no parts")
        return self.folder / f"part-{number:05d}.parquet"

    def _numbers(self) -> Iterator[int]:
        if self.folder is not None:
            for path in sorted(self.folder.glob("part-*.parquet")):
                if found := _PART.fullmatch(path.name):
                    yield int(found[1])


def _typed(frame: pd.DataFrame) -> pd.DataFrame:
    """Drop the columns of a memory if no module has one: then none has a status of it."""
    status = status_of(_MEMORY)
    has_none = status not in frame or frame[status].isna().all()
    return frame.drop(columns=[_MEMORY, status], errors="ignore") if has_none else frame
