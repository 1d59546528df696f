"""Gradient profiles of all recorded updates, thinned and packed into 16 bits a value.

A page has to stay small where a study is large. Of each run only so many updates and lags are
kept, evenly spread, with both ends; what was left out is said in a sentence.
"""

import base64
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd

from rnn_exp.figures.parts.carrier import numbered_carrier_rows
from rnn_exp.figures.parts.seeds import limit_updates
from rnn_exp.figures.parts.selection import Tables
from rnn_exp.schema import GRADIENT_STATUSES
from rnn_exp.words import plural, sentences

__all__ = ["Pack", "Packed", "Profiles", "pack", "packed_profiles"]

MOST_LAGS: Final = 120
"""So many lags of a profile are kept at most: more than a screen has room to tell apart."""
MOST_OF_A_RUN: Final = 6_000
MOST_IN_ALL: Final = 3_000_000
"""So many values are kept at most, of a run and of a study: 16 kB and 8 MB of page."""

STEPS: Final = 65_000
ZERO, OVER, NONE = 65_533, 65_534, 65_535
"""The codes of what is no finite number: minus infinity, plus infinity, not recorded or NaN."""
_AT_ONCE: Final = 40  # runs: their rows fit in memory whatever the study


@dataclass(frozen=True)
class Pack:
    """Numbers in 16 bits each: ``low + step * code``, or one of the three codes above `STEPS`.

    Args:
        low: the smallest finite number.
        step: the distance of two codes.
        text: the codes, little-endian, in base64.
    """

    low: float
    step: float
    text: str

    def as_json(self) -> list[float | str]:
        """Return it as the script reads it."""
        return [self.low, self.step, self.text]


@dataclass(frozen=True)
class Packed:
    """The profiles of a run.

    Args:
        updates: that are kept, ascending.
        lags: that are kept, ascending.
        last_time: T, so that t = T - lag; None where lengths differ from update to update.
        norms: log10 of the norm, an update after the other.
        lost: for an update's place: [first lag's place, last lag's place, place of the status in
            `GRADIENT_STATUSES`] of each stretch of which training saw something else.
        theory: log10 of what theory predicts at update 0; None where it says nothing.
    """

    updates: tuple[int, ...]
    lags: tuple[int, ...]
    last_time: int | None
    norms: Pack
    lost: dict[int, list[list[int]]]
    theory: Pack | None


@dataclass(frozen=True)
class Profiles:
    """The profiles of a study by run, and the sentence that says what was thinned."""

    by_run: dict[str, Packed]
    note: str


def packed_profiles(tables: Tables) -> Profiles:
    """Return the profiles of the top layer of every run that recorded some.

    Args:
        tables: of the study.
    """
    if not {"run", "update"} <= set(tables.updates.columns) or tables.runs.empty:
        return Profiles({}, "")
    recorded = tables.updates[["run", "update"]].astype({"run": str})
    every = {str(run): part["update"] for run, part in recorded.groupby("run", sort=False)}
    most = _most_updates(tables.runs, len(every))
    kept = {run: tuple(limit_updates(part, most[run])[0]) for run, part in every.items()}
    found: dict[str, Packed] = {}
    thinned_lags = 0
    for names, updates in _chunks(kept):
        for run, part in _by_run(numbered_carrier_rows(tables, names, updates)):
            found[run], whole = _packed(part)
            thinned_lags += not whole
    order = [str(run) for run in tables.runs["run"] if str(run) in found]
    thinned = [run for run in order if len(kept[run]) < every[run].nunique()]
    return Profiles({run: found[run] for run in order}, _note(thinned, kept, every, thinned_lags))


