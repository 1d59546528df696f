"""Which runs of a study a figure shows, on which axes, and what it must say about the rest.

A figure has three axes: panels (activation), lengths (T) and series (the initial weights or, where
these are constant, the first other setting that varies). Only seeds are pooled. Any further setting
that varies is held at its most common value, and the caption says so.
"""

from dataclasses import dataclass

import pandas as pd

from rnn_exp.figures.settings import AXES, KEYS, axes_of, follows, settings_of
from rnn_exp.figures.source import CannotDraw, required
from rnn_exp.figures.words import listing, plural

_ACTIVATIONS = ("tanh", "sigmoid", "relu", "identity")
_KNOWN = ("network.activation", "task.length", "init", "init.gain")


__all__ = ["KEYS", "Choice", "choose"]


@dataclass(frozen=True)
class Choice:
    """The chosen runs (run, activation, length, series, value) and what the caption owes."""

    runs: pd.DataFrame
    notes: tuple[str, ...]


def choose(runs: pd.DataFrame, *, lengths: int = 3, series: int = 6, panels: int = 4) -> Choice:
    """A readable part of the study: at most so many lengths, series and panels."""
    required(runs, ["run"], "runs")
    settings = settings_of(runs)
    frame = pd.concat([runs[["run"]].astype(str), axes_of(runs, settings)], axis=1)
    frame, held = _hold(frame, settings)
    notes = [*held]
    for column, limit in (("series", series), ("length", lengths), ("activation", panels)):
        frame, note = _limit(frame, column, limit)
        notes += note
    return Choice(frame.reset_index(drop=True), (*notes, *_unfinished(runs, frame)))


def _hold(frame: pd.DataFrame, settings: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    notes = []
    for column in (c for c in settings.columns if c not in _KNOWN):
        values = settings.loc[frame.index, column]
        if follows(frame.assign(held=values), "held", AXES):
            continue
        kept = values.value_counts(sort=False).idxmax()
        others = listing(sorted(set(values) - {str(kept)}))
        notes.append(f"Only runs with {column} = {kept} are shown (not {others}).")
        frame = frame[values == kept]
    return frame, notes


def _limit(frame: pd.DataFrame, column: str, limit: int) -> tuple[pd.DataFrame, list[str]]:
    values = _sorted(frame, column)
    last = max(limit - 1, 1)
    kept = values if len(values) <= limit else _spread(values, limit, last)
    frame = frame.assign(_order=frame[column].map({v: i for i, v in enumerate(kept)}))
    frame = frame.dropna(subset="_order").sort_values("_order", kind="stable")
    dropped = [str(v) for v in values if v not in kept]
    name = {"length": "T = ", "series": "", "activation": ""}[column]
    note = [f"Left out to keep the figure readable: {name}{listing(dropped)}."] if dropped else []
    return frame.drop(columns="_order"), note


def _spread(values: list[object], limit: int, last: int) -> list[object]:
    """Evenly spread over the list; the ends stay (or the last alone, where one is wanted)."""
    if limit == 1:
        return values[-1:]
    return [values[round(i * (len(values) - 1) / last)] for i in range(limit)]


def _sorted(frame: pd.DataFrame, column: str) -> list[object]:
    if column == "activation":
        known = {name: i for i, name in enumerate(_ACTIVATIONS)}
        return sorted(frame[column].unique(), key=lambda a: (known.get(a, len(known)), a))
    by = ["value", "series"] if column == "series" else [column]
    return list(frame.sort_values(by, kind="stable")[column].unique())


def _unfinished(runs: pd.DataFrame, chosen: pd.DataFrame) -> list[str]:
    if chosen.empty:
        raise CannotDraw("No run is left to show.")
    if "status" not in runs:
        return []
    status = runs.loc[runs["run"].astype(str).isin(chosen["run"]), "status"].value_counts()
    words = {"diverged": "diverged", "failed": "failed", "running": "had not finished"}
    said = [f"{status[key]} {verb}" for key, verb in words.items() if key in status]
    runs_shown = plural(len(chosen), "run")
    return [f"Of {runs_shown} shown, {listing(said)}; what was recorded is drawn."] if said else []
