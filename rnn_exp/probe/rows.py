"""The rows that a recording leaves, in memory or on disk as they come."""

import math
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from rnn_exp.probe.profile import Profile
from rnn_exp.schema import GRADIENT_STATUSES, TABLES
from rnn_exp.storage.files import replace_file

__all__ = ["DIRECTIONS", "Rows", "frame_of"]

DIRECTIONS: Final = ("forward", "backward")
"""How a layer reads its sequences."""

_KEYS: Final = ("update", "call", "module", "layer", "direction", "time", "lag")
_NORMS: Final = tuple(
    column.name
    for column in TABLES["gradients"].columns
    if column.name not in (*_KEYS, "log10_predicted") and "late" not in column.name
)
_ROWS_OF_A_PART: Final = 1 << 15
_SECONDS_OF_A_PART: Final = 30.0


def frame_of(update: int, call: int, module: str, profile: Profile) -> pd.DataFrame:
    """Return the rows of one layer and direction of a call, by time.

    Args:
        update: its number.
        call: the number of the call in the update, from 0.
        module: the name of the module in the model.
        profile: what was measured.
    """
    T = len(profile.columns["log10_total"])
    lag = np.arange(T - 1, -1, -1)
    columns: dict[str, Any] = {
        "update": update,
        "call": call,
        "module": module,
        "layer": profile.layer,
        "direction": DIRECTIONS[profile.direction],
        # A layer that reads backwards has its last step at time 1.
        "time": lag + 1 if profile.direction else np.arange(1, T + 1),
        "lag": lag,
    }
    for name in _NORMS:
        values = profile.columns.get(name)
        if values is None:
            values = np.full(T, np.nan) if not name.startswith("status") else None
        elif name.startswith("status"):
            values = np.array([*GRADIENT_STATUSES, None], dtype=object)[values]
        columns[name] = values
    return pd.DataFrame(columns)


class Rows:
    """Rows as they come; with a folder, they go to disk in parts and memory stays small.

    Each part is a parquet file of its own, written whole or not at all, so that a program that dies
    leaves all parts before. ``pandas.read_parquet`` reads the folder as one table.

    Args:
        folder: of the parts; None: everything stays in memory.
    """

    def __init__(self, folder: Path | None) -> None:
        self.folder, self.parts = folder, 0
        self._held: list[pd.DataFrame] = []
        self._written_at = -math.inf  # the first update goes to disk at once

    def add(self, frames: Sequence[pd.DataFrame]) -> None:
        """Take the rows of an update."""
        self._held += frames
        is_late = time.monotonic() - self._written_at > _SECONDS_OF_A_PART
        if is_late or sum(map(len, self._held)) >= _ROWS_OF_A_PART:
            self.flush()

    def flush(self) -> None:
        """Write what is held, if there is a folder."""
        if self.folder is None or not self._held:
            return
        table, path = pd.concat(self._held, ignore_index=True), self._part(self.parts)
        replace_file(path, lambda place: table.to_parquet(place, index=False))
        self.parts, self._held = self.parts + 1, []
        self._written_at = time.monotonic()

    def go_on_after(self, parts: int) -> None:
        """Remove the parts that were written after a state was saved."""
        if self.folder is not None:
            for number in self._numbers():
                if number >= parts:
                    self._part(number).unlink()
        self.parts = parts

    @property
    def in_memory(self) -> bool:
        """Whether there are rows, and no folder has them."""
        return self.folder is None and bool(self._held)

    @property
    def has_parts(self) -> bool:
        """Whether the folder has parts already."""
        return any(True for _ in self._numbers())

    def to_frame(self) -> pd.DataFrame:
        """Return all rows; none where nothing was recorded."""
        written = [pd.read_parquet(self._part(number)) for number in range(self.parts)]
        frames = [*written, *self._held]
        if not frames:
            return pd.DataFrame(columns=[*_KEYS, *_NORMS])
        return _typed(pd.concat(frames, ignore_index=True))

    def _part(self, number: int) -> Path:
        if self.folder is None:
            raise ValueError("rows in memory have no parts")
        return self.folder / f"part-{number:05d}.parquet"

    def _numbers(self) -> Iterator[int]:
        if self.folder is not None:
            for path in sorted(self.folder.glob("part-*.parquet")):
                yield int(path.stem.removeprefix("part-"))


def _typed(frame: pd.DataFrame) -> pd.DataFrame:
    """Drop the columns of which no module has a number."""
    empty = [
        name for name in _NORMS if name in frame and frame[name].isna().all() and "memory" in name
    ]
    return frame.drop(columns=empty)