def _most_updates(runs: pd.DataFrame, count: int) -> dict[str, int]:
    """Return how many updates of each run are kept, by the length of its sequences."""
    values = min(MOST_OF_A_RUN, MOST_IN_ALL // max(count, 1))
    steps = runs.reindex(columns=["lags"])["lags"].astype(float) + 1
    lengths = runs.reindex(columns=["task.length"])["task.length"]
    steps = steps.fillna(pd.to_numeric(lengths, errors="coerce")).fillna(MOST_LAGS)
    lags = steps.clip(1, MOST_LAGS).astype(int)
    return {str(run): max(2, values // lag) for run, lag in zip(runs["run"], lags, strict=True)}


def _chunks(kept: dict[str, tuple[int, ...]]) -> Iterator[tuple[list[str], tuple[int, ...]]]:
    """Yield runs of the same updates, so many at once as are read together."""
    same: dict[tuple[int, ...], list[str]] = {}
    for run, updates in kept.items():
        same.setdefault(updates, []).append(run)
    for updates, names in same.items():
        for start in range(0, len(names), _AT_ONCE):
            yield names[start : start + _AT_ONCE], updates


def _by_run(rows: pd.DataFrame) -> Iterator[tuple[str, dict[str, np.ndarray]]]:
    """Yield the columns of each run, whose rows follow one another.

    As arrays: a frame a run takes longer to make than all that is done with it.
    """
    if rows.empty:
        return
    known = pd.Categorical(rows["status"], GRADIENT_STATUSES).codes
    columns = {
        "update": rows["update"].to_numpy(),
        "lag": rows["lag"].to_numpy(),
        "time": rows["time"].to_numpy(),
        "norm": rows["log10_norm"].to_numpy(dtype=float),
        "theory": rows["log10_predicted"].to_numpy(dtype=float),
        # A status that a later format may bring says nothing here.
        "status": np.maximum(known, 0),
    }
    runs = pd.factorize(rows["run"])
    for start, end in _stretches(runs[0]):
        part = {name: values[start:end] for name, values in columns.items()}
        yield str(runs[1][runs[0][start]]), part


def _packed(rows: dict[str, np.ndarray]) -> tuple[Packed, bool]:
    """Return the profiles of a run, and whether all its lags are kept."""
    updates, row = np.unique(rows["update"], return_inverse=True)
    lags, column = np.unique(rows["lag"], return_inverse=True)
    norms = np.full((len(updates), len(lags)), np.nan)
    norms[row, column] = rows["norm"]
    statuses = np.zeros(norms.shape, dtype=int)
    statuses[row, column] = rows["status"]
    theory = np.full(len(lags), np.nan)
    first = rows["update"] == 0
    theory[column[first]] = rows["theory"][first]
    kept = np.unique(np.linspace(0, len(lags) - 1, min(len(lags), MOST_LAGS)).round().astype(int))
    last = np.unique(rows["time"] + rows["lag"])
    found = Packed(
        tuple(updates.tolist()),
        tuple(lags[kept].tolist()),
        int(last[0]) if len(last) == 1 else None,
        pack(norms[:, kept]),
        dict(_lost(statuses[:, kept])),
        pack(theory[kept]) if np.isfinite(theory).any() else None,
    )
    return found, len(kept) == len(lags)


def pack(numbers: np.ndarray) -> Pack:
    """Pack numbers into 16 bits each; the error of each is half a step.

    Args:
        numbers: of any shape, infinities and NaN among them.
    """
    finite = numbers[np.isfinite(numbers)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
    step = (high - low) / STEPS or 1.0
    codes = np.full(numbers.shape, NONE, dtype="<u2")
    codes[numbers == np.inf], codes[numbers == -np.inf] = OVER, ZERO
    known = np.isfinite(numbers)
    codes[known] = ((numbers[known] - low) / step).round()
    return Pack(low, step, base64.b64encode(codes.tobytes()).decode())


def _lost(statuses: np.ndarray) -> Iterator[tuple[int, list[list[int]]]]:
    """Yield, for each update that has some, the stretches of lags with the same status, not ok."""
    for place, line in enumerate(statuses):
        if line.any():
            yield place, [[a, b - 1, int(line[a])] for a, b in _stretches(line) if line[a]]


def _stretches(codes: np.ndarray) -> Iterator[tuple[int, int]]:
    """Yield where the same code begins and ends, stretch after stretch."""
    return itertools.pairwise([0, *(np.flatnonzero(np.diff(codes)) + 1).tolist(), len(codes)])


def _note(
    thinned: list[str],
    kept: dict[str, tuple[int, ...]],
    every: dict[str, pd.Series],
    thinned_lags: int,
) -> str:
    """Say what of the recording is not on the page."""
    said = ""
    if thinned:
        least = min(thinned, key=lambda run: len(kept[run]) / every[run].nunique())
        said = (
            f"Of {plural(len(thinned), 'run')} not every recorded update is here, but an evenly "
            f"spread part: at the least {len(kept[least])} of {every[least].nunique()}."
        )
    lags = (
        f"Of {plural(thinned_lags, 'run')} with more than {MOST_LAGS} time steps, "
        f"{MOST_LAGS} evenly spread lags are here."
    )
    return sentences(said, lags if thinned_lags else "")
