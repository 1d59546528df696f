"""What becomes of many seeds, updates and lags: intervals, fewer updates, one rate a run."""

from collections.abc import Sequence
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

FLOOR: Final = ("zero", "underflow", "cut_off")
"""Statuses of a gradient that was too small for training, or is nothing."""
CEILING: Final = ("inf", "nan")
"""Statuses of a gradient that was too large for training, or is no number."""
LOST: Final = ("floor", "ceiling", "unseen")
"""How many seeds of a point have nothing to draw, or a norm that training did not see."""


def interval(frame: pd.DataFrame, by: Sequence[str], column: str) -> pd.DataFrame:
    """Return the median and the range of a column in each group, in order of appearance.

    NaN counts as none. An infinite value keeps its rank: three seeds of which two have a zero
    gradient (log10: minus infinity) have a median of minus infinity, not the value of the third.

    Args:
        frame: a row a run, or a run and update or lag.
        by: the columns that make a group.
        column: the values, one a seed in each group.

    Returns:
        Columns: those of ``by``, median, low, high, seeds (rows of the group).
    """
    grouped = frame.groupby(list(by), sort=False, dropna=False, observed=True)[column]
    lower = grouped.quantile(0.5, interpolation="lower")
    upper = grouped.quantile(0.5, interpolation="higher")
    both = np.isfinite(lower) & np.isfinite(upper)
    # Half the sum only where both are finite: inf - inf is not a middle.
    middle = lower.where(~both, (lower.where(both, 0.0) + upper.where(both, 0.0)) / 2)
    return pd.DataFrame(
        {"median": middle, "low": grouped.min(), "high": grouped.max(), "seeds": grouped.size()}
    ).reset_index()


def bar_lengths(rows: pd.DataFrame, middle: str = "median") -> np.ndarray:
    """Return how far an error bar goes down and up from the middle: a line each, for matplotlib.

    Args:
        rows: with the columns low and high of an `interval`.
        middle: the column of its median.
    """
    return np.abs(rows[["low", "high"]].to_numpy().T - rows[middle].to_numpy())


def gradient_interval(frame: pd.DataFrame, by: Sequence[str], column: str) -> pd.DataFrame:
    """Return the `interval` of a log10, and how many seeds have a norm that is lost.

    Args:
        frame: as for `interval`, with the `status` of each norm.
        by: the columns that make a group.
        column: log10 of the norms.

    Returns:
        Columns: those of ``by``, log10_median, log10_low, log10_high, seeds; floor and ceiling (of
        so many seeds the norm is exactly zero or cut off; not finite, so that there is nothing to
        draw), and unseen (of so many the norm is true, but was lost to training).
    """
    number = np.isfinite(frame[column].to_numpy(dtype=float))
    lost = frame["status"].isin([*FLOOR, *CEILING]).to_numpy()
    large = frame["status"].isin(CEILING).to_numpy()
    ranked = frame.assign(
        floor=(lost & ~large & ~number).astype(int),
        ceiling=(large & ~number).astype(int),
        unseen=(lost & number).astype(int),
    )
    counts = ranked.groupby(list(by), sort=False, dropna=False, observed=True)
    names = {name: f"log10_{name}" for name in ("median", "low", "high")}
    summary = interval(ranked, by, column).rename(columns=names)
    return summary.assign(**{name: counts[name].sum().to_numpy() for name in LOST})


def statuses(log10: ArrayLike) -> np.ndarray:
    """Say of each log10 of a norm whether it is drawn, or why it is not.

    Args:
        log10: of any norms; -inf: a norm of 0; inf and NaN: the norm is not finite.

    Returns:
        Statuses as in the table of gradients: ok, zero, inf, nan.
    """
    values = np.asarray(log10, dtype=float)
    kinds = [np.isnan(values), np.isposinf(values), np.isneginf(values)]
    return np.select(kinds, ["nan", "inf", "zero"], "ok")


def limit_updates(updates: pd.Series, most: int) -> tuple[list[int], list[str]]:
    """Return at most so many recorded updates, evenly spread, and the sentence that says so."""
    recorded = np.sort(updates.unique())
    if len(recorded) <= most:
        return recorded.tolist(), []
    kept = recorded[np.unique(np.linspace(0, len(recorded) - 1, most).round().astype(int))]
    return (
        kept.tolist(),
        [f"Drawn are {len(kept)} of {len(recorded)} recorded updates, evenly spread."],
    )


def gain_at_rate_one(gains: ArrayLike, rates: ArrayLike) -> float:
    """Return the gain at which rates first rise above 1, on lines through their logarithms.

    NaN where none does; values that are not positive are left out.
    """
    x, y = np.asarray(gains, dtype=float), np.asarray(rates, dtype=float)
    known = np.isfinite(y) & (y > 0) & (x > 0)
    order = np.argsort(x[known], kind="stable")
    x, y = np.log(x[known][order]), np.log(y[known][order])
    rising = np.flatnonzero((y[:-1] < 0) & (y[1:] >= 0))
    if rising.size == 0:
        return float("nan")
    at = rising[0]
    return float(np.exp(x[at] - y[at] * (x[at + 1] - x[at]) / (y[at + 1] - y[at])))
