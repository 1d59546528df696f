"""The latest recorded update as one line: a curve of small bars over lag, and the verdict."""

import math
from typing import Final

import numpy as np
import pandas as pd

from rnn_exp.profiles import Summary, has_one_rate
from rnn_exp.recordings.summary import (
    CASE,
    NO_VALUE,
    carrier_of,
    case_names,
    gradient_name,
    longest_calls,
    summary_of,
)
from rnn_exp.schema import VERDICTS, status_of
from rnn_exp.words import listing, rate, rates

__all__ = ["bars", "parts_of"]

_BARS: Final = "▁▂▃▄▅▆▇"
_NOTHING, _NOT_FINITE = "·", "×"
_SIGNS: Final = {_NOTHING: "zero or cut off", _NOT_FINITE: "not finite in training"}
_MOST: Final = 24
_DECADES: Final = len(_BARS) - 1


def bars(log10_norms: np.ndarray, *, most: int = _MOST) -> str:
    """Draw norms as bars: each step down is ten times less than the largest, the lowest less still.

    Args:
        log10_norms: log10 of the norms; −∞: a dot, not finite: a cross.
        most: so many bars at most; of more numbers a bar is the largest of its neighbours.

    Example:
        >>> bars(-0.5 * np.arange(8.0)), bars(np.array([0.0, -np.inf, np.nan]))
        ('▇▇▆▆▅▅▄▄', '▇·×')
    """
    parts = np.array_split(log10_norms, min(most, len(log10_norms))) if len(log10_norms) else []
    finite = log10_norms[np.isfinite(log10_norms)]
    largest = float(finite.max()) if finite.size else 0.0
    return "".join(_bar(part, largest) for part in parts)


def _bar(part: np.ndarray, largest: float) -> str:
    if np.isnan(part).any() or np.isposinf(part).any():
        return _NOT_FINITE
    top = float(part.max())
    if math.isinf(top):
        return _NOTHING
    return _BARS[_DECADES - min(math.floor(largest - top), _DECADES)]


def parts_of(latest: pd.DataFrame) -> list[str]:
    """Say what the latest recorded update shows, what is wanted most first.

    One layer is drawn: the top one of the first module. Of the others their verdicts are counted.

    Args:
        latest: rows of a recording; of several updates the last one counts.

    Returns:
        Parts of a line, to be joined by commas.
    """
    if latest.empty:
        return ["nothing recorded yet"]
    rows = longest_calls(latest[latest["update"] == latest["update"].max()])
    named = rows.assign(name=case_names(rows))
    cases = [part for _, part in named.groupby(CASE, sort=False)]
    drawn, *others = sorted(cases, key=lambda part: _order(part, named))
    column = carrier_of(drawn)
    by_lag = drawn.sort_values("lag", kind="stable")
    first, last = int(by_lag["lag"].min()), int(by_lag["lag"].max())
    curve, found = bars(_seen(by_lag, column)), summary_of(drawn)
    update, name = int(drawn["update"].iloc[0]), drawn["name"].iloc[0]
    return [
        f"update {update} {curve} {found.verdict}",
        *filter(None, [found.lost]),
        f"in {name}",
        *_rate(found),
        *_counted(others),
        f"{gradient_name(column)} from left to right over lags {first} to {last}",
        "a step down: 10 times less",
        *(f"{sign}: {what}" for sign, what in _SIGNS.items() if sign in curve),
    ]


def _rate(found: Summary) -> list[str]:
    if not has_one_rate(found.rate, found.reason):
        return [] if found.reason in found.lost else [found.reason]
    _, *ends = rates(found.rate, found.rate_low, found.rate_high)
    return [rate(found.rate), f"95 % {' to '.join(ends)}"]


def _order(part: pd.DataFrame, rows: pd.DataFrame) -> tuple[int, int, bool]:
    """Modules as they were called, the top layer first, forward before backward."""
    first = part.iloc[0]
    place = list(rows["module"].unique()).index(first["module"])
    return place, -int(first["layer"]), first["direction"] != "forward"


def _seen(by_lag: pd.DataFrame, column: str) -> np.ndarray:
    """Return the norms, with what training saw as not finite left out."""
    norms = by_lag[column].to_numpy(dtype=float)
    return np.where(by_lag[status_of(column)].isin(NO_VALUE), math.nan, norms)


def _counted(others: list[pd.DataFrame]) -> list[str]:
    words = [summary_of(part).verdict for part in others]
    counts = [f"{words.count(word)} {word}" for word in VERDICTS if word in words]
    return [f"others: {listing(counts)}"] if counts else []
