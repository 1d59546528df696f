"""What the script is given of a study: settings that vary, what is known of each run, profiles."""

import math
import numbers
from collections.abc import Callable
from typing import Any, Final

import pandas as pd

from rnn_exp.figures.parts.axes import settings_of, size_of, varying_settings
from rnn_exp.figures.parts.selection import Tables
from rnn_exp.report.content import has_diverged, where
from rnn_exp.report.explorer.profiles import Packed, packed_profiles
from rnn_exp.schema import GRADIENT_STATUSES, VERDICTS

__all__ = ["payload"]

SEED: Final = "seed"
_TEXTS: Final = {
    "verdict": "verdict",
    "why": "verdict_reason",
    "verdict_end": "final_verdict",
    "status": "status",
    "command": "command",
    "note": "note",
}
_NUMBERS: Final = {
    "rate": "decay_rate",
    "rate_low": "decay_rate_low",
    "rate_high": "decay_rate_high",
    "change": "log10_change",
    "rate_end": "final_decay_rate",
    "change_end": "final_log10_change",
    "loss_end": "final_loss",
    "error_end": "final_error",
}
_DIGITS: Final = 6


def payload(tables: Tables) -> dict[str, Any] | None:
    """Return what the script is given, or None where no run has a profile to look at.

    Args:
        tables: of the study.

    Returns:
        Under ``settings``: each setting that varies, with its values in order. Under ``runs``: a
        list of columns (one value a run), the place of each run's value of each setting among
        them. ``profiles`` has what `Packed` has, a run; updates and lags are places in ``grids``,
        as many runs have the same.
    """
    profiles = packed_profiles(tables)
    if not profiles.by_run:
        return None
    runs = tables.runs
    values = _varying(runs)
    grids: dict[tuple[int, ...], int] = {}
    found = [profiles.by_run.get(str(run)) for run in runs["run"]]
    return {
        "verdicts": list(VERDICTS),
        "statuses": list(GRADIENT_STATUSES),
        "settings": [{"key": key, "values": order} for key, (order, _) in values.items()],
        "runs": {
            "name": [str(run) for run in runs["run"]],
            "at": [list(places) for places in zip(*(p for _, p in values.values()), strict=True)]
            or [[]] * len(runs),
            **{name: _column(runs, column, _text) for name, column in _TEXTS.items()},
            **{name: _column(runs, column, _number) for name, column in _NUMBERS.items()},
            "end": _ends(runs),
        },
        "profiles": [None if one is None else _profile(one, grids) for one in found],
        "grids": [list(grid) for grid in grids],
        "note": profiles.note,
    }


def _varying(runs: pd.DataFrame) -> dict[str, tuple[list[str], list[int]]]:
    """Return each setting that varies: its values in order, and the place of each run's own."""
    text = settings_of(runs)
    names = varying_settings(text)
    if SEED in runs and len(runs[SEED].unique()) > 1:
        text[SEED] = runs[SEED].map(str)
        names.append(SEED)
    found = {}
    for name in names:
        order = sorted(text[name].unique(), key=lambda value: (*size_of(value), value))
        places = {value: place for place, value in enumerate(order)}
        found[name] = (order, text[name].map(places).tolist())
    return found


def _column(runs: pd.DataFrame, name: str, read: Callable[[object], object]) -> list[object]:
    return [read(value) for value in runs.reindex(columns=[name])[name].astype(object)]


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _number(value: object) -> float | None:
    """Return a number short enough for a page; None where there is none."""
    if not isinstance(value, numbers.Real) or not math.isfinite(value):
        return None
    return float(f"{float(value):.{_DIGITS}g}")


def _ends(runs: pd.DataFrame) -> list[str]:
    """Say of each run that diverged or failed where or why; of others nothing."""
    found = []
    for _, run in runs.iterrows():
        failure = _text(run.get("failure"))
        found.append(failure or (f"diverged {where(run)}" if has_diverged(run) else ""))
    return found


def _profile(found: Packed, grids: dict[tuple[int, ...], int]) -> dict[str, Any]:
    return {
        "updates": grids.setdefault(found.updates, len(grids)),
        "lags": grids.setdefault(found.lags, len(grids)),
        "T": found.last_time,
        "norms": found.norms.as_json(),
        "lost": found.lost,
        "theory": None if found.theory is None else found.theory.as_json(),
    }
